"""What of training is compiled: where it pays, and never where it hurts."""

from __future__ import annotations

import functools
import itertools

import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    compilation,
    losses,
    models,
    objectives,
    training,
)
from tests import virtual_devices
from tests.core import runs
from tests.core.models import cases

_DENSE = ('MatMul', 'Relu')
_CONVOLUTION = ('Conv2D', 'MatMul')
_POOLING = ('Conv2D', 'MaxPool')
_RNN = ('While', 'MatMul')
_SPARSE = ('SparseTensorDenseMatMul', 'MatMul')
_IMAGE_SHAPE = (28, 28, 1)
# All that a run can ask for, but for the mode.
_PLACES = [
    dict(on_gpu=on_gpu, num_replicas=num_replicas, is_resident=is_resident)
    for on_gpu, num_replicas, is_resident in itertools.product(
        (False, True), (1, 2, 8), (False, True)
    )
]


@functools.cache
def _operations(name):
  """Lists the operations of a model of the registry, as a run would."""
  model = cases.create(name)
  model.build(cases.input_shapes(model, _IMAGE_SHAPE))
  objective = objectives.supervised(
      losses.softmax_cross_entropy,
      inputs=functools.partial(cases.inputs, model),
  )
  batch = cases.batch(model, _IMAGE_SHAPE, 2)
  return frozenset(
      compilation.operations(training.trace(objective, model, batch))
  )


class ChooseTest(parameterized.TestCase):

  @parameterized.parameters(
      # CPU, one replica, resident.
      ('off', _DENSE, {}, 'NONE'),
      ('auto', _DENSE, {}, 'LOOP'),
      ('on', _DENSE, {}, 'LOOP'),
      ('force', _DENSE, {}, 'LOOP'),
      ('off', _CONVOLUTION, {}, 'NONE'),
      ('auto', _CONVOLUTION, {}, 'UPDATE'),
      ('on', _CONVOLUTION, {}, 'STEP'),
      ('force', _CONVOLUTION, {}, 'LOOP'),
      ('auto', _RNN, {}, 'UPDATE'),
      ('on', _RNN, {}, 'STEP'),
      # The convolutions may be inside the model's own loop.
      ('on', (*_CONVOLUTION, 'While'), {}, 'UPDATE'),
      ('on', (*_CONVOLUTION, 'StatelessWhile'), {'num_replicas': 2}, 'UPDATE'),
      ('on', (*_CONVOLUTION, 'While'), {'on_gpu': True}, 'LOOP'),
      ('auto', _SPARSE, {}, 'UPDATE'),
      ('on', _SPARSE, {}, 'UPDATE'),
      # CPU, streamed.
      ('auto', _DENSE, {'is_resident': False}, 'STEP'),
      ('on', _DENSE, {'is_resident': False}, 'STEP'),
      ('auto', _CONVOLUTION, {'is_resident': False}, 'UPDATE'),
      ('on', _CONVOLUTION, {'is_resident': False}, 'STEP'),
      ('force', _CONVOLUTION, {'is_resident': False}, 'STEP'),
      # CPU, several replicas.
      ('off', _DENSE, {'num_replicas': 2}, 'NONE'),
      ('auto', _DENSE, {'num_replicas': 2}, 'PARTS'),
      ('auto', _CONVOLUTION, {'num_replicas': 2}, 'UPDATE'),
      ('on', _CONVOLUTION, {'num_replicas': 2}, 'PARTS'),
      ('force', _CONVOLUTION, {'num_replicas': 2}, 'PARTS'),
      # A batch norm needs all replicas in the middle of the forward pass.
      ('on', _CONVOLUTION, {'num_replicas': 2, 'reduces': True}, 'UPDATE'),
      ('force', _DENSE, {'num_replicas': 2, 'reduces': True}, 'UPDATE'),
      ('on', _DENSE, {'reduces': True}, 'LOOP'),
      # XLA refuses the gradient of a pooling that is to be deterministic.
      ('on', _POOLING, {'is_deterministic': True}, 'UPDATE'),
      ('force', _POOLING, {'is_deterministic': True}, 'UPDATE'),
      ('off', _POOLING, {'is_deterministic': True}, 'NONE'),
      ('on', _POOLING, {}, 'STEP'),
      # GPU.
      ('off', _CONVOLUTION, {'on_gpu': True}, 'NONE'),
      ('auto', _CONVOLUTION, {'on_gpu': True}, 'LOOP'),
      ('auto', _RNN, {'on_gpu': True}, 'LOOP'),
      ('auto', _SPARSE, {'on_gpu': True}, 'UPDATE'),
      ('auto', _CONVOLUTION, {'on_gpu': True, 'num_replicas': 8}, 'PARTS'),
      ('auto', _CONVOLUTION, {'on_gpu': True, 'is_resident': False}, 'STEP'),
  )
  def test_table(self, mode, operations, place, expected):
    extent = compilation.choose(mode, operations, **{'on_gpu': False, **place})
    self.assertEqual(extent.name, expected)

  def test_an_unknown_mode(self):
    with self.assertRaisesRegex(ValueError, "jit: unknown 'yes'; known: auto"):
      compilation.choose('yes', _DENSE, on_gpu=False)

  @parameterized.parameters(*sorted(models.REGISTRY))
  def test_no_model_of_the_registry_in_a_slow_loop(self, name):
    operations = _operations(name)
    slow = compilation.is_slow_on_cpu(operations)
    if any(op.startswith(('Conv2D', 'Depthwise')) for op in operations):
      self.assertTrue(slow)
    for mode, place in itertools.product(compilation.MODES, _PLACES):
      extent = compilation.choose(mode, operations, **place)
      if place['num_replicas'] > 1:  # An all-reduce is not compiled.
        self.assertLessEqual(extent, compilation.Extent.PARTS)
      if not place['is_resident']:
        self.assertLess(extent, compilation.Extent.LOOP)
      if slow and not place['on_gpu'] and mode != 'force':
        self.assertLess(extent, compilation.Extent.LOOP)
      if slow and not place['on_gpu'] and mode == 'auto':
        self.assertEqual(extent, compilation.Extent.UPDATE)

  @parameterized.parameters(
      ('convnet', True),
      ('resnet', True),
      ('speednet', True),
      ('vit', True),
      ('row_rnn', True),
      ('mlp', False),
      ('wide_and_deep', False),
      ('reconstructing_mlp', False),
      ('sparse_mlp', False),
      ('tabular', False),
      ('text_classifier', False),
  )
  def test_what_is_slow_is_known(self, name, expected):
    self.assertEqual(compilation.is_slow_on_cpu(_operations(name)), expected)


