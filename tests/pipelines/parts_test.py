"""Each example is trained on, validated or tested with as the flags say."""

from __future__ import annotations

from unittest import mock

import tensorflow_datasets as tfds
from absl.testing import absltest, parameterized

from pipelines import errors, parts


def _builder(**lengths: list[int]) -> mock.Mock:
  """Returns what of a builder is looked at: the lengths of files."""
  template = tfds.core.ShardedFileTemplate(
      data_dir=tfds.core.Path('/data'),
      dataset_name='shapes',
      filetype_suffix='tfrecord',
  )
  builder = mock.Mock(data_dir='/data')
  builder.name = 'shapes'
  builder.info.splits = tfds.core.splits.SplitDict([
      tfds.core.SplitInfo(
          name=name,
          shard_lengths=shards,
          num_bytes=0,
          filename_template=template.replace(split=name),
      )
      for name, shards in lengths.items()
  ])
  return builder


class ChooseTest(parameterized.TestCase):

  def choose(self, *, lengths=None, **arguments) -> dict[str, tuple]:
    given = lengths or {'train': [20, 4], 'test': [6], 'dev': [3]}
    chosen = parts.choose(_builder(**given), **arguments)
    self.assertEqual([*chosen], [n for n in parts.ORDER if n in chosen])
    return {
        name: (part.split, part.start, part.stop)
        for name, part in chosen.items()
    }

  @parameterized.parameters(
      ({}, ('train', 2, 24), ('train', 0, 2), ('test', 0, 6)),
      (
          dict(validation_examples=5),
          ('train', 5, 24),
          ('train', 0, 5),
          ('test', 0, 6),
      ),
      (dict(validation_examples=0), ('train', 0, 24), None, ('test', 0, 6)),
      (dict(validation_split='none'), ('train', 0, 24), None, ('test', 0, 6)),
      (
          dict(validation_split='dev', test_split='none'),
          ('train', 0, 24),
          ('dev', 0, 3),
          None,
      ),
      (
          dict(validation_split='train[:5]', test_split='train[75%:]'),
          ('train', 5, 18),
          ('train', 0, 5),
          ('train', 18, 24),
      ),
      (  # Held out of what is left.
          dict(validation_examples=2, test_split='train[:1shard]'),
          ('train', 22, 24),
          ('train', 20, 22),
          ('train', 0, 20),
      ),
      (
          dict(validation_split='test[:2]', test_split='test[2:]'),
          ('train', 0, 24),
          ('test', 0, 2),
          ('test', 2, 6),
      ),
      (  # One after the other, and one within the other.
          dict(validation_split='train[4:9]', test_split='train[:4]'),
          ('train', 9, 24),
          ('train', 4, 9),
          ('train', 0, 4),
      ),
  )
  def test_parts(self, arguments, train, validation, test):
    chosen = self.choose(**arguments)
    self.assertEqual(chosen['train'], train)
    self.assertEqual(chosen.get('validation'), validation)
    self.assertEqual(chosen.get('test'), test)

  @parameterized.parameters(
      (dict(test_split='tset'), "test_split: 'tset' is not a .*dev.*'none'"),
      (dict(test_split='train[30:]'), 'test_split: .*30'),
      (dict(test_split='test[2:2]'), 'holds no examples'),
      (dict(test_split=''), "test_split: '' is not a split"),
      (dict(test_split='test[a:]'), 'is not a split'),
      (dict(validation_split='test+dev'), 'joins several'),
      (dict(test_split='all'), 'joins several'),
      (dict(test_split='train[5:9]'), r'train\[5:9\] .* middle'),
      (dict(test_split='train'), 'no example .* left'),
      (
          dict(validation_split='train[:12]', test_split='train[12:]'),
          'no example .* left',
      ),
      (
          dict(validation_split='none', validation_examples=3),
          'give only one of the two',
      ),
      (dict(validation_examples=24), r'24 is not in \[0, 24\)'),
      (dict(validation_examples=-1), '-1 is not in'),
      (dict(lengths={'test': [3]}), "no split 'train'; it has test"),
      (dict(lengths={'train': []}), 'train: .* hold 0 examples'),
      (
          dict(lengths={'train': [9], 'test': [0]}),
          'test: .* 0 examples.*test_split=none',
      ),
      (dict(lengths={'train': [9, -1]}), 'train: .* 8 examples'),
  )
  def test_refuses(self, arguments, words):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.choose(**arguments)
    self.assertNotIn('\n', str(context.exception))


if __name__ == '__main__':
  absltest.main()
