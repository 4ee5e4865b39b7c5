"""Tests of constraints: Keras' numbers, kept through an optimizer's updates."""

from __future__ import annotations

import functools

import keras
import numpy as np
import optax
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers
from tests.core.optimizers import comparison

_MAX_NORM = functools.partial(optimizers.max_norm, max_value=1.5)


def _norms(tensor):
  return np.sqrt(np.sum(np.square(tensor), axis=tuple(range(tensor.ndim - 1))))


class ConstraintsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      (
          'max_norm',
          _MAX_NORM,
          functools.partial(keras.constraints.MaxNorm, 1.5),
      ),
      ('unit_norm', optimizers.unit_norm, keras.constraints.UnitNorm),
      ('non_negative', optimizers.non_negative, keras.constraints.NonNeg),
  )
  def test_equals_keras(self, ours, theirs):
    generator = np.random.default_rng(0)
    shapes = (((5,), 0), ((5, 3), 0), ((3, 3, 2, 4), [0, 1, 2]))
    for shape, axis in shapes:
      x = generator.normal(size=shape).astype(np.float32)
      x[..., 0] *= 0.01
      is_free = theirs is keras.constraints.NonNeg
      reference = theirs() if is_free else theirs(axis=axis)
      for run in (ours, tf.function(ours, jit_compile=True)):
        np.testing.assert_allclose(
            run(tf.constant(x)), reference(x), rtol=1e-4, atol=1e-7
        )
      if not is_free:
        np.testing.assert_allclose(
            ours(tf.constant(x), axis=-1), theirs(axis=-1)(x), rtol=1e-4
        )

  @parameterized.parameters(1e-30, 1.0, 1e30)
  def test_norms_neither_vanish_nor_overflow(self, size):
    x = tf.constant([3.0 * size, 4.0 * size])
    np.testing.assert_allclose(optimizers.unit_norm(x), [0.6, 0.8], 1e-6)
    kept = optimizers.max_norm(x, max_value=0.5 * size)
    np.testing.assert_allclose(kept, [0.3 * size, 0.4 * size], 1e-6)

  @parameterized.parameters(
      _MAX_NORM, optimizers.unit_norm, optimizers.non_negative
  )
  def test_zeros_and_huge_numbers(self, constraint):
    zeros = tf.zeros([3, 2])
    np.testing.assert_array_equal(constraint(zeros), zeros)
    self.assertTrue(np.isfinite(constraint(tf.fill([3, 2], 1e15))).all())

  def test_what_is_allowed_stays_to_the_bit(self):
    x = np.random.default_rng(0).normal(0, 0.1, [7, 5]).astype(np.float32)
    np.testing.assert_array_equal(_MAX_NORM(tf.constant(x)), x)
    with self.assertRaisesRegex(ValueError, 'max_value: .*-1'):
      optimizers.max_norm(x, -1.0)
    with self.assertRaisesRegex(ValueError, 'tensor: .*scalar'):
      optimizers.unit_norm(1.0)


class ConstrainTest(parameterized.TestCase):

  @parameterized.parameters(False, True)
  def test_is_keras_sgd_with_constraints(self, jit_compile):
    constraints = {
        'convolution/w': (_MAX_NORM, keras.constraints.MaxNorm(1.5, [0, 1, 2])),
        'linear/w': (optimizers.unit_norm, keras.constraints.UnitNorm()),
        'convolution/b': (optimizers.non_negative, keras.constraints.NonNeg()),
    }
    start, steps = comparison.parameters(), comparison.gradients(10)
    optimizer = optimizers.chain(
        optimizers.sgd(0.1, 0.9),
        optimizers.constrain({n: ours for n, (ours, _) in constraints.items()}),
    )
    _, actual = comparison.run(optimizer, start, steps, jit_compile=jit_compile)
    variables = {
        name: keras.Variable(value, name=name.replace('/', '_'))
        for name, value in start.items()
    }
    for name, (_, theirs) in constraints.items():
      variables[name].constraint = theirs
    reference = keras.optimizers.SGD(0.1, 0.9)
    expected = []
    for step in steps:
      reference.apply(
          [tf.constant(step[name]) for name in variables],
          list(variables.values()),
      )
      expected.append({n: v.numpy() for n, v in variables.items()})
    comparison.assert_same(actual, expected, rtol=1e-5)

  def test_the_updated_parameters_satisfy_the_constraint(self):
    optimizer = optimizers.chain(
        optimizers.adam(0.5),
        optimizers.constrain({
            r'.*/w': _MAX_NORM,
            lambda path, tensor: not tensor.shape.rank: optimizers.non_negative,
        }),
    )
    start, steps = comparison.parameters(), comparison.gradients(30)
    _, parameters = comparison.run(optimizer, start, steps)
    for each in parameters:
      for name in ('convolution/w', 'linear/w', 'wide/w'):
        self.assertLessEqual(_norms(each[name]).max(), 1.5 * (1 + 1e-5))
      self.assertGreaterEqual(each['scale'], 0)
    self.assertIn(0, [each['scale'] for each in parameters])
    self.assertLess(min(each['convolution/b'].min() for each in parameters), 0)

  def test_non_negative_equals_optax(self):
    ours = optimizers.chain(
        optimizers.sgd(0.1),
        optimizers.constrain({'.*': optimizers.non_negative}),
    )
    theirs = optax.chain(optax.sgd(0.1), optax.keep_params_nonnegative())
    start, steps = comparison.parameters(), comparison.gradients()
    start = {name: np.abs(value) for name, value in start.items()}
    _, actual = comparison.run(ours, start, steps)
    _, expected = comparison.run_optax(theirs, start, steps)
    comparison.assert_same(actual, expected, rtol=1e-6)
    for each in actual:
      for value in each.values():
        self.assertGreaterEqual(value.min(), 0)

  def test_the_first_mask_wins_and_others_are_free(self):
    constrain = optimizers.constrain(
        {'a': optimizers.non_negative, '.': lambda tensor: tensor + 1}
    )
    parameters = {'a': tf.constant(-1.0), 'b': tf.constant(2.0)}
    parameters['free'] = tf.constant(3.0)
    updates = {name: tf.constant(-0.5) for name in parameters}
    updates, _ = constrain.update(
        updates, constrain.init(parameters), parameters
    )
    self.assertEqual(
        {name: float(update) for name, update in updates.items()},
        {'a': 1.0, 'b': 0.5, 'free': -0.5},
    )

  def test_half_precision(self):
    optimizer = optimizers.chain(
        optimizers.sgd(1.0),
        optimizers.constrain({'w': optimizers.non_negative}),
    )
    parameters = {'w': tf.constant([0.3, 0.7], tf.bfloat16)}
    gradients = {'w': tf.constant([0.5, 0.1], tf.bfloat16)}
    updates, _ = optimizer.update(
        gradients, optimizer.init(parameters), parameters
    )
    new = optimizers.apply_updates(parameters, updates)['w']
    self.assertEqual(new.dtype, tf.bfloat16)
    self.assertEqual(float(new[0]), 0.0)
    self.assertGreater(float(new[1]), 0.5)

  def test_a_wrong_mask(self):
    with self.assertRaisesRegex(ValueError, 'mask: '):
      optimizers.constrain({'(': optimizers.non_negative})


if __name__ == '__main__':
  absltest.main()
