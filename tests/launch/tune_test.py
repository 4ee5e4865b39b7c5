"""Tests of launch.tune.

Covers: tuning.search, tuning.curve.
"""

from __future__ import annotations

import os
import pathlib
import re
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import programs
from launch.tuning import search as tuning
from tests.launch import runs
from tests.launch.tasks import small_sets

_LAST = re.compile(r'--(\w+)=([\d.e+-]+): (.*) (\S+\.png)\n$')


class TuneTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))

  def tune(self, subject, *arguments, **changes):
    """Runs the program, which is to write its picture and nothing else."""
    config = runs.config(workdir=str(self.folder / 'run'), **changes)
    output = self.folder / 'curve.png'
    ended = runs.call(
        'tune',
        subject,
        *runs.arguments(config),
        f'--output={output}',
        *arguments,
    )
    self.assertEqual((ended.code, ended.err), (0, ''), ended)
    self.assertEqual(list(self.folder.iterdir()), [output])
    picture = tf.io.decode_png(output.read_bytes()).numpy()
    self.assertGreater(len(np.unique(picture)), 20)
    name, value, reason, path = _LAST.search(ended.out).groups()
    self.assertEqual(path, str(output))
    rows = re.findall(r'^ +([\d.e+-]+) +([\d,.e+-]+) *(█*)$', ended.out, re.M)
    return name, float(value), reason, rows

  def test_learning_rate(self):
    name, value, reason, rows = self.tune('learning_rate')
    self.assertEqual(name, 'learning_rate')
    self.assertBetween(value, 1e-4, 1e-1)  # Adam on a small network.
    self.assertIn('falls most steeply at', reason)
    losses = [float(loss) for _, loss, _ in rows]
    self.assertLess(min(losses), 0.8 * losses[0])
    bars = [len(bar) for *_, bar in rows]
    self.assertEqual(max(bars), 40)
    self.assertEqual(np.argmin(bars), np.argmin(losses))

  def test_learning_rate_of_another_task_between_others(self):
    _, value, reason, rows = self.tune(
        'learning_rate',
        '--values=1e-5,1',
        model='tabular',
        model_arg={},
        dataset=f'{small_sets.__file__}:regression',
        validation_examples=None,
    )
    self.assertEqual(float(rows[0][0]), 1e-5)
    self.assertBetween(value, 1e-5, 1)
    self.assertIn('--schedule', reason)

  @pytest.mark.medium
  def test_batch_size(self):
    name, value, reason, rows = self.tune('batch_size', '--values=4,8,16,999')
    self.assertEqual(name, 'global_batch_size')
    self.assertEqual([float(size) for size, *_ in rows], [4, 8, 16])
    rates = {
        float(size): float(rate.replace(',', '')) for size, rate, _ in rows
    }
    near = [s for s, rate in rates.items() if rate >= 0.9 * max(rates.values())]
    self.assertEqual(value, min(near))
    self.assertIn(f'there are {runs.NUM_TRAIN} examples', reason)
    self.assertRegex(reason, r'the peak was [\d.]+ of [\d.]+ GB')

  @pytest.mark.medium
  def test_steps_per_loop(self):
    name, value, reason, rows = self.tune('steps_per_loop')
    self.assertEqual(name, 'steps_per_loop')
    # No more than an epoch has.
    self.assertEqual([float(size) for size, *_ in rows], [1, 2, 4, 8, 16])
    self.assertGreater(value, 1)  # A call takes longer than a step.
    self.assertIn('steps per second', reason)

  @pytest.mark.medium
  def test_other_processes(self):
    for load in (0.0, 99.0):
      with mock.patch.object(os, 'getloadavg', lambda load=load: (load, 0, 0)):
        ended = runs.call(
            'tune',
            'steps_per_loop',
            *runs.arguments(runs.config()),
            '--values=1,2',
            f'--output={self.folder}/{load}.png',
        )
      self.assertEqual(ended.code, 0, ended)
      self.assertEqual('its load is 99.0' in ended.out, load > 1)
      self.assertNotIn('\n\n', ended.out)

  def test_a_run_afterwards_has_the_weights_of_one_before(self):
    self.tune('learning_rate', num_steps=3)
    self.assertEqual(runs.train(self.folder / 'run').code, 0)
    self.assertEqual(
        runs.digest(self.folder / 'run'), runs.digest(runs.finished())
    )

  @parameterized.parameters(
      (
          [],
          (
              'expected one of learning_rate, batch_size, steps_per_loop, got '
              'nothing'
          ),
      ),
      (['rate'], 'got rate'),
      (['batch_size', 'learning_rate'], 'got batch_size learning_rate'),
      (['batch_size', '--output=a.jpg'], '--output='),
      (['batch_size', '--output=/dev/null/a.png'], '/dev/null'),
      (['batch_size', '--values=8,4'], '--values=8,4: expected integers'),
      (['batch_size', '--values=0.5'], '--values=0.5: expected integers'),
      (['batch_size', '--values=0'], '--values=0: expected integers of at le'),
      (['steps_per_loop', '--values=0,1'], '--values=0,1: expected integers'),
      (['learning_rate', '--values=0,1'], '--values=0,1: expected the lowest'),
      (['learning_rate', '--values=1'], '--values=1: expected the lowest'),
      (['learning_rate', '--values=nan,1'], 'values'),
      (['learning_rate', '--model=mpl'], '--model=mpl: unknown'),
  )
  def test_mistakes(self, arguments, message):
    config = runs.config()
    ended = runs.call(
        'tune',
        *runs.arguments(config),
        f'--output={self.folder}/a.png',
        *arguments,
    )
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertEqual(list(self.folder.iterdir()), [])

  def test_a_loss_that_never_goes_down_fails(self):
    ended = runs.call(
        'tune',
        'learning_rate',
        *runs.arguments(runs.config()),
        '--values=1e5,1e8',
        f'--output={self.folder}/a.png',
    )
    self.assertEqual((ended.code, ended.err.count('\n')), (1, 1))
    self.assertIn('the loss falls at no rate', ended.err)
    self.assertEqual(list(self.folder.iterdir()), [])

  def test_a_loss_that_is_not_finite_has_no_speed(self):
    ended = runs.call(
        'tune',
        'batch_size',
        *runs.arguments(runs.config(optimizer='sgd')),
        '--learning_rate=1e30',
        '--values=4',
        f'--output={self.folder}/a.png',
    )
    self.assertEqual((ended.code, ended.err.count('\n')), (1, 1))
    self.assertIn('the loss is not finite', ended.err)
    self.assertEqual(list(self.folder.iterdir()), [])


