"""Tests of the flags of augmentation, through whole runs."""

from __future__ import annotations

import json
import pathlib
import signal

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from tests.launch import runs

_TRAINING = dict(random_flip='alternating', max_shift=1, random_erasing=0.5)


class AugmentationTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def train(self, name, code=0, **changes):
    workdir = self.root / name
    ended = runs.train(workdir, **changes)
    self.assertEqual(ended.code, code, ended.err)
    return workdir

  @pytest.mark.slow
  def test_interrupted_twice(self):
    changes = dict(
        _TRAINING,
        test_time_augmentation='flip_shift',
        precision='bfloat16',
        ema_decay=0.9,
        checkpoint_every_steps=9,
    )
    whole = self.train('whole', **changes)
    for step in (5, 23):
      with runs.signal_at(step, signal.SIGTERM):
        workdir = self.train('run', code=143, **changes)
    self.train('run', **changes)
    self.assertEqual(runs.digest(workdir), runs.digest(whole))
    self.assertEqual(runs.rows(workdir), runs.rows(whole))
    self.assertEqual(runs.result(workdir)['test'], runs.result(whole)['test'])
    self.assertEqual(runs.result(workdir)['num_train_step_traces'], 1)

  @parameterized.parameters(
      {}, {'global_batch_size': 13}, {'global_batch_size': 13, 'resident_gb': 0}
  )
  @pytest.mark.medium
  def test_any_number_of_replicas_gives_the_same(self, **batches):
    """Also if they do not divide a batch, resident or streamed."""
    changes = dict(
        _TRAINING,
        **batches,
        test_time_augmentation='flip_shift',
        optimizer='sgd',
        learning_rate=0.1,
        log_every_steps=1,
        num_steps=9,
    )
    one, three = (
        runs.rows(self.train(str(n), num_replicas=n, **changes)) for n in (1, 3)
    )
    for row, same in zip(one, three, strict=True):
      self.assertEqual(row['step'], same['step'])
      np.testing.assert_allclose(row['loss'], same['loss'], rtol=1e-4)

  @pytest.mark.medium
  def test_views_are_of_evaluation_alone(self):
    workdir = self.train('run', test_time_augmentation='flip_shift')
    plain = runs.finished()
    self.assertEqual(runs.digest(workdir), runs.digest(plain))
    self.assertEqual(runs.rows(workdir, 'train'), runs.rows(plain, 'train'))
    for row, other in zip(
        runs.rows(workdir, 'validation'),
        runs.rows(plain, 'validation'),
        strict=True,
    ):
      self.assertNotEqual(row['loss'], other['loss'])
      self.assertEqual(row['num_examples'], other['num_examples'])
    ended = runs.call('evaluate', f'--workdir={workdir}')
    self.assertEqual((ended.code, ended.err), (0, ''))
    scored = json.loads((workdir / 'evaluation_test.json').read_text())
    self.assertEqual(scored['values'], runs.result(workdir)['test']['values'])
    # An export is the model without views, and is compared with that.
    ended = runs.call('export', f'--workdir={workdir}', '--formats=saved_model')
    self.assertEqual((ended.code, ended.err), (0, ''))
    parity = json.loads((workdir / 'exports' / 'parity.json').read_text())
    self.assertTrue(all(row['agrees'] for row in parity['exports']))


if __name__ == '__main__':
  absltest.main()
