"""A name is given to the source of its prefix."""

from __future__ import annotations

import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from pipelines import options, sources
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
