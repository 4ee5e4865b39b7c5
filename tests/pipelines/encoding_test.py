"""A user's own rows, records, texts and images become a batch.

Covers: raw_examples.
"""

from __future__ import annotations

import json
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import encoding, errors, raw_examples, spec, texts
from pipelines.sources import table
from tests.pipelines import image_folders

_LABEL = spec.Feature('class', (), 'int64', ('no', 'yes'))
_TABLE = spec.Spec({
    'numbers': spec.Feature('numbers', (2,), 'float32', columns=('a', 'b')),
    'categories': spec.Feature(
        'categories',
        (1,),
        'int32',
        columns=('c',),
        vocabularies=(('', 'Bonn', 'Ulm'),),
    ),
    'tokens': spec.Feature(
        'text',
        (3,),
        'int32',
        columns=('t',),
        tokenizer='words',
        vocabularies=(('', '?', 'rain', 'sun'),),
    ),
    'label': _LABEL,
})
_TEXT = spec.Spec({
    'tokens': spec.Feature(
        'text',
        (3,),
        'int32',
        columns=('t',),
        tokenizer='bytes',
        vocabularies=(texts.vocabulary((), 'bytes'),),
    ),
    'label': _LABEL,
})
_IMAGE = spec.Spec(
    {'image': spec.Feature('image', (6, 5, 1), 'uint8'), 'label': _LABEL}
)
_ARRAY = spec.Spec({
    'x': spec.Feature('array', (2, 2), 'float32'),
    'n': spec.Feature('numbers', (1,), 'float32'),
    'i': spec.Feature('array', (), 'int64'),
})
_ROW = {'a': 1, 'b': '2.5', 'c': 'Ulm', 't': 'Sun, sun!', 'other': 3}


class _FilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory())
    )

  def write(self, name, text):
    (self.folder / name).write_text(text, encoding='utf-8')
    return str(self.folder / name)

  def read(self, *paths, data_spec=_TABLE, **arguments):
    records = raw_examples.read(paths, data_spec)
    return encoding.encode(records, data_spec, **arguments)


