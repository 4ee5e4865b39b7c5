"""Data sets of CSV files.

Covers: columns, csv_files, queries.
"""

from __future__ import annotations

import hashlib
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized
from sklearn import datasets as sklearn_datasets

from pipelines import errors, options, spec
from pipelines.sources import hashing, table

_ROWS = (
    'age,town,note,kind',
    '1.5,Ulm,a good day in town,yes',
    '2,Bonn,"rain, and then, snow",no',
    '-3e2,Ulm,it rains again in town,yes',
    '4,Bonn,a bad day in snow,no',
)
_WHOLE = options.Options(validation_split='none', test_split='none')


class _TableTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.path = pathlib.Path(folder) / 'table.csv'

  def open(self, text, query, chosen=_WHOLE, encoding='utf-8'):
    if not isinstance(text, str):
      text = ''.join(f'{line}\n' for line in text)
    self.path.write_bytes(text.encode(encoding))
    return table.of_csv(f'{self.path}?{query}', chosen)

  def train(self, *arguments, **more):
    return self.open(*arguments, **more).split('train').arrays

  def assert_refused(self, words, *arguments, **more):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.open(*arguments, **more)
    self.assertNotIn('\n', str(context.exception))
    self.assertStartsWith(str(context.exception), 'dataset: ')


