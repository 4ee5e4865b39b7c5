"""Tests of launch.hooks.health: what ends a run, what is said and saved."""

from __future__ import annotations

import math
import pathlib
import re
import shutil
import signal
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import training, variables
from launch.hooks import health
from launch.settings import arguments
from launch.sweeps import trials
from tests import small_datasets
from tests.launch import runs

_GROWS = dict(  # The learning rate, until an update breaks the weights.
    optimizer='sgd',
    schedule='exponential',
    schedule_arg={'end_factor': 1e60},
    learning_rate=1e-3,
)
_BREAKS = dict(optimizer='sgd', l2_penalty=1e30, learning_rate=1e10)
_STANDARDIZED = """
import sonnet as snt
import tensorflow as tf


class Net(snt.Module):

  def __init__(self, num_classes):
    super().__init__()
    self.body = snt.nets.MLP([8, num_classes])

  def __call__(self, images):
    x = snt.flatten(tf.cast(images, tf.float32))
    mean, variance = tf.nn.moments(x, axes=1, keepdims=True)
    return self.body((x - mean) / tf.sqrt(variance))
"""
_OVERFLOWS = dict(precision='float16', class_weights=(1.0, 1.0, 1.0, 1e5))


def _checkpoints(workdir):
  return sorted(
      int(path.stem.split('-')[1])
      for path in (workdir / 'checkpoints').glob('ckpt-*.index')
  )


class NonFiniteTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def assert_ends(self, pattern, **changes):
    """Trains; expects one line, and nothing saved that is not finite."""
    workdir = self.root / 'run'
    ended = runs.train(workdir, **changes)
    self.assertEqual(ended.code, 1)
    self.assertRegex(ended.err, pattern)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((workdir / 'result.json').exists())
    for row in runs.rows(workdir):
      self.assertTrue(np.isfinite(row['loss']))
    for path in (workdir / 'checkpoints').glob('*.index'):
      reader = tf.train.load_checkpoint(str(path.with_suffix('')))
      for name, dtype in reader.get_variable_to_dtype_map().items():
        if dtype.is_floating:
          self.assertTrue(np.isfinite(reader.get_tensor(name)).all(), name)
    return workdir, ended.err

  @parameterized.parameters(1, 2)
  @pytest.mark.medium
  def test_stops_at_the_step(self, num_replicas):
    changes = dict(
        optimizer='sgd', checkpoint_every_steps=1, num_replicas=num_replicas
    )
    with runs.signal_at(4, signal.SIGTERM):
      runs.train(self.root / 'run', learning_rate=1e30, **changes)
    saved = _checkpoints(self.root / 'run')
    workdir, error = self.assert_ends(
        r'^.*: the loss of step [2-4] is not finite; these variables are not '
        r'finite: model/hidden/0/linear/b, model/hidden/0/linear/w, .*\n$',
        learning_rate=1e30,
        **changes,
    )
    self.assertIn(f'The last checkpoint is of step {saved[-1]}; a sm', error)
    self.assertEqual(_checkpoints(workdir), saved)

  def test_before_the_first_checkpoint(self):
    workdir, _ = self.assert_ends(
        'There is no checkpoint yet; a smaller',
        optimizer='sgd',
        learning_rate=1e30,
        checkpoint_every_steps=None,
    )
    self.assertEqual(_checkpoints(workdir), [])

  @parameterized.parameters(
      {'checkpoint_every_steps': 1},  # Saved after each step.
      {'num_steps': 1},  # Saved at the end.
  )
  def test_broken_by_an_update_after_a_finite_loss(self, **changes):
    self._assert_is_not_saved(**changes)

  @pytest.mark.slow
  def test_broken_when_a_signal_comes(self):
    self._assert_is_not_saved(signal_at=1)

  def _assert_is_not_saved(self, signal_at=None, **changes):
    with runs.signal_at(signal_at or 10**9, signal.SIGTERM):
      workdir, error = self.assert_ends(
          'these variables are not finite after step 1, which is not saved: '
          'model/hidden/0/linear/w, model/output/linear/w. They broke in this '
          'step; its batch has the training examples ',
          **_BREAKS,
          **changes,
      )
    self.assertEqual(_checkpoints(workdir), [])
    self.assertIn('There is no checkpoint yet', error)

  # More than a user may ask for.
  @mock.patch.object(arguments, '_MAX_FLOAT', math.inf)
  @mock.patch.object(trials, 'MAX_LEARNING_RATE', math.inf)
  def test_names_the_step_of_the_update_and_its_examples(self):
    workdir, error = self.assert_ends(
        'loss of step .* is not finite', checkpoint_every_steps=5, **_GROWS
    )
    last, broken, listed = re.search(
        r'loss of step (\d+) .* broke in step (\d+), whose loss was finite; '
        r'its batch has the training examples ([\d, ]+) and 4 more\. The last',
        error,
    ).groups()
    broken = int(broken)
    self.assertEqual(int(last), broken + 1)
    self.assertEqual(max(_checkpoints(workdir)), broken - 1 - (broken - 1) % 5)
    epoch, row = divmod(broken - 1, runs.STEPS_PER_EPOCH)
    rows = small_datasets.in_memory(
        np.zeros([runs.NUM_TRAIN, 1, 1, 1], np.uint8)
    ).train_keys(0, epoch, runs.BATCH_SIZE)
    self.assertEqual(
        [int(each) for each in listed.split(', ')],
        rows[row].numpy()[:8].tolist(),
    )

  @parameterized.parameters(1, 2)
  @pytest.mark.slow
  @mock.patch.object(arguments, '_MAX_FLOAT', math.inf)
  @mock.patch.object(trials, 'MAX_LEARNING_RATE', math.inf)
  def test_the_step_is_the_one_that_saving_each_finds(self, num_replicas):
    changes = dict(resident_gb=0.0, num_replicas=num_replicas, **_GROWS)
    workdir, _ = self.assert_ends(
        'after step', checkpoint_every_steps=1, log_every_steps=1, **changes
    )
    broken = max(_checkpoints(workdir)) + 1
    shutil.rmtree(workdir)
    self.assert_ends(
        f'broke in step {broken}, whose loss was finite',
        checkpoint_every_steps=5,
        **changes,
    )

  @parameterized.parameters({'num_replicas': 2}, {'jit_compile': 'off'})
  def test_names_the_example_that_breaks_the_loss_by_itself(self, **changes):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, [60, 4, 4, 1], np.uint8)
    image[23] = 0  # It has no deviation to divide by.
    label = image[:, 0, 0, 0] // 128
    np.savez(self.root / 'images.npz', image=image, label=label)
    (self.root / 'nets.py').write_text(_STANDARDIZED)
    changes |= dict(
        dataset=f'npz:{self.root}/images.npz',
        validation_split='none',
        test_split='none',
        validation_examples=None,
        model=f'{self.root}/nets.py:Net',
        model_arg={},
        checkpoint_every_steps=None,
    )
    self.assert_ends(
        r'these variables are not finite.* The loss is not finite for these '
        r'training examples alone: 23\. There is no checkpoint yet; fix or ',
        **changes,
    )

  @pytest.mark.slow
  def test_what_an_older_version_saved(self):
    workdir = self.root / 'run'
    with (
        mock.patch.object(variables, 'non_finite', return_value=[]),
        runs.signal_at(1, signal.SIGTERM),
    ):
      runs.train(workdir, **_BREAKS)
    ended = runs.train(workdir, **_BREAKS)
    self.assertEqual(ended.code, 2)
    self.assertRegex(
        ended.err,
        'ckpt-1: these variables are not finite: model/hidden/0/linear/w, .* '
        'remove its files to go on from the one before',
    )


class SkippedStepsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def test_are_counted_said_and_left_out(self):
    ended = runs.train(self.root / 'run', **_OVERFLOWS)
    self.assertEqual((ended.code, ended.err), (0, ''))
    rows = runs.rows(self.root / 'run', 'train')
    counts = [row['skipped_steps'] for row in rows]
    self.assertEqual(counts[0], 7)
    self.assertEqual(
        runs.result(self.root / 'run')['skipped_steps'], sum(counts)
    )
    self.assertIn('7 step(s) up to step 7 were skipped: ', ended.out)
    self.assertTrue(all(np.isfinite(row['loss']) for row in rows))
    self.assertLess(rows[-1]['loss'], rows[0]['loss'])

  @pytest.mark.slow
  def test_are_counted_on_by_a_run_that_is_resumed(self):
    runs.train(self.root / 'run', **_OVERFLOWS)
    rows = runs.rows(self.root / 'run', 'train')
    with runs.signal_at(10, signal.SIGTERM):
      runs.train(self.root / 'other', **_OVERFLOWS)
    runs.train(self.root / 'other', **_OVERFLOWS)
    self.assertEqual(runs.rows(self.root / 'other', 'train'), rows)

  def test_a_run_that_skips_none_says_nothing(self):
    for row in runs.rows(runs.finished()):
      self.assertNotIn('skipped_steps', row)
    self.assertNotIn('skipped_steps', runs.result(runs.finished()))

  def test_too_many_in_a_row_end_the_run(self):
    ended = runs.train(
        self.root / 'run', max_skipped_steps=5, log_every_steps=5, **_OVERFLOWS
    )
    self.assertEqual(ended.code, 1)
    self.assertRegex(
        ended.err,
        r'^.*: 5 steps in a row were skipped by step 5: their gradients were '
        r'not finite; the loss scale is 64; the run ends after '
        r'--max_skipped_steps=5\. There is no checkpoint yet; .*\n$',
    )
    self.assertFalse((self.root / 'run' / 'result.json').exists())

  def test_if_none_was_taken_the_run_is_no_success(self):
    ended = runs.train(self.root / 'run', num_steps=2, **_OVERFLOWS)
    self.assertEqual(ended.code, 1)
    self.assertRegex(ended.err, '^.*: all 2 steps of the run were skipped: .*')
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((self.root / 'run' / 'result.json').exists())

  @pytest.mark.slow
  def test_a_checkpoint_of_a_version_that_did_not_count(self):
    workdir = self.root / 'run'
    with (
        mock.patch.object(health.Health, 'counts', return_value={}),
        mock.patch.object(
            training.TrainState, 'named_variables', _without_counts
        ),
        runs.signal_at(25, signal.SIGTERM),
    ):
      runs.train(workdir, **_OVERFLOWS)
    ended = runs.train(workdir, **_OVERFLOWS)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('skipped_steps', runs.result(workdir))


_named_variables = training.TrainState.named_variables


def _without_counts(state):
  named = _named_variables(state)
  return {n: v for n, v in named.items() if not n.startswith('skipped/')}


if __name__ == '__main__':
  absltest.main()