class EncodingTest(_FilesTest):

  def test_rows_and_records_are_the_same(self):
    paths = [
        self.write('new.csv', 'b,t,other,c,a\n2.5,"Sun, sun!",3,Ulm,1\n'),
        self.write('new.jsonl', f'{json.dumps(_ROW)}\n\n'),
        self.write('new.json', json.dumps([_ROW, _ROW])),
        self.write('one.json', json.dumps(_ROW)),
    ]
    found = self.read(*paths)
    self.assertEqual(list(found.arrays), ['numbers', 'categories', 'tokens'])
    self.assertEqual(found.arrays['numbers'].tolist(), [[1, 2.5]] * 5)
    self.assertEqual(found.arrays['categories'].tolist(), [[2]] * 5)
    self.assertEqual(found.arrays['tokens'].tolist(), [[3, 1, 3]] * 5)
    for name, array in found.arrays.items():
      self.assertEqual(array.dtype, _TABLE[name].dtype)
    self.assertEqual(
        found.names,
        [
            f'{paths[0]}, line 2',
            f'{paths[1]}, line 1',
            f'{paths[2]}, record 0',
            f'{paths[2]}, record 1',
            paths[3],
        ],
    )
    self.assertRegex(found.notes[0], 't: 5 of 5 texts are cut to 3 tokens')

  def test_a_feature_may_be_given_as_a_whole(self):
    row = {'numbers': [1, 2], 'categories': ['Bonn'], 'tokens': 'rain'}
    path = self.write('new.json', json.dumps(row))
    found = self.read(path).arrays
    self.assertEqual(found['numbers'].tolist(), [[1, 2]])
    self.assertEqual(found['categories'].tolist(), [[1]])
    self.assertEqual(found['tokens'].tolist(), [[2, 0, 0]])

  def test_unknown_categories_are_told(self):
    path = self.write('new.csv', 'a,b,c,t\n1,2,Ulm,\n1,2,Rome,\n')
    found = self.read(path)
    self.assertEqual(found.arrays['categories'].tolist(), [[2], [0]])
    self.assertRegex(found.notes[0], 'c: 1 of 2 values .* is in .*, line 3')

  def test_missing_values_that_may_be(self):
    features = dict(_TABLE.features)
    features['categories'] = spec.Feature(
        'categories',
        (1,),
        'int32',
        columns=('c',),
        vocabularies=(('', table.MISSING, 'Ulm'),),
    )
    path = self.write('new.csv', 'a,b,c,t\n,2,,\n')
    found = self.read(path, data_spec=spec.Spec(features), may_lack=True)
    np.testing.assert_array_equal(found.arrays['numbers'], [[np.nan, 2]])
    self.assertEqual(found.arrays['categories'].tolist(), [[1]])
    self.assertEmpty(found.notes)

  @parameterized.parameters('', ' ', None, 'NA', ' nan', 'none', '?', '-')
  def test_what_is_missing_in_records_is_what_is_in_tables(self, value):
    features = dict(_TABLE.features)
    features['categories'] = spec.Feature(
        'categories',
        (1,),
        'int32',
        columns=('c',),
        vocabularies=(('', table.MISSING, 'Ulm'),),
    )
    records = [raw_examples.Record('0', {**_ROW, 'a': value, 'c': value})]
    found = encoding.encode(records, spec.Spec(features), may_lack=True).arrays
    np.testing.assert_array_equal(found['numbers'], [[np.nan, 2.5]])
    self.assertEqual(found['categories'].tolist(), [[1]])
    for change, words in (
        ({'a': value}, "column 'a': .*; a number is missing; may_lack"),
        ({'c': value}, "column 'c': .*; a category is missing, but none was"),
    ):
      with self.assertRaisesRegex(errors.DataError, words):
        encoding.encode([raw_examples.Record('0', {**_ROW, **change})], _TABLE)

  def test_a_category_of_arrays_may_have_any_name(self):
    features = dict(_TABLE.features)
    features['categories'] = spec.Feature(
        'categories',
        (1,),
        'int32',
        columns=('c',),
        vocabularies=(('', 'NA', 'Ulm'),),
    )
    records = [raw_examples.Record('0', {**_ROW, 'c': 'NA'})]
    found = encoding.encode(records, spec.Spec(features))
    self.assertEqual(found.arrays['categories'].tolist(), [[1]])

  def test_spaces_around_values_do_not_count(self):
    spaced = {k: f' {v} ' for k, v in _ROW.items()}
    found, expected = (
        encoding.encode([raw_examples.Record('0', row)], _TABLE).arrays
        for row in (spaced, _ROW)
    )
    for name, array in expected.items():
      np.testing.assert_array_equal(found[name], array, name)

  def test_lines_of_text(self):
    path = self.write('new.txt', 'ab\r\n\nc')
    found = self.read(path, data_spec=_TEXT)
    self.assertEqual(
        found.arrays['tokens'].tolist(), [[99, 100, 0], [101, 0, 0]]
    )
    self.assertEqual(found.names, [f'{path}, line 1', f'{path}, line 3'])

  def test_images_by_file_folder_and_record(self):
    pixels = image_folders.pixels(2)
    for index, name in enumerate(('b/1.png', 'b/2.PNG')):
      image_folders.write(self.folder / name, pixels[index])
    rows = [
        {'image': 'b/1.png'},
        {'image': pixels[1].tolist()},
    ]
    records = self.write('new.json', json.dumps(rows))
    table_path = self.write('new.csv', 'image\nb/2.PNG\n')
    found = self.read(
        str(self.folder / 'b'),
        str(self.folder / 'b/2.PNG'),
        records,
        table_path,
        data_spec=_IMAGE,
    )
    np.testing.assert_array_equal(
        found.arrays['image'], pixels[[0, 1, 1, 0, 1, 1]]
    )

  def test_damaged_images_are_left_out_if_they_may_be(self):
    pixels = image_folders.pixels(3)
    for index, each in enumerate(pixels):
      image_folders.write(self.folder / f'{index}.png', each)
    whole = (self.folder / '1.png').read_bytes()
    records = [
        raw_examples.Record(
            f'record {index}', {'image': f'{index}.png'}, str(self.folder)
        )
        for index in range(3)
    ]
    for damaged in b'no image', whole[:40]:
      (self.folder / '1.png').write_bytes(damaged)
      with self.assertRaisesRegex(errors.DataError, '1'):
        encoding.encode(records, _IMAGE)
      found = encoding.encode(records, _IMAGE, skips_damaged=True)
      self.assertEqual(found.names, ['record 0', 'record 2'])
      np.testing.assert_array_equal(found.arrays['image'], pixels[[0, 2]])
      self.assertLen(found.notes, 1)
      self.assertRegex(found.notes[0], '1.*; skipped.$')
      with self.assertRaises(errors.DataError):  # Nothing would be left.
        encoding.encode(records[1:2], _IMAGE, skips_damaged=True)
    missing = [raw_examples.Record('record', {'image': 'none.png'})]
    with self.assertRaisesRegex(errors.DataError, 'none.png: No such file'):
      encoding.encode([*records, *missing], _IMAGE, skips_damaged=True)

  def test_images_are_resized_and_made_grey(self):
    pixels = np.full([12, 10, 3], 90, np.uint8)
    image_folders.write(self.folder / '1.png', pixels)
    found = self.read(
        str(self.folder / '1.png'), data_spec=_IMAGE, resizes=True
    )
    np.testing.assert_allclose(
        found.arrays['image'], np.full([1, 6, 5, 1], 90), atol=1
    )
    self.assertRegex(found.notes[0], '1.png: colors are converted to gray')

  def test_arrays(self):
    row = {'x': [[1, 2], [3, 4.5]], 'n': '7', 'i': 3}
    path = self.write('new.json', json.dumps(row))
    found = self.read(path, data_spec=_ARRAY).arrays
    self.assertEqual(found['x'].tolist(), [[[1, 2], [3, 4.5]]])
    self.assertEqual(found['n'].tolist(), [[7]])
    self.assertEqual(found['i'].tolist(), [3])


