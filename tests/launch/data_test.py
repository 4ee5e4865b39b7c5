"""Tests of launch.data."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib

from absl.testing import absltest, parameterized

from launch import data as data_lib
from pipelines import spec as spec_lib

_DATA = data_lib.DataSpec(
    spec=spec_lib.of_images((8, 8, 3), ('cat', 'dog')),
    num_examples={'train': 10, 'test': 3},
    mean=(0.1, 1 / 3, 0.3),
    std=(0.25, 0.2, 0.1),
)
_TABLE = data_lib.DataSpec(
    spec=spec_lib.Spec({
        'numbers': spec_lib.Feature(
            'numbers', (2,), 'float32', columns=('age', 'height')
        ),
        'categories': spec_lib.Feature(
            'categories',
            (1,),
            'int32',
            columns=('sex',),
            vocabularies=(('f', 'm'),),
        ),
        'label': spec_lib.Feature('numbers', (), 'float32'),
    }),
    num_examples={'train': 7},
    target_mean=(100.5,),
    target_std=(3.25,),
    class_counts=(),
    fingerprint={'sha256': 'abc'},
)
_GOLDEN = pathlib.Path(__file__).parent / 'golden'


def _through_json(value):
  return json.loads(json.dumps(value.to_json()))


class DataSpecTest(parameterized.TestCase):

  @parameterized.parameters(_DATA, _TABLE)
  def test_json_gives_the_same_spec(self, data):
    again = data_lib.DataSpec.from_json(_through_json(data))
    self.assertEqual(again, data)
    self.assertEmpty(data.differences(again))

  def test_what_the_first_version_wrote(self):
    path = _GOLDEN / '0.1.0' / 'finished' / 'config.json'
    values = json.loads(path.read_text())['data']
    data = data_lib.DataSpec.from_json(values)
    self.assertEqual(data.spec['image'].shape, (4, 4, 1))
    self.assertEqual(data.target.class_names, ('0', '1', '2', '3'))
    self.assertEqual(list(data.mean), values['mean'])
    self.assertEqual(data.num_examples, values['num_examples'])
    # What it did not know is no difference.
    now = dataclasses.replace(data, fingerprint={'sha256': 'abc'})
    self.assertEmpty(now.differences(data))
    self.assertNotEmpty(
        dataclasses.replace(now, fingerprint={'sha256': 'd'}).differences(now)
    )

  @parameterized.parameters(
      ('image_shape', [4, 4, -1]),
      ('image_shape', [0, 4, 1]),
      ('image_shape', 'abc'),
      ('label_names', [1, 2]),
      ('mean', [0.1, 0.1]),
      ('num_examples', {}),
  )
  def test_what_is_not_of_the_first_version(self, name, wrong):
    path = _GOLDEN / '0.1.0' / 'finished' / 'config.json'
    values = json.loads(path.read_text())['data']
    with self.assertRaisesRegex(ValueError, f'its {name} is'):
      data_lib.DataSpec.from_json({**values, name: wrong})

  def test_what_is_not_of_a_data_set(self):
    for name, wrong in (
        ('mean', [0.1]),
        ('mean', [0.1, 0.2, math.nan]),
        ('std', []),
        ('std', [0.25, -0.2, 0.1]),
        ('std', [0.25, math.inf, 0.1]),
        ('num_examples', {}),
        ('num_examples', {'train': 0}),
        ('num_examples', {'test': 3}),
        ('class_counts', [1.5]),
        ('fingerprint', 3),
    ):
      with self.assertRaisesRegex(ValueError, 'its (std|mean|num|class|fin)'):
        data_lib.DataSpec.from_json({**_through_json(_DATA), name: wrong})
    for values, message in (
        (None, 'where data are expected'),
        ({'spec': {}}, 'lacks num_examples'),
        ({**_through_json(_DATA), 'more': 1}, 'it has more, which'),
        ({**_through_json(_DATA), 'spec': 3}, 'not the features'),
    ):
      with self.assertRaisesRegex(ValueError, message):
        data_lib.DataSpec.from_json(values)

  @parameterized.parameters(
      ('shape', [8, -8]),
      ('shape', 'x'),
      ('shape', None),
      ('dtype', 'string of 3'),
      ('dtype', None),
      ('class_names', [1]),
      ('kind', 'sound'),
      ('columns', 5),
      ('vocabularies', ['a']),
      ('vocabularies', [[1]]),
  )
  def test_what_is_no_feature(self, name, wrong):
    values = _through_json(_DATA)
    values['spec']['features']['image'][name] = wrong
    with self.assertRaises(ValueError):
      data_lib.DataSpec.from_json(values)

  def test_differences_name_the_feature(self):
    spec = spec_lib.of_images((8, 8, 3), ('cat', 'cow'))
    self.assertEqual(
        dataclasses.replace(_DATA, spec=spec).differences(_DATA),
        {'label.class_names': [['cat', 'dog'], ['cat', 'cow']]},
    )
    self.assertEqual(
        dataclasses.replace(_DATA, mean=(), std=()).differences(_DATA),
        {'mean': [[0.1, 1 / 3, 0.3], None], 'std': [[0.25, 0.2, 0.1], None]},
    )
    self.assertCountEqual(
        dataclasses.replace(_DATA, spec=_TABLE.spec).differences(_DATA),
        [
            'image',
            'numbers',
            'categories',
            'label.kind',
            'label.dtype',
            'label.class_names',
        ],
    )

  def test_no_target(self):
    spec = spec_lib.Spec({'x': spec_lib.Feature('array', (2,), 'float32')}, ())
    with self.assertRaisesRegex(ValueError, "no 'label', but x"):
      _ = data_lib.DataSpec(spec, {'train': 3}).target
    self.assertEqual(_DATA.describe(), 'image: 8 x 8 x 3; label: 2 classes')


if __name__ == '__main__':
  absltest.main()