class SuggestionTest(parameterized.TestCase):
  """On losses that fall most steeply at 1e-3 and grow beyond a given rate."""

  rates = np.geomspace(1e-6, 10, 200)

  def losses(self, diverges_at):
    fall = 2 / (1 + (self.rates / 1e-3) ** 2)
    return 0.1 + fall + (self.rates / diverges_at) ** 2

  def test_a_tenth_of_the_lowest_if_that_is_higher(self):
    losses = self.losses(10.0)
    lowest = self.rates[np.argmin(losses)]
    self.assertGreater(lowest / 10, 2e-3)
    value, reason = tuning.suggest(losses, self.rates)
    self.assertAlmostEqual(value / (lowest / 10), 1, delta=0.1)
    self.assertIn('the higher one is suggested', reason)

  @parameterized.parameters(0.0, 0.05)
  def test_the_steepest_if_that_is_higher(self, noise):
    losses = self.losses(0.03)
    lowest = self.rates[np.argmin(losses)]
    self.assertLess(lowest / 10, 0.9e-3)
    noisy = losses + np.random.default_rng(0).normal(scale=noise, size=200)
    value, _ = tuning.suggest(noisy, self.rates)
    self.assertBetween(value, 0.6e-3, 1.6e-3)

  def test_a_loss_that_only_grows(self):
    with self.assertRaisesRegex(programs.Failure, 'falls at no rate from 1e-'):
      tuning.suggest(self.rates, self.rates)


class SmoothedTest(absltest.TestCase):

  def test_it_averages_without_a_shift(self):
    values = np.linspace(3, 1, 101)
    inner = slice(10, -10)
    np.testing.assert_allclose(
        tuning.smoothed(values)[inner], values[inner], rtol=1e-3
    )
    noisy = values + np.where(np.arange(101) % 2, 0.2, -0.2)
    self.assertLess(np.abs(tuning.smoothed(noisy) - values)[inner].max(), 0.02)


if __name__ == '__main__':
  absltest.main()
