"""Tests of `launch.train --overfit_batch`."""

from __future__ import annotations

import math
import pathlib
import re

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from launch.training import overfitting
from tests.launch import runs
from tests.launch.tasks import small_sets

_SAID = re.compile(
    r'the loss of one batch went from ([\d.]+) to ([\d.]+) in (\d+) steps; the '
    r'lowest known is ([\d.]+)'
)


def _overfit(*arguments):
  return runs.call('train', '--overfit_batch', *arguments)


def _set(name):
  return f'--dataset={small_sets.__file__}:{name}'


class OverfittingTest(parameterized.TestCase):

  def assert_learned(self, ended):
    """Checks how it ended; returns the first, last and lowest loss."""
    self.assertEqual((ended.code, ended.err), (0, ''), ended)
    first, last, steps, lowest = map(float, _SAID.search(ended.out).groups())
    self.assertLessEqual(last, lowest + 0.0101 * (first - lowest) + 1e-4)
    self.assertBetween(steps, 1, overfitting.NUM_STEPS)
    self.assertTrue(ended.out.endswith('is learned. Nothing was written.\n'))
    return first, last, lowest

  @parameterized.parameters(
      'classification', 'multi_label', 'regression', 'text', 'segmentation'
  )
  @pytest.mark.medium
  def test_every_task_learns_a_batch(self, name):
    ended = _overfit(
        _set(name),
        '--global_batch_size=8',
        '--learning_rate=0.01',
        '--seed=1',  # Texts of the same words are then of the same class.
    )
    _, last, lowest = self.assert_learned(ended)
    self.assertLess(lowest, 1e-3)
    self.assertLess(last, 0.05)

  def test_smoothing_has_a_floor_and_what_holds_a_loss_up_is_off(self):
    folder = pathlib.Path(runs.scratch(self))
    config = runs.config(
        label_smoothing=0.1,
        random_flip='random',
        l2_penalty=0.1,
        ema_decay=0.99,
        schedule='cosine',
        workdir=str(folder / 'run'),
        learning_rate=0.01,
        model_arg={'hidden_sizes': (64,), 'dropout_rate': 0.1},
    )
    ended = _overfit(*runs.arguments(config))
    _, _, lowest = self.assert_learned(ended)
    self.assertEqual(list(folder.iterdir()), [])
    num_classes = 4
    # What is left is the entropy of a label.
    probabilities = np.full(num_classes, 0.1 / num_classes)
    probabilities[0] += 0.9
    entropy = -np.sum(probabilities * np.log(probabilities))
    self.assertAlmostEqual(lowest, entropy, places=3)
    [note] = [each for each in ended.out.splitlines() if 'ignores' in each]
    for flag in ('random_flip', 'l2_penalty', 'ema_decay', 'schedule'):
      self.assertIn(f'--{flag}', note)
    self.assertNotIn('dropout', note)

  def test_what_cannot_be_learned_fails(self):
    ended = _overfit(
        _set('classification'),
        '--global_batch_size=8',
        '--learning_rate=0',
        '--num_steps=25',
    )
    self.assertEqual((ended.code, ended.err.count('\n')), (1, 1))
    first, last, steps, _ = map(float, _SAID.search(ended.err).groups())
    self.assertEqual((first, steps), (last, 25))
    self.assertIn('; expected 0.', ended.err)

  def test_a_loss_that_is_not_finite_fails(self):
    ended = _overfit(
        _set('regression'),
        '--global_batch_size=8',
        '--optimizer=sgd',
        '--learning_rate=1e30',
    )
    self.assertEqual((ended.code, ended.err.count('\n')), (1, 1))
    self.assertRegex(ended.err, r'the loss of step \d+ is not finite')

  @parameterized.parameters(
      ('--model=mpl', '--model=mpl: unknown'),
      ('--global_batch_size=41', '41 is more than the 40 training examples'),
  )
  def test_mistakes(self, argument, message):
    ended = _overfit(_set('classification'), argument)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)


class LowestTest(absltest.TestCase):

  def test_of_a_loss_with_a_kink_it_is_not_known(self):
    ended = _overfit(
        _set('regression'),
        '--global_batch_size=8',
        '--learning_rate=0.01',
        '--loss=absolute_error',
        '--num_steps=3',
    )
    self.assertEqual(ended.code, 1)
    self.assertTrue(math.isclose(float(_SAID.search(ended.err)[4]), 0))


if __name__ == '__main__':
  absltest.main()
