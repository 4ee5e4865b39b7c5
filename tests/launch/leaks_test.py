"""Tests that a long run holds no more than a short one.

Memory, open files, threads and temporary files after 20 epochs are as after 2,
with a validation, a checkpoint, rows and summaries in each.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from absl.testing import absltest, parameterized

from tests.launch import runs

_HOOK = pathlib.Path(__file__).with_name('watching.py')
_MOST = 1.03
_NUM_EPOCHS = 20


class LeaksTest(parameterized.TestCase):

  def watch(self, *flags):
    """Trains for 20 epochs; returns what was held after each."""
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'temporary').mkdir()
    path = folder / 'held.jsonl'
    ended = runs.finish(
        runs.start(
            'train',
            f'--workdir={folder}/run',
            f'--data_dir={runs.data_dir()}',
            '--dataset=tiny_shapes',
            '--validation_examples=25',
            '--global_batch_size=12',
            f'--num_epochs={_NUM_EPOCHS}',
            '--checkpoint_every_steps=20',
            '--log_every_steps=5',
            '--hash_every_steps=10',
            '--early_stopping_patience=1000',
            f'--hooks={_HOOK}:Watch',
            f'--hook_arg=Watch.path={path}',
            *flags,
            environment={'TMPDIR': str(folder / 'temporary')},
        ),
        timeout_s=900,
    )
    self.assertEqual(ended.code, 0, ended)
    held = [json.loads(line) for line in path.read_text().splitlines()]
    self.assertLen(held, _NUM_EPOCHS)
    return held

  def check(self, *flags):
    held = self.watch(*flags)
    early, late = held[1], held[-1]
    resident = [row['resident_kb'] for row in held]
    self.assertLessEqual(
        late['resident_kb'], _MOST * early['resident_kb'], resident
    )
    self.assertEqual(
        late['num_threads'],
        early['num_threads'],
        [row['num_threads'] for row in held],
    )
    self.assertEqual(late['temporary'], early['temporary'])
    # A checkpoint is written while the run goes on: its files, and the folders
    # that are synchronized, may be open at any one epoch, but not at each.
    open_files = [len(row['files']) for row in held]
    self.assertLessEqual(min(open_files[-5:]), max(open_files[1:3]), held[-1])

  @pytest.mark.medium
  def test_resident(self):
    self.check('--model=mlp', '--jit_compile=off')

  @parameterized.parameters(
      (('--model=mlp', '--resident_gb=0'),),
      (('--model=convnet', '--jit_compile=on', '--ema_decay=0.99'),),
      (
          (
              '--model=convnet',
              '--resident_gb=0',
              '--num_virtual_devices=2',
              '--micro_batch_size=3',
          ),
      ),
  )
  @pytest.mark.slow
  def test_however_it_is_computed(self, flags):
    self.check(*flags)


if __name__ == '__main__':
  absltest.main()
