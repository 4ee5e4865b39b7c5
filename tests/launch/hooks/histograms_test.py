"""Tests of launch.hooks.histograms: gradients are those of the next step."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    loss_scaling,
    losses,
    models,
    objectives,
    optimizers,
    training,
)
from launch.hooks import histograms
from tests import virtual_devices
from tests.launch import boards, runs

_BATCH_SIZE = 6


def _batch():
  rng = np.random.default_rng(0)
  return {
      'image': rng.uniform(size=[_BATCH_SIZE, 4, 4, 1]).astype(np.float32),
      'label': rng.integers(0, 3, [_BATCH_SIZE]),
  }


class GradientsTest(parameterized.TestCase):

  @parameterized.parameters(
      (1, _BATCH_SIZE, False),
      (1, 4, False),
      (1, _BATCH_SIZE, True),
      (2, 3, False),
  )
  def test_a_step_of_gradient_descent(self, replicas, micro_batch_size, scaled):
    """Dropout included: weights go by the gradient, to rounding."""
    strategy = virtual_devices.mirrored(replicas)
    objective = objectives.supervised(losses.softmax_cross_entropy)
    optimizer = optimizers.sgd(1.0)
    with strategy.scope():
      model = models.create(
          'mlp', num_classes=3, hidden_sizes=(8,), dropout_rate=0.3
      )
      objective(model, _batch(), None, is_training=False)
      loss_scale = loss_scaling.init(8.0) if scaled else None
      state = training.TrainState(
          model, optimizer, seed=3, loss_scale=loss_scale
      )
    found = histograms.gradients(state, objective, micro_batch_size)(_batch())
    before = {path: v.numpy() for path, v in state.parameters.items()}
    step = training.make_train_step(objective, optimizer, None, strategy)
    [batch] = strategy.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices(_batch()).batch(_BATCH_SIZE)
    )
    step(state, batch)
    self.assertSameElements(found, before)
    for path, gradient in found.items():
      np.testing.assert_allclose(
          gradient,
          before[path] - state.parameters[path].numpy(),
          atol=1e-6,
          err_msg=path,
      )
    self.assertTrue(any(np.abs(g).max() > 1e-3 for g in found.values()))


class RunTest(absltest.TestCase):

  @pytest.mark.medium
  def test_streams_over_replicas(self):
    found = []
    for name, every_steps in (('with', 3), ('without', 0)):
      workdir = os.path.join(runs.scratch(self), name)
      ended = runs.train(
          workdir,
          num_replicas=2,
          num_steps=6,
          resident_gb=0.0,
          jit_compile='off',
          histogram_every_steps=every_steps,
      )
      self.assertEqual(ended.code, 0, ended)
      found.append(runs.digest(workdir))
      board = boards.read(os.path.join(workdir, 'summaries', 'train'))
      self.assertEqual(
          list(board.get('gradient_norm', ())), [3, 6][: 2 * bool(every_steps)]
      )
    self.assertEqual(*found)

  @pytest.mark.medium
  def test_in_tensorboard(self):
    """Each step has one, though steps were taken twice."""
    watched = runs.watched()
    board = boards.read(os.path.join(watched.workdir, 'summaries', 'train'))
    for name in ('weights', 'gradients'):
      for path in ('hidden/0/linear/w', 'output/linear/b'):
        with self.subTest(f'{name}/{path}'):
          values = board[f'{name}/{path}']
          self.assertEqual(list(values), [15, 30, 40])
          self.assertGreater(np.ptp(values[40][:, :2]), 0)
    for name in ('weight_norm', 'gradient_norm'):
      self.assertEqual(list(board[name]), [15, 30, 40])
      self.assertGreater(board[name][40], 0)
    self.assertNotIn(
        'weight_norm',
        boards.read(os.path.join(runs.finished(), 'summaries', 'train')),
    )


if __name__ == '__main__':
  absltest.main()
