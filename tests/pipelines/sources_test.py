"""A name is given to the source of its prefix."""

from __future__ import annotations

import os
import pathlib
import re
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import errors, options, sources
from tests import small_datasets


class OpenDatasetTest(parameterized.TestCase):

  @parameterized.parameters(
      ('csv:a.csv?label=x', 'csv', 'a.csv?label=x'),
      ('folder:some/where', 'folder', 'some/where'),
      ('npz:a:b.npz', 'npz', 'a:b.npz'),
      ('tfds:beans?label=label', 'tfds', 'beans?label=label'),
  )
  def test_prefixes(self, name, prefix, rest):
    source = mock.Mock()
    with mock.patch.dict(sources._SOURCES, {prefix: source}):
      opened = sources.open_dataset(name, max_tokens=7)
    source.assert_called_once_with(rest, options.Options(max_tokens=7))
    self.assertIs(opened, source.return_value)

  @parameterized.parameters(
      ('houses.csv', 'csv:houses.csv?label=COLUMN'),
      ('a/houses.CSV?label=x&ignore=y', 'csv:a/houses.CSV?label=x&ignore=y'),
      ('houses.tsv', 'csv:houses.tsv?label=COLUMN'),
      ('../digits.npz', 'npz:../digits.npz'),
      ('{}/photos', 'folder:{}/photos'),
      ('photos', 'folder:photos'),
  )
  def test_a_path_is_answered_with_its_prefix(self, name, meant):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(folder)
    pathlib.Path('photos').mkdir()
    with self.assertRaisesRegex(
        errors.DataError, f' {re.escape(meant.format(folder))}[.?]$'
    ):
      sources.open_dataset(name.format(folder), data_dir=folder)

  def test_what_is_wrong_of_a_set_is_said_to_be_of_it_once(self):
    with tempfile.TemporaryDirectory() as folder:
      path = f'{folder}/t.csv'
      pathlib.Path(path).write_text('x,y\n1,2\n')
      np.savez(f'{folder}/t.npz', weight=np.ones([50, 2]), label=[0, 1] * 25)
      load = lambda: {'train': {'x': []}, 'test': {'x': [1.5]}}
      for name, function, words in (
          (f'csv:{path}?label=y&validation=1', None, 'not one of label'),
          (f'csv:{path}?label=z', None, 'no column'),
          (f'npz:{folder}/t.npz', None, "a feature is named 'weight'"),
          ('mine:load', load, 'no training examples'),
      ):
        with self.assertRaisesRegex(errors.DataError, words) as context:
          sources.open_dataset(name, function)
        self.assertEqual(str(context.exception).count('dataset: '), 1)
        self.assertStartsWith(str(context.exception), 'dataset: ')

  def test_a_function_needs_no_prefix(self):
    rows = {'numbers': [[1.5]] * 50, 'label': ['no', 'yes'] * 25}
    opened = sources.open_dataset('csv:mine', load=lambda: rows)
    self.assertEqual(opened.name, 'csv:mine')
    self.assertEqual(sum(opened.num_examples.values()), 50)

  def test_a_bare_name_is_of_tfds(self):
    with tempfile.TemporaryDirectory() as folder:
      small_datasets.write(folder, num_train=12, num_test=0)
      for name in ('tiny_shapes', 'tfds:tiny_shapes'):
        opened = sources.open_dataset(name, data_dir=folder)
        self.assertEqual(opened.num_examples, {'train': 11, 'validation': 1})
      self.assertEqual(sources.route('tiny_shapes', folder), 'prepared')


if __name__ == '__main__':
  absltest.main()
