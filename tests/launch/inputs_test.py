"""Tests of launch.inputs: whatever a user may give to be predicted."""

from __future__ import annotations

import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from launch import inputs
from launch.evaluating import predicting
from pipelines import spec as spec_lib
from pipelines import texts
from tests.pipelines import image_folders

_Feature = spec_lib.Feature
_LABEL = _Feature('numbers', (), 'float32')
_ROOMS = _Feature('numbers', (2,), 'float32', columns=('rooms', 'area'))
_KIND = _Feature(
    'categories',
    (1,),
    'int32',
    columns=('kind',),
    vocabularies=(('', 'flat', 'hut'),),
)
_SPECS = {
    name: spec_lib.Spec({**features, 'label': _LABEL})
    for name, features in {
        'table': {'numbers': _ROOMS, 'categories': _KIND},
        'rooms': {'numbers': _ROOMS},
        'x': {'x': _Feature('numbers', (1,), 'float32')},
        'kind': {'categories': _KIND},
        'text': {
            'tokens': _Feature(
                'text',
                (3,),
                'int32',
                columns=('word',),
                tokenizer='bytes',
                vocabularies=(texts.vocabulary((), 'bytes'),),
            )
        },
        'image': {'image': _Feature('image', (6, 5, 1), 'uint8')},
    }.items()
}
_TABLE = {'numbers': [[3, 120], [1, 40]], 'categories': [[1], [2]]}
_X = {'x': [[1], [2]]}
_KINDS = {'categories': [[1], [2]]}
_WORDS = {'tokens': [[99, 100, 0], [101, 0, 0]]}
_PIXELS = image_folders.pixels(2)


class _Frame:
  """A table with the two names of a DataFrame that are asked for."""

  columns = ('rooms', 'area', 'kind', 'price')

  def to_dict(self, orient):
    assert orient == 'list'
    return {
        'rooms': [3, 1],
        'area': [120.0, 40.0],
        'kind': ['flat', 'hut'],
        'price': [1, 2],
    }