class TableTest(_TableTest):

  def test_columns_are_told_apart(self):
    dataset = self.open(_ROWS, 'label=kind')
    numbers, categories, tokens, label = dataset.spec.values()
    self.assertEqual(
        list(dataset.spec), ['numbers', 'categories', 'tokens', 'label']
    )
    self.assertEqual((numbers.kind, numbers.columns), ('numbers', ('age',)))
    self.assertEqual(categories.columns, ('town',))
    self.assertEqual(categories.vocabularies, (('', 'Bonn', 'Ulm'),))
    self.assertEqual((tokens.kind, tokens.columns), ('text', ('note',)))
    self.assertEqual(tokens.shape, (6,))
    self.assertEqual((label.kind, label.class_names), ('class', ('no', 'yes')))
    found = dataset.split('train').arrays
    self.assertEqual(found['numbers'].tolist(), [[1.5], [2], [-300], [4]])
    self.assertEqual(found['categories'].tolist(), [[2], [1], [2], [1]])
    self.assertEqual(found['label'].tolist(), [1, 0, 1, 0])
    words = [tokens.vocabularies[0][token] for token in found['tokens'][1]]
    self.assertEqual(words, ['rain', ',', 'and', 'then', ',', 'snow'])
    self.assertEqual(
        dataset.notes[:4],
        [
            'numbers: age.',
            'categories: town.',
            'text: note.',
            (
                'label: kind, a class (numbers= of the same name makes it a '
                'number).'
            ),
        ],
    )

  def test_the_query_overrules(self):
    dataset = self.open(
        _ROWS, 'label=age&numbers=age&text=town&ignore=note,kind'
    )
    self.assertEqual(list(dataset.spec), ['tokens', 'label'])
    dataset = self.open(_ROWS, 'label=age&categories=age,kind,note&ignore=town')
    self.assertEqual(dataset.spec['categories'].columns, ('note', 'kind'))
    self.assertEqual(
        dataset.spec['label'].class_names, ('-3e2', '1.5', '2', '4')
    )

  @parameterized.parameters(
      ('3 1 2 10', 'class', ('1', '2', '3', '10')),
      ('-1 1 +2 1', 'class', ('-1', '1', '+2')),
      ('1.0 2.0 1.0 2.0', 'numbers', ()),
      ('b a 1 1', 'class', ('1', 'a', 'b')),
      (' '.join(map(str, range(21))), 'numbers', ()),
      (' '.join(map(str, range(20))), 'class', tuple(map(str, range(20)))),
  )
  def test_labels(self, values, kind, names):
    lines = ['x,y', *(f'{i},{value}' for i, value in enumerate(values.split()))]
    label = self.open(lines, 'label=y').spec['label']
    self.assertEqual((label.kind, label.class_names), (kind, names))

  def test_several_numbers_as_label(self):
    lines = ['x,y,z', '1,2,3', '4,5,6']
    dataset = self.open(lines, 'label=z,y')
    self.assertEqual(dataset.spec['label'].columns, ('z', 'y'))
    self.assertEqual(
        dataset.split('train').arrays['label'].tolist(), [[3, 2], [6, 5]]
    )

  def test_several_classes_as_label(self):
    lines = ['x,y', '1,b|a', '2,', '3, b |c']
    dataset = self.open(lines, 'classes=y')
    self.assertEqual(dataset.spec['label'].class_names, ('a', 'b', 'c'))
    self.assertEqual(
        dataset.split('train').arrays['label'].tolist(),
        [[1, 1, 0], [0, 0, 0], [0, 1, 1]],
    )

  @parameterized.parameters(
      ('x;y\n1;a\n2;b\n', 'label=y'),
      ('x\ty\n1\ta\n2\tb\n', 'label=y'),
      ('x|y\n1|a\n2|b\n', 'label=y&separator=|'),
      ('x y\n1 a\n2 b\n', 'label=y&separator=space'),
      ('\ufeffx,y\r\n1,a\r\n\r\n2,b', 'label=y'),
      (' x , "y"\n 1,a \n2,"b"\n', 'label=y'),
      ('x,a&b\n1,a\n2,b\n', 'label=a%26b'),
  )
  def test_dialects(self, text, query):
    found = self.train(text, query)
    self.assertEqual(found['numbers'].tolist(), [[1], [2]])
    self.assertEqual(found['label'].tolist(), [0, 1])

  def test_quoted_line_breaks_and_long_cells(self):
    long = 'word ' * 60_000
    text = f'x,y\n"{long}",a\n"two lines\nand more, ""so""",b\n'
    self.assert_refused(
        "line 5, column 'y': nothing", f'{text}z z z,', 'label=y'
    )
    dataset = self.open(text, 'label=y&tokenizer=characters')
    self.assertEqual(dataset.spec['tokens'].tokenizer, 'characters')
    self.assertEqual(dataset.spec['tokens'].shape, (256,))

  def test_missing_values_that_may_be(self):
    lines = ['x,c,y', '1,,a', 'NA,d,b', '?,d,a', ',d,b']
    dataset = self.open(lines, 'label=y&missing=mean,category')
    found = dataset.split('train').arrays
    np.testing.assert_array_equal(
        found['numbers'][:, 0], [1, np.nan, np.nan, np.nan]
    )
    self.assertEqual(
        dataset.spec['categories'].vocabularies, (('', '(missing)', 'd'),)
    )
    self.assertIn(
        'x: 3 of 4 numbers are missing, and count as the mean.', dataset.notes
    )

  @parameterized.parameters(
      '', 'NA', 'na', 'N/A', 'NaN', 'null', 'None', '?', '-', ' NA ', '" "'
  )
  def test_what_is_missing_is_so_everywhere(self, cell):
    lines = ['x,c,y', '1,d,a', f'2,{cell},b', '3,d,a', '4,d,b', '5,e,b']
    query = 'label=y&missing='
    dataset = self.open(lines, f'{query}category')
    self.assertEqual(
        dataset.spec['categories'].vocabularies, (('', '(missing)', 'd', 'e'),)
    )
    self.assert_refused(
        "line 3, column 'c': .*; a category is", lines, 'label=y'
    )
    numbers = ['x,c,y', '1,d,a', f'{cell},d,b', '3,d,a', '4,e,b', '5,e,b']
    found = self.train(numbers, f'{query}mean')['numbers']
    np.testing.assert_array_equal(found[:, 0], [1, np.nan, 3, 4, 5])
    self.assert_refused(
        "line 3, column 'x': .*; a number is", numbers, 'label=y'
    )
    for label in ('a', '1.5', '1'):
      labels = ['x,y', f'1,{label}', f'2,{cell}', f'3,{label}']
      self.assert_refused(
          "line 3, column 'y': .*; a label cannot be missing; remove the row",
          labels,
          f'{query}mean,category',
      )
    if cell.strip('" '):
      self.assert_refused(
          "line 3, column 'y': .*; this means a missing label",
          ['x,y', '1,a|b', f'2,a|{cell.strip()}', '3,b'],
          'classes=y',
      )

  @parameterized.parameters(
      ('why?.csv', 'y', 'label=y'),
      ('a=b&c.csv', 'y', 'label=y'),
      ('50%20.csv', 'y', 'label=y'),
      ('t.csv', 'what?', 'label=what?'),
      ('t.csv', 'what?', 'label=what%3F'),
      ('t.csv', 'a&b', 'label=a%26b'),
      ('t.csv', 'a=b', 'label=a=b'),
      ('t.csv', 'a=b', 'label=a%3Db'),
      ('t.csv', 'a,b', 'label=a%2Cb'),
      ('t.csv', '100%', 'label=100%'),
      ('t.csv', '%41', 'label=%2541'),
      ('t.csv', 'g r', 'label=g%20r'),
      ('t.csv', 'größe', 'label=gr%C3%B6%C3%9Fe'),
  )
  def test_names_of_files_and_columns(self, file, column, query):
    self.path = self.path.with_name(file)
    dataset = self.open(f'x,"{column}"\n1,a\n2,b\n', query)
    self.assertIn(f'label: {column}, a class', ' '.join(dataset.notes))

  def test_splits_of_a_column(self):
    lines = ['x,y,part', '1,a,Train', '2,b,test', '3,a,val', '4,b,train']
    dataset = self.open(lines, 'label=y&split=part', options.Options())
    found = {
        split: dataset.split(split).arrays['numbers'].ravel().tolist()
        for split in hashing.SPLITS
    }
    self.assertEqual(found, {'train': [1, 4], 'validation': [3], 'test': [2]})

  def test_splits_by_hash_of_the_row(self):
    rows = [f'{i}, "{"ab"[i % 2]}"' for i in range(100)]
    dataset = self.open(['x,y', *rows], 'label=y', options.Options())
    for split in hashing.SPLITS:
      for number in dataset.split(split).arrays['numbers'].ravel():
        digest = hashlib.sha256(rows[int(number)].encode()).digest()
        tenth = int.from_bytes(digest[:8], 'big') * 10 >> 64
        expected = ['train'] * 8 + ['validation', 'test']
        self.assertEqual(split, expected[tenth])

  def test_vocabularies_are_of_the_training_split(self):
    lines = ['c,y,part', 'p,a,train', 'p,b,train', 'q,a,test', 'q,b,test']
    dataset = self.open(
        lines, 'label=y&split=part', options.Options(validation_split='none')
    )
    self.assertEqual(dataset.spec['categories'].vocabularies, (('', 'p'),))
    self.assertEqual(
        dataset.split('test').arrays['categories'].tolist(), [[0], [0]]
    )
    self.assertRegex(dataset.notes[-1], 'c: 2 of 2 values of test are not in')

  def test_columns_of_a_run_are_read_as_it_did(self):
    trained = self.open(_ROWS, 'label=age&numbers=age&ignore=kind').spec
    lines = ['town,age,new,note', 'Rome,7,1,"snow, and fog"', 'Ulm,7,2,']
    dataset = self.open(
        lines,
        'label=age&missing=category',
        options.Options(
            validation_split='none', test_split='none', like=trained
        ),
    )
    self.assertEqual(list(dataset.spec), list(trained))
    self.assertEqual(dataset.spec['label'], trained['label'])
    self.assertEqual(dataset.spec['tokens'], trained['tokens'])
    found = dataset.split('train').arrays
    words = [trained['tokens'].vocabularies[0][t] for t in found['tokens'][0]]
    self.assertEqual(words, ['snow', ',', 'and', '?', '', ''])
    self.assertEqual(dataset.spec['categories'].columns, ('town',))
    image = spec.Spec({
        'image': spec.Feature('image', (2, 2, 1), 'uint8'),
        'label': spec.Feature('class', (), 'int64', ('1', '2')),
    })
    with self.assertRaisesRegex(errors.DataError, 'the run takes image, which'):
      self.open(['a,b', '3,1'], 'label=b', options.Options(like=image))
    with self.assertRaisesRegex(errors.DataError, "no column 'town', which w"):
      self.open(['age,note', '1,a'], 'label=age', options.Options(like=trained))

  def test_columns_of_a_run_go_by_their_names(self):
    header, rows = 'a,b,c,d,t,u,y,z', [
        '1,2,p,q,it rains a lot,we go home,5,6',
        '3,4,p,q,it snows a lot,we stay here,7,8',
    ]
    query = 'label=y,z&categories=c,d&text=t,u'
    trained = self.open([header, *rows], query)
    names = header.split(',')[::-1]
    turned = [','.join(row.split(',')[::-1]) for row in rows]
    dataset = self.open(
        [','.join(names), *turned],
        query.replace('y,z', 'z,y'),
        options.Options(
            validation_split='none', test_split='none', like=trained.spec
        ),
    )
    self.assertEqual(dataset.spec, trained.spec)
    expected = trained.split('train').arrays
    for name, array in dataset.split('train').arrays.items():
      np.testing.assert_array_equal(array, expected[name], name)

  @parameterized.parameters(('wine', 'class'), ('diabetes', 'numbers'))
  def test_sets_of_scikit_learn(self, name, kind):
    found = getattr(sklearn_datasets, f'load_{name}')()
    lines = [','.join([*found.feature_names, 'target'])]
    for row, target in zip(found.data.tolist(), found.target.tolist()):
      lines.append(','.join(map(repr, [*row, target])))
    dataset = self.open(lines, 'label=target')
    self.assertEqual(dataset.spec['label'].kind, kind)
    self.assertEqual(
        dataset.spec['numbers'].columns, tuple(found.feature_names)
    )
    arrays = dataset.split('train').arrays
    np.testing.assert_array_equal(
        arrays['numbers'], found.data.astype(np.float32)
    )
    np.testing.assert_array_equal(arrays['label'], found.target)


