"""Programs refuse damaged data in one line, and say what they leave out."""

from __future__ import annotations

import pathlib
import shutil
from unittest import mock

from absl.testing import absltest, parameterized

from tests import small_datasets
from tests.launch import runs
from tests.pipelines import damages

_SHORT = dict(num_steps=3, jit_compile='off', model_arg={'hidden_sizes': (4,)})


class DamagedDataTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.data = self.root / 'data'
    small_datasets.write(self.data, num_train=48, num_test=24, num_shards=2)
    self.folder = self.data / 'tiny_shapes' / '1.0.0'
    self.workdir = self.root / 'run'

  def train(self, **changes) -> runs.Ended:
    return runs.train(
        self.workdir,
        data=str(self.data),
        **{'validation_examples': 12, **_SHORT, **changes},
    )

  def evaluate(self, split: str) -> runs.Ended:
    return runs.call(
        'evaluate',
        f'--workdir={self.workdir}',
        f'--data_dir={self.data}',
        f'--split={split}',
    )

  def assert_refused(self, ended: runs.Ended, *words: str) -> None:
    self.assertEqual(ended.code, 2, ended.err)
    self.assertEqual(ended.err.count('\n'), 1, ended.err)
    for word in words:
      self.assertRegex(ended.err, word)

  @parameterized.parameters(
      ('test', 'cut image', 4.0),
      ('test', 'flipped', 0.0),
      ('train', 'missing', 4.0),
      ('train', 'large label', 0.0),
  )
  def test_before_the_first_step(self, split, damage, resident_gb):
    every = {**damages.EXAMPLES, **damages.FILES}
    every[damage][0](self.folder, split)
    ended = self.train(resident_gb=resident_gb)
    self.assert_refused(ended, f'split {split}', str(self.folder), 'prepare')
    self.assertEqual(ended.out, '')
    self.assertFalse(self.workdir.exists())

  @parameterized.parameters('no image', 'negative label')
  def test_as_it_is_read(self, damage):
    damages.EXAMPLES[damage][0](self.folder, 'train')
    no_room = mock.Mock(free=0)
    with mock.patch.object(shutil, 'disk_usage', return_value=no_room):
      ended = self.train(resident_gb=0.0, test_split='none')
    self.assert_refused(ended, 'split train: example 26 ', 'backup')

  def test_a_test_without_labels_is_left_out(self):
    damages.set_label(self.folder, 'test', None)
    ended = self.train()
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertRegex(ended.out, 'split test: all 24 labels are -1.*left out')
    self.assertNotIn('test', runs.result(self.workdir))
    self.assert_refused(
        self.evaluate('test'), '--split=test: .* all 24 labels are -1'
    )

  def test_splits_are_named(self):
    changes = {
        'validation_examples': None,
        'validation_split': 'test[:50%]',
        'test_split': 'train[30:]',
    }
    self.assertEqual(self.train(**changes).code, 0)
    result = runs.result(self.workdir)
    self.assertEqual(result['num_train_examples'], 30)
    self.assertEqual(result['num_validation_examples'], 12)
    self.assertEqual(result['num_test_examples'], 18)
    self.assertEqual(self.evaluate('test').code, 0)
    ended = self.train(**{**changes, 'test_split': 'none'})
    self.assert_refused(ended, '--test_split: none, not train')


if __name__ == '__main__':
  absltest.main()