class InputsTest(parameterized.TestCase):

  @parameterized.parameters(
      (
          'table',
          [
              {'rooms': 3, 'area': '120', 'kind': 'flat'},
              {'area': 40, 'kind': ' hut ', 'rooms': ' 1'},
          ],
          _TABLE,
      ),
      (
          'table',
          {'rooms': [3, 1], 'area': [120, 40], 'kind': ['flat', 'hut']},
          _TABLE,
      ),
      (
          'table',
          {
              'rooms': (3, 1),
              'area': np.array([120.0, 40.0]),
              'kind': np.array(['flat', 'hut']),
              'price': 7,
          },
          _TABLE,
      ),
      ('table', _TABLE, _TABLE),
      ('table', {**_TABLE, 'label': [1, 2]}, _TABLE),
      (
          'table',
          {'numbers': [[3, 120], [1, 40]], 'kind': ['flat', 'hut']},
          _TABLE,
      ),
      (
          'table',
          {'numbers': [[3, 120], [1, 40]], 'categories': ['flat', 'hut']},
          _TABLE,
      ),
      ('table', _Frame(), _TABLE),
      (
          'table',
          {'rooms': 3, 'area': 120, 'kind': 'flat'},
          {name: rows[:1] for name, rows in _TABLE.items()},
      ),
      ('rooms', [[3, 120], [1, 40]], {'numbers': _TABLE['numbers']}),
      ('rooms', [['3', '120'], ['1', '40']], {'numbers': _TABLE['numbers']}),
      ('x', [1, 2], _X),
      ('x', np.array([[1.0], [2.0]]), _X),
      ('x', ['1', '2'], _X),
      ('x', {'x': [1, 2]}, _X),
      ('x', {'x': 1}, {'x': [[1]]}),
      ('kind', ['flat', 'hut'], _KINDS),
      ('kind', np.array(['flat', 'hut']), _KINDS),
      ('kind', [['flat'], ['hut']], _KINDS),
      ('kind', {'kind': ['flat', 'hut']}, _KINDS),
      ('kind', [[1], [2]], _KINDS),
      ('text', ['ab', 'c'], _WORDS),
      ('text', ('ab', ' c '), _WORDS),
      ('text', np.array(['ab', 'c']), _WORDS),
      ('text', {'word': ['ab', 'c']}, _WORDS),
      ('text', {'tokens': ['ab', 'c']}, _WORDS),
      ('text', [{'word': 'ab'}, {'tokens': 'c'}], _WORDS),
      ('text', 'ab', {'tokens': [[99, 100, 0]]}),
      ('text', {'word': 'ab'}, {'tokens': [[99, 100, 0]]}),
      ('text', np.array(_WORDS['tokens']), _WORDS),
      ('image', _PIXELS, {'image': _PIXELS}),
      ('image', {'image': _PIXELS.tolist()}, {'image': _PIXELS}),
      ('image', _PIXELS / 255, {'image': _PIXELS / np.float32(255)}),
  )
  def test_takes(self, spec, given, expected):
    found = inputs.encoded(given, _SPECS[spec])
    self.assertEqual(list(found), list(expected))
    for name, array in found.items():
      np.testing.assert_allclose(array, expected[name], rtol=1e-6)

  def test_paths_of_images(self):
    folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    paths = [folder / f'{index}.png' for index in range(2)]
    for path, pixels in zip(paths, _PIXELS):
      image_folders.write(path, pixels)
    for given in (
        paths,
        list(map(str, paths)),
        {'image': paths},
        [{'image': path} for path in paths],
    ):
      found = inputs.encoded(given, _SPECS['image'])
      np.testing.assert_array_equal(found['image'], _PIXELS)

  @parameterized.parameters(
      (
          'table',
          [[3, 120, 'flat']],
          (
              'list of records of rooms, area, kind; a mapping of these to'
              ' lists; or a mapping of numbers, categ.* a list'
          ),
      ),
      ('table', 3, 'inputs: expected a list of records of rooms'),
      ('table', [], 'inputs: expected a list of records of rooms'),
      (
          'table',
          {'rooms': [3, 1], 'area': [120], 'kind': ['flat', 'hut']},
          "as many values in each column, got {'rooms': 2, 'area': 1, 'kind'",
      ),
      ('table', {'rooms': [3], 'area': 120, 'kind': ['flat']}, 'list of rec'),
      ('table', {'rooms': [3], 'kind': ['flat']}, "0: there is no column 'ar"),
      ('table', {'room': [3]}, "there is no 'numbers'"),
      ('x', [[1, 2]], r'x is \[1, 2\]; expected \[num_examples, 1\]'),
      ('x', [[1], [1, 2]], 'inputs: '),
      ('x', ['one'], "column 'x': 'one'; expected"),
      ('x', [], r'x is \[0, 1\]; expected'),
      ('text', [3], 'tokens'),
      (
          'image',
          _PIXELS.astype(np.float32),
          r'image is float32 from \d+ to '
          r'2\d\d; expected uint8 from 0 to 255, or floats from 0 to 1',
      ),
      ('image', _PIXELS / 255 - 0.5, 'image is float64 from -0.4.* to 0.4'),
      ('image', np.full([1, 6, 5, 1], np.nan), 'image is float64 from nan to'),
      ('image', _PIXELS.astype(int) * 2, 'values that uint8 does not hold'),
      ('image', np.full([1, 6, 5, 1], 'a'), 'image'),
  )
  def test_refuses(self, spec, given, words):
    with self.assertRaisesRegex(ValueError, words) as context:
      inputs.encoded(given, _SPECS[spec])
    self.assertNotIn('\n', str(context.exception))

  @parameterized.parameters(1.0005, -0.0005)
  def test_pixels_may_be_rounded(self, value):
    predicting.checked({'image': np.full([1, 6, 5, 1], value)}, _SPECS['image'])


if __name__ == '__main__':
  absltest.main()