class MistakesTest(_TableTest):

  @parameterized.parameters(
      ('', 'label=y', 'the file is empty; expected a row of column'),
      ('x,y\n', 'label=y', 'no rows after the column'),
      ('1,2\n3,4\n', 'label=y', 'line 1: 1, 2, ... are numbers; expected'),
      ('x,,y\n1,2,3\n', 'label=y', 'line 1: column 2 has no name'),
      ('x,y,x\n1,2,3\n', 'label=y', "line 1: two columns are named 'x'"),
      ('x,y\n1,2\n\n3,4,5\n', 'label=y', 'line 4 has 3 cells, the first row 2'),
      ('x,y\n1,2\n"3"4,5\n', 'label=y', 'line 3 cannot be read: .*quotation'),
      ('x,y\n1,"2\n', 'label=y', 'line 2 cannot be read: unexpected end'),
      ('x,y\n1,\0\n', 'label=y', 'line 2 contains a zero byte'),
      ('x,y\n1,2\n', 'label=why', "label: there is no column 'why'; there are"),
      ('x,kind\n1,2\n', 'label=knd', 'no column .knd.; did you mean kind'),
      ('x,y\n1,2\n', 'numbers=x', 'label: which column should be'),
      ('x,y\n1,2\n', 'lable=y', "'lable' is not one of .*; did you mean label"),
      ('x,y\n1,2\n', 'label=y&label=x', 'label= is given twice; join values'),
      ('x,y\n1,2\n', 'label=', 'label= has no value'),
      ('x,y\n1,2\n', 'label=y&ignore=x,y', "'y' is also named by label="),
      ('x,y\n1,2\n', 'label=y&text=x&ignore=x', "'x' is also named by text="),
      ('x,y\n1,2\n', 'label=y&classes=x', 'classes: the label is also named'),
      ('x,y\n1,2\n', 'classes=x,y', 'classes: expected one column, got x, y'),
      ('x,y\n1,2\n', 'label=y&ignore=x', 'no columns are left to predict'),
      ('x,y\n1,2\n', 'label=y&separator=ab', 'separator: expected one char'),
      ('x,y\n1,2\n', 'label=y&missing=median', 'missing: expected mean, cat'),
      ('x,y\na b c,2\n', 'label=y&tokenizer=word', 'tokenizer: expected one'),
      ('x,y\n,2\n3,2\n', 'label=y', "line 2, column 'x': nothing; a number"),
      ('x,y\n3,2\nNA,2\n', 'label=y', "line 3, column 'x': 'NA'; a number is"),
      ('x,y\n3,2\n1e39,2\n', 'label=y', "line 3, column 'x': '1e39'; expected"),
      ('x,y\n3,2\ninf,2\n', 'label=y', "line 3, column 'x': 'inf'; expected a"),
      ('x,y\n3,a\n4,\n', 'label=y&missing=mean', "line 3, column 'y': nothing"),
      ('x,y\n3,1.5\n4,\n', 'label=y', "line 3, column 'y': nothing; a label"),
      ('x,y\n3,a\n4,NA\n', 'label=y', "line 3, column 'y': 'NA'; a label can"),
      (
          'x,y\n1,1700000001\n2,1700000090\n',
          'label=y&numbers=y',
          (
              "column 'y': numbers around 1.7e.* differ by 44.5 are rounded by"
              ' up to'
          ),
      ),
      ('x,y\n1700000001,a\n1700000090,b\n', 'label=y', "column 'x': numbers"),
      ('x,y\n3,a\nb,a\n', 'label=y&numbers=x', "line 3, column 'x': 'b'; expe"),
      ('x,y\n1_0,a\n3,a\n', 'label=y&numbers=x', "line 2, .*'1_0'; expected"),
      ('x,y\nb,1\nb,2\n,2\n', 'label=y', "line 4, column 'x': nothing; a cat"),
      ('x,y\na b c,1\n,2\n', 'label=y&text=x', "line 3, column 'x': nothing"),
      ('x,y\nb,1\nc,2\n', 'label=y', "column 'x': 2 different values in 2 ro"),
      ('x,y\n,1\n,2\n', 'label=y', "column 'x': 0 different values .*nothing"),
      ('x,y,z\n1,2,3\n', 'label=y&split=z', "line 2, column 'z': '3'; exp"),
      ('x,y,z\n1,2,b\n', 'label=y,z', "line 2, column 'z': 'b'; expected a nu"),
      ('x,y,z\n1,2,3\n', 'label=y,z&categories=y', 'several labels, y, z'),
      ('x,y\n1,\n', 'classes=y', 'classes: no row has a class'),
      ('x,y\n..,1\n,,2\n', 'label=y', 'line 3 has 3 cells'),
  )
  def test_refuses(self, text, query, words):
    self.assert_refused(words, text, query)

  def test_refuses_other_encodings(self):
    self.assert_refused(
        'line 3: byte 0xe4 is not UTF-8; convert',
        'x,y\n1,a\n2,ä\n',
        'label=y',
        encoding='latin1',
    )

  def test_refuses_what_is_no_file(self):
    for path, words in (
        (self.path, 'no such file'),
        (self.path.parent, 'it is a directory; expected a .csv'),
    ):
      with self.assertRaisesRegex(errors.DataError, words):
        table.of_csv(f'{path}?label=y', _WHOLE)


if __name__ == '__main__':
  absltest.main()