class MistakesTest(_FilesTest):

  @parameterized.parameters(
      ({'a': None}, "record 0, column 'a': nothing; a number is missing"),
      ({'b': 'x'}, "record 0, column 'b': 'x'; expected a number"),
      ({'b': 1e300}, "column 'b': 1e.300; expected a finite number"),
      ({'c': ''}, "column 'c': nothing; a category is missing, but none"),
      ({'t': 3}, "column 't': 3; expected a text"),
  )
  def test_refuses_values(self, change, words):
    self.refuse([{**_ROW, **change}], words, _TABLE)

  @parameterized.parameters(
      ({'x': [1, 2]}, r"column 'x': \[1, 2\]; expected float32 \[2, 2\]"),
      ({'x': [[1], [2, 3]]}, r"column 'x': .*; expected float32 \[2, 2\]"),
      ({'x': [[1e99, 1], [1, 1]]}, "column 'x': .*; expected float32"),
      ({'x': 'a'}, "column 'x': 'a'; expected float32"),
      ({'x': None}, "column 'x': nothing; expected float32"),
      ({'i': 1.5}, "column 'i': 1.5; expected int64"),
  )
  def test_refuses_arrays(self, change, words):
    row = {'x': [[1, 2], [3, 4]], 'n': 1, 'i': 1}
    self.refuse([{**row, **change}], words, _ARRAY)

  def refuse(self, rows, words, data_spec):
    path = self.write('new.json', json.dumps(rows))
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.read(path, data_spec=data_spec)
    self.assertNotIn('\n', str(context.exception))
    self.assertStartsWith(str(context.exception), path)

  def test_refuses_a_record_without_the_column(self):
    self.refuse([{'A': 1}], "there is no column 'a'; there are A", _TABLE)

  @parameterized.parameters(
      ('new.csv', 'a,b\n1\n', 'new.csv: line 2 has 1 cells'),
      ('new.json', '[1]', 'record 0: int; expected a record'),
      ('new.json', '{', 'new.json: not JSON: '),
      ('new.jsonl', '{}\n[]\n', 'new.jsonl, line 2: list; expected a record'),
      ('new.txt', 'a', r'holds one text, but the inputs are numbers \(numb'),
      ('new.png', 'a', r'holds one image, but the inputs are numbers \(numb'),
      ('new.xls', '', 'new.xls: expected a file of .csv'),
      ('new.json', '[]', 'there is no example in '),
  )
  def test_refuses_files(self, name, text, words):
    path = self.write(name, text)
    with self.assertRaisesRegex(errors.DataError, words) as context:
      raw_examples.read([path], _TABLE)
    self.assertNotIn('\n', str(context.exception))

  def test_refuses_images(self):
    pixels = image_folders.pixels(1, (6, 6, 1))[0]
    image_folders.write(self.folder / 'wide.png', pixels)
    image_folders.write(self.folder / 'cut.png', pixels[:, 1:])
    content = (self.folder / 'cut.png').read_bytes()
    (self.folder / 'cut.png').write_bytes(content[:-20])
    for name, words in (
        ('wide.png', 'the image is 6 x 6, but the model takes 6 x 5. Resize'),
        ('cut.png', 'cut.png: '),
        ('none.png', 'No such file'),
    ):
      with self.assertRaisesRegex(errors.DataError, words):
        self.read(str(self.folder / name), data_spec=_IMAGE)


if __name__ == '__main__':
  absltest.main()
