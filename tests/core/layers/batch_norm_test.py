"""Tests of batch normalisation: Keras' numbers, over replicas as on one."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import compilation, distribution, layers, variables
from tests import virtual_devices

_SHAPES = ((12, 3), (12, 5, 3), (12, 4, 5, 3))


def _draw(shape, seed=0, mean=2.0):
  generator = np.random.default_rng(seed)
  return generator.normal(mean, 3.0, shape).astype(np.float32)


def _scale_and_offset(norm):
  norm.scale.assign([0.5, 2.0, -1.0])
  norm.offset.assign([1.0, 0.0, -3.0])


def _train(norm, x, weights=None):
  """Returns outputs and the gradients of a loss that mixes all of them."""
  factors = tf.constant(_draw(x.shape, seed=9, mean=0.0))
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = norm(x, is_training=True, weights=weights)
    values = tf.sin(y) * factors
    if weights is not None:
      values *= tf.reshape(weights, [-1] + [1] * (len(x.shape) - 1))
    loss = tf.reduce_sum(values)
  return y, *tape.gradient(loss, [x, norm.scale, norm.offset])


def _over(strategy, function, cuts, *arrays):
  """Runs a function of parts of arrays on replicas, and joins the results."""
  arguments = [
      strategy.experimental_distribute_values_from_function(
          lambda context, array=array: tf.constant(
              np.split(array, cuts)[context.replica_id_in_sync_group]
          )
      )
      for array in arrays
  ]
  results = tf.function(strategy.run, autograph=False)(function, arguments)
  local = strategy.experimental_local_results
  return [np.concatenate(local(result)) for result in results]


class BatchNormTest(parameterized.TestCase, tf.test.TestCase):

  def test_frozen_is_evaluation(self):
    norm = layers.BatchNorm()
    x = tf.constant(_draw((12, 3)))
    norm(x, is_training=True)
    norm.is_frozen = True
    before = [variable.numpy() for variable in norm.variables]
    np.testing.assert_array_equal(
        norm(2 * x, is_training=True), norm(2 * x, is_training=False)
    )
    for old, variable in zip(before, norm.variables):
      np.testing.assert_array_equal(variable, old)
    norm.is_frozen = False
    self.assertNotAllClose(norm(2 * x, True), norm(2 * x, False))

  @parameterized.parameters(*_SHAPES)
  def test_equals_keras(self, *shape):
    norm = layers.BatchNorm(decay_rate=0.9, eps=1e-3)
    norm.build(shape)
    _scale_and_offset(norm)
    reference = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    reference.build(shape)
    reference.gamma.assign(norm.scale)
    reference.beta.assign(norm.offset)
    for step in range(1, 4):
      x = tf.constant(_draw(shape, step, mean=step))
      with tf.GradientTape() as tape:
        tape.watch(x)
        y = reference(x, training=True)
        loss = tf.reduce_sum(tf.sin(y) * _draw(shape, seed=9, mean=0.0))
      sources = [x, reference.gamma.value, reference.beta.value]
      expected = [y, *tape.gradient(loss, sources)]
      for ours, theirs in zip(_train(norm, x), expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
      # Keras' averages start at 0 and 1, and weigh them 0.9^t for ever.
      start = 0.9**step
      np.testing.assert_allclose(
          norm.moving_mean, reference.moving_mean / (1 - start), rtol=1e-4
      )
      np.testing.assert_allclose(
          norm.moving_variance,
          (reference.moving_variance - start) / (1 - start),
          rtol=1e-4,
      )
    reference.moving_mean.assign(norm.moving_mean)
    reference.moving_variance.assign(norm.moving_variance)
    x = _draw(shape, 7)
    np.testing.assert_allclose(
        norm(x, is_training=False),
        reference(x, training=False),
        rtol=1e-4,
        atol=1e-5,
    )

  @parameterized.parameters(False, True)
  def test_eager_is_graph_is_xla(self, jit_compile):
    x = tf.constant(_draw((6, 2, 2, 3)))
    weights = tf.constant([1.0, 0, 1, 1, 0, 1])
    results = []
    for compiled in (None, jit_compile):
      norm = layers.BatchNorm()
      norm.build(x.shape)
      train = _train
      if compiled is not None:
        train = tf.function(_train, jit_compile=compiled)
      results.append([*train(norm, x, weights), *norm.variables])
    for one, other in zip(*results):
      np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)

  def test_padding_is_as_if_it_were_not_there(self):
    x = _draw((9, 4, 3))
    weights = np.float32([1, 0, 1, 1, 0, 0, 1, 1, 1])
    real = weights > 0
    x[~real] = 1e3
    results = []
    for inputs, factors in ((x, weights), (x[real], None)):
      norm = layers.BatchNorm()
      norm.build(x.shape)
      y = norm(inputs, is_training=True, weights=factors)
      results.append((y, norm))
    (padded, one), (sliced, other) = results
    np.testing.assert_allclose(padded[real], sliced, rtol=1e-5, atol=1e-6)
    for name, variable in variables.named(one).items():
      np.testing.assert_allclose(
          variable, variables.named(other)[name], rtol=1e-5, err_msg=name
      )

  def test_padding_alone_changes_nothing(self):
    norm = layers.BatchNorm()
    norm(_draw((4, 3)), is_training=True)
    before = [v.numpy() for v in norm.variables]
    for x, weights in ((_draw((4, 3)), tf.zeros([4])), (_draw((0, 3)), None)):
      y = norm(x, is_training=True, weights=weights)
      self.assertTrue(np.isfinite(y).all())
      for variable, value in zip(norm.variables, before):
        np.testing.assert_array_equal(variable, value)

  def test_a_large_mean_does_not_drown_the_variance(self):
    x = _draw((1000, 1), mean=0.0)
    shifted = np.float32(x + np.float32(2e4))
    norm = layers.BatchNorm(eps=0.0)
    y = norm(shifted, is_training=True)
    exact = np.float64(shifted)
    np.testing.assert_allclose(
        y, (exact - exact.mean()) / exact.std(), rtol=2e-3, atol=2e-3
    )
    np.testing.assert_allclose(norm.moving_variance, exact.var(), rtol=1e-5)

  @parameterized.parameters(tf.bfloat16, tf.float16)
  def test_half_precision_has_float32_statistics(self, dtype):
    x = tf.cast(_draw((64, 16, 16, 3), mean=40.0), dtype)
    norm, wide = layers.BatchNorm(), layers.BatchNorm()
    y = norm(x, is_training=True)
    expected = wide(tf.cast(x, tf.float32), is_training=True)
    self.assertEqual(y.dtype, dtype)
    np.testing.assert_allclose(  # A unit in the last place: another kernel.
        tf.cast(y, tf.float32), expected, rtol=2**-7, atol=1e-3
    )
    for ours, theirs in zip(norm.variables, wide.variables):
      self.assertEqual(ours.dtype, tf.float32)
      np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    self.assertEqual(norm(x, is_training=False).dtype, dtype)

  @parameterized.product(
      create_scale=(False, True), create_offset=(False, True)
  )
  def test_scale_and_offset_are_options(self, create_scale, create_offset):
    norm = layers.BatchNorm(
        create_scale=create_scale, create_offset=create_offset
    )
    x = _draw((50, 3))
    y = norm(x, is_training=True)
    np.testing.assert_allclose(
        y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), rtol=1e-4, atol=1e-5
    )
    expected = ['offset'] * create_offset + ['scale'] * create_scale
    self.assertEqual(list(variables.trainable(norm)), expected)
    self.assertContainsSubset(
        ['moving_mean', 'moving_variance', 'moving_weight'],
        variables.named(norm),
    )

  def test_shapes(self):
    norm = layers.BatchNorm()
    self.assertEqual(norm.output_shape([None, 7, 3]), (None, 7, 3))
    norm.build([None, 7, 3])
    scale = norm.scale
    norm.build([None, 3])
    self.assertIs(norm.scale, scale)
    for shape in ([None, 7, 4], [None, None], [3]):
      with self.assertRaisesRegex(ValueError, 'input_shape: '):
        norm.build(shape)
    with self.assertRaisesRegex(ValueError, r'weights: expected shape \[4\]'):
      norm(tf.ones([4, 3]), is_training=True, weights=tf.ones([4, 1]))

  @parameterized.product(
      mean_and_deviation=((0, 1), (100, 0.1), (1000, 1)),
      form=('kernel', 'weights', 'xla', 'replicas'),
  )
  def test_values_and_two_derivatives_are_those_of_float64(
      self, mean_and_deviation, form
  ):
    mean, deviation = mean_and_deviation
    generator = np.random.default_rng(0)
    x = generator.normal(mean, deviation, (32, 3, 3, 4)).astype(np.float32)
    factors, direction = generator.normal(size=(2, *x.shape))
    weights = np.ones(32) if form != 'weights' else np.arange(32) % 3 / 2
    strategy = tf.distribute.get_strategy()
    if form == 'replicas':
      strategy = virtual_devices.mirrored(3)
    with strategy.scope():
      norm = layers.BatchNorm()
      norm.build(x.shape)

    def ours(x):
      if form != 'weights':
        return norm(x, True)
      return norm(x, True, tf.constant(weights, tf.float32))

    def exact(x):
      w = tf.reshape(tf.constant(weights), [-1, 1, 1, 1])
      total = tf.reduce_sum(w) * 9
      mean = tf.reduce_sum(w * x, [0, 1, 2]) / total
      variance = tf.reduce_sum(w * (x - mean) ** 2, [0, 1, 2]) / total
      return (x - mean) * tf.math.rsqrt(variance + norm.eps)

    def observe(function, x, factors, direction):
      with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
          inner.watch(x)
          y = function(x)
          total = tf.reduce_sum(y**3 * tf.cast(factors, x.dtype))
        gradient = inner.gradient(total, x)
        slope = tf.reduce_sum(gradient * tf.cast(direction, x.dtype))
      return y, gradient, outer.gradient(slope, x)

    function = functools.partial(observe, ours)
    if form == 'xla':
      function = tf.function(function, jit_compile=True, autograph=False)
    if form == 'replicas':
      actual = _over(strategy, function, [0, 20], x, factors, direction)
    else:
      actual = function(tf.constant(x), factors, direction)
    expected = observe(exact, tf.constant(x, tf.float64), factors, direction)
    # What float32 says of the mean is not exact, and deviations are from it.
    tolerance = 1e-5 + 1e-6 * mean / deviation
    for ours, theirs in zip(actual, expected, strict=True):
      largest = np.abs(theirs).max()
      np.testing.assert_allclose(ours, theirs, 0, tolerance * largest)

  def test_the_compiled_loop_has_no_kernel_of_one_pass(self):
    norm = layers.BatchNorm()
    norm.build([4, 3])

    @tf.function(autograph=False)
    def step(x):
      return norm(x, is_training=True)

    @tf.function(jit_compile=True, autograph=False)
    def loop(x):
      return tf.while_loop(
          lambda i, x: i < 3, lambda i, x: (i + 1, step(x)), [0, x]
      )[1]

    x = tf.ones([4, 3])
    kernels = lambda function: {
        name
        for name in compilation.operations(function.get_concrete_function(x))
        if name.startswith('FusedBatchNorm')
    }
    self.assertEmpty(kernels(loop))
    self.assertNotEmpty(kernels(tf.function(lambda x: norm(x, True))))

  @parameterized.parameters(False, True)
  def test_what_has_weight_0_changes_no_bit(self, jit_compile):
    weights = tf.constant([1.0, 0.0, 2.0, 0.0, 1.0])
    norm = layers.BatchNorm()
    norm.build([5, 2, 3])
    before = [variable.numpy() for variable in norm.variables]
    train = lambda x: _train(norm, x, weights)
    if jit_compile:
      train = tf.function(train, jit_compile=True, autograph=False)
    results = []
    for garbage in (0.0, 1e38, np.inf, np.nan):
      x = _draw((5, 2, 3))
      x[[1, 3]] = garbage
      y, gradient, *others = train(tf.constant(x))
      np.testing.assert_array_equal(np.take(gradient, (1, 3), 0), 0)
      kept = [np.take(tensor, (0, 2, 4), 0) for tensor in (y, gradient)]
      results.append([*kept, *others, *(v.numpy() for v in norm.variables)])
      for variable, value in zip(norm.variables, before, strict=True):
        variable.assign(value)
    for garbled in results[1:]:
      for actual, expected in zip(garbled, results[0], strict=True):
        np.testing.assert_array_equal(actual, expected)

  @parameterized.parameters(
      ({'decay_rate': 1.0}, 'decay_rate'),
      ({'decay_rate': -0.1}, 'decay_rate'),
      ({'eps': -1e-3}, 'eps'),
  )
  def test_wrong_arguments(self, arguments, name):
    with self.assertRaisesRegex(ValueError, f'^{name}: '):
      layers.BatchNorm(**arguments)


class ReplicasTest(parameterized.TestCase):
  """Replicas with unequal shares of a batch compute what one does."""

  @parameterized.product(
      cuts=([4], [12], [0], [4, 8], [0, 7], [5, 5]), weighted=(False, True)
  )
  def test_replicas_equal_one(self, cuts, weighted):
    shape = (12, 4, 3)
    x = _draw(shape)
    weights = np.float32([1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0])
    factors = _draw(shape, seed=9, mean=0.0)
    if not weighted:
      weights[:] = 1

    def train(norm, x, factors, weights):
      with tf.GradientTape() as tape:
        tape.watch(x)
        y = norm(x, is_training=True, weights=weights if weighted else None)
        loss = tf.reduce_sum(tf.sin(y) * factors * weights[:, None, None])
      return y, tape.gradient(loss, [x, norm.scale, norm.offset])

    strategy = virtual_devices.mirrored(len(cuts) + 1)
    norms = [layers.BatchNorm(decay_rate=0.5)]
    with strategy.scope():
      norms.append(layers.BatchNorm(decay_rate=0.5))
      norms[1].build(shape)
    norms[0].build(shape)
    for norm in norms:
      _scale_and_offset(norm)
    y, gradients = train(norms[0], *map(tf.constant, (x, factors, weights)))
    parts = [
        [tf.constant(part) for part in np.split(array, cuts)]
        for array in (x, factors, weights)
    ]

    @tf.function
    def run():
      arguments = [
          strategy.experimental_distribute_values_from_function(
              lambda context, values=values: values[
                  context.replica_id_in_sync_group
              ]
          )
          for values in parts
      ]
      return strategy.run(train, (norms[1], *arguments))

    parts_y, parts_gradients = run()
    local = strategy.experimental_local_results
    np.testing.assert_allclose(
        np.concatenate(local(parts_y)), y, rtol=1e-5, atol=1e-5
    )
    parts_x, *parts_trained = parts_gradients
    np.testing.assert_allclose(
        np.concatenate(local(parts_x)), gradients[0], rtol=1e-4, atol=1e-5
    )
    for ours, expected in zip(parts_trained, gradients[1:]):
      np.testing.assert_allclose(
          np.sum(local(ours), axis=0), expected, rtol=1e-4, atol=1e-5
      )
    named = variables.named(norms[1])
    self.assertEqual(distribution.unequal_replicas(named), [])
    for name, variable in variables.named(norms[0]).items():
      np.testing.assert_allclose(named[name], variable, rtol=1e-5, err_msg=name)


if __name__ == '__main__':
  absltest.main()