class ChooseForTest(parameterized.TestCase):

  @parameterized.product(
      name=('mlp', 'convnet', 'resnet'),
      num_replicas=(1, virtual_devices.NUM_DEVICES),
      mode=compilation.MODES,
      is_resident=(False, True),
  )
  @pytest.mark.medium
  def test_reads_off_what_choose_is_told(
      self, name, num_replicas, mode, is_resident
  ):
    run = runs.make(name, num_replicas=num_replicas)
    forward = training.trace(
        run.objective, run.model, runs.batches(run.model, 1, 4)[0]
    )
    options = {'is_resident': is_resident, 'is_deterministic': True}
    self.assertEqual(
        compilation.choose_for(
            run.model, forward, run.strategy, mode, **options
        ),
        compilation.choose(
            mode,
            _operations(name),
            on_gpu=False,
            num_replicas=num_replicas,
            reduces=name == 'resnet',
            **options,
        ),
    )

  def test_without_a_strategy(self):
    run = runs.make()
    forward = training.trace(
        run.objective, run.model, runs.batches(run.model, 1, 4)[0]
    )
    self.assertEqual(
        compilation.choose_for(run.model, forward), compilation.Extent.LOOP
    )


class OperationsTest(absltest.TestCase):

  def test_those_of_nested_functions_too(self):
    @tf.function(autograph=False)
    def convolve(image, filters):
      return tf.nn.conv2d(image, filters, 1, 'SAME')

    @tf.function(autograph=False, jit_compile=True)
    def body(image, filters):
      return tf.while_loop(
          lambda i, _: i < 2,
          lambda i, x: (i + 1, convolve(x, filters)),
          (0, tf.nn.relu(image)),
      )[1]

    @tf.function(autograph=False)
    def outer(image, filters):
      return tf.exp(body(image, filters))

    concrete = outer.get_concrete_function(
        tf.TensorSpec([1, 4, 4, 1]), tf.TensorSpec([3, 3, 1, 1])
    )
    operations = compilation.operations(concrete)
    self.assertContainsSubset({'Exp', 'Relu', 'Conv2D'}, operations)
    self.assertNotIn('MatMul', operations)
    self.assertTrue(compilation.is_slow_on_cpu(operations))

  def test_unrolled_time_steps_read_the_same_weights(self):
    weights = [tf.Variable(tf.eye(3)) for _ in range(12)]

    @tf.function(autograph=False)
    def nested(x, weight):
      return tf.matmul(x, weight)

    def operations(layer, steps):
      @tf.function(autograph=False)
      def forward(x):
        for weight in steps:  # Also what other models have.
          x = tf.stack(tf.unstack(layer(x, weight), axis=1), axis=1)
        return tf.concat(tf.split(x, 3, axis=1), axis=1)

      return compilation.operations(
          forward.get_concrete_function(tf.TensorSpec([2, 3]))
      )

    for layer, steps, expected in (
        (nested, weights, False),
        (tf.matmul, weights, False),
        (tf.matmul, weights[:2] * 3, False),
        (tf.matmul, weights[:1] * 12, True),
    ):
      found = operations(layer, steps)
      self.assertContainsSubset({'Split', 'Unpack', 'Pack'}, found)
      self.assertEqual(compilation.UNROLLED in found, expected)
      self.assertEqual(compilation.is_slow_on_cpu(found), expected)


if __name__ == '__main__':
  absltest.main()
