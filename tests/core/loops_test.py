"""Loops are the same as their steps, whatever of them is compiled."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    compilation,
    loops,
    loss_scaling,
    optimizers,
    precision,
    resident,
    training,
)
from tests.core import runs

_NUM_STEPS = 20
_BATCH_SIZE = 12
_NUM_EXAMPLES = _NUM_STEPS * _BATCH_SIZE


class AddUpTest(parameterized.TestCase):

  def _add_up(self, values, num_steps, start=0.0):
    values = tf.constant(values)
    sums = {'loss': tf.constant(start, tf.float64)}

    @tf.function
    def loop(num_steps):
      step = lambda taken: {'loss': tf.gather(values, taken)}
      return loops.add_up(step, sums, num_steps)

    sums, taken = loop(tf.constant(num_steps))
    return float(sums['loss']), int(taken)

  def test_adds_in_float64(self):
    self.assertEqual(self._add_up([1.0] * 5, 3, 2.0**24), (2.0**24 + 3, 3))
    self.assertEqual(self._add_up([1.0], 0, 7.0), (7.0, 0))

  @parameterized.parameters(np.nan, np.inf, -np.inf)
  def test_ends_right_after_a_loss_that_is_not_finite(self, value):
    self.assertEqual(self._add_up([1.0, value, 1.0], 3)[1], 2)
    self.assertEqual(self._add_up([1.0, 1.0], 2, value)[1], 0)


def _arrays(model):
  batches = runs.batches(model, _NUM_STEPS, _BATCH_SIZE)
  arrays = {
      name: np.concatenate([batch[name] for batch in batches])
      for name in batches[0]
  }
  del arrays['weight']  # A resident loop makes it.
  return arrays


def _train(extent, num_replicas=1, half=None, dropout_rate=0.3, **state):
  """Takes 20 steps over resident data; returns sums and weights."""
  optimizer = optimizers.adam(1e-2, eps=1e-3)
  run = runs.make(
      'mlp',
      optimizer,
      num_replicas,
      activation='tanh',
      dropout_rate=dropout_rate,
  )
  with run.strategy.scope():
    run = run._replace(
        state=training.TrainState(run.model, optimizer, 7, **state)
    )
  objective = precision.mixed(run.objective, half) if half else run.objective
  step = training.make_train_step(
      objective, optimizer, run.metric, run.strategy, extent
  )
  loop = resident.make_loop(
      step, run.strategy, jit_compile=extent == compilation.Extent.LOOP
  )
  arrays = _arrays(run.model)
  rows = tf.reshape(tf.range(_NUM_EXAMPLES), [_NUM_STEPS, _BATCH_SIZE])
  example = {k: v[:1] for k, v in arrays.items()}
  zeros = training.zero_sums(
      run.metric,
      training.trace(
          objective, run.model, {**example, 'weight': np.ones([1], 'f')}
      ),
  )
  sums, taken = loop(
      run.state,
      resident.place(arrays, run.strategy),
      rows,
      tf.constant(0),
      tf.constant(0),
      zeros,
      tf.constant(_NUM_STEPS),
  )
  assert int(taken) == _NUM_STEPS
  return sums, run.weights()


class ExtentTest(parameterized.TestCase):
  """Dropout is on: random numbers are the same in each loop."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.expected = _train(compilation.Extent.NONE)

  def assert_same(self, one, other, rtol=1e-4, atol=1e-5):
    np.testing.assert_allclose(one[0]['loss'], other[0]['loss'], rtol=1e-5)
    self.assertEqual(float(one[0]['weight']), _NUM_EXAMPLES)
    for name, value in other[1].items():
      np.testing.assert_allclose(
          one[1][name], value, rtol=rtol, atol=atol, err_msg=name
      )

  def test_dropout_counts(self):
    """So that the comparisons below are about random numbers as well."""
    without, _ = _train(compilation.Extent.NONE, dropout_rate=0.0)
    ratio = without['loss'] / self.expected[0]['loss']
    self.assertGreater(abs(ratio - 1), 0.01)

  @parameterized.parameters(
      ('UPDATE', 1),
      ('STEP', 1),
      ('LOOP', 1),
      ('NONE', 2),
      ('UPDATE', 2),
      ('PARTS', 2),
  )
  @pytest.mark.medium
  def test_every_extent_is_the_same_training(self, extent, num_replicas):
    self.assert_same(
        _train(compilation.Extent[extent], num_replicas), self.expected
    )

  @parameterized.parameters(('LOOP', 1), ('PARTS', 2))
  @pytest.mark.medium
  def test_with_a_loss_scale_and_averaged_weights(self, extent, num_replicas):
    # The scale overflows at first, so that some steps are skipped; when depends
    # on the number of replicas, which each have a part of the gradient.
    one, other = [
        _train(
            compilation.Extent[each],
            num_replicas,
            half='float16',
            average_decay=0.9,
            loss_scale=loss_scaling.init(2.0**20),
        )
        for each in (extent, 'NONE')
    ]
    for name in ('loss_scale/scale', 'loss_scale/good_steps', 'average/count'):
      self.assertEqual(one[1][name], other[1][name], name)
    self.assertLess(one[1]['loss_scale/scale'], 2.0**20)
    # XLA keeps more digits between operations that it joins.
    for name, value in other[1].items():
      np.testing.assert_allclose(
          one[1][name], value, rtol=0.02, atol=0.02, err_msg=name
      )


if __name__ == '__main__':
  absltest.main()
