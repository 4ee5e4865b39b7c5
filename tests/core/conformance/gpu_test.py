"""Everything has kernels on GPUs, and XLA translates it for them.

As `launch` trains: operations must be deterministic. It needs no GPU.
"""

from __future__ import annotations

import functools
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized
from tensorflow.python.framework import config

from core import (
    compilation,
    distribution,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    precision,
    resident,
    training,
)
from tests.core import runs
from tests.core.conformance import gpu, member, table, table_optimizers
from tests.core.models import cases
from tests.core.optimizers import comparison

_WEIGHTS = (1.0, 1.0, 0.0, 1.0, 0.5, 1.0)
# Operations that only a CPU has, where XLA does not compile.
_ON_CPU = {
    ('layers.activation', 'bfloat16'): {'Softplus bfloat16'},
}
# XLA sorts what it scatters. These cannot do without: examples share rows of a
# table, and labels share states.
_SCATTERS = (
    'layers.Embedding',
    'layers.SparseDense',
    'layers.whitening_filters',
    'losses.ctc_loss',
    'models.sparse_mlp',
    'models.tabular',
)
_SELF_CHECK = (
    (lambda x: tf.strings.as_string(x), {'AsString'}, set()),
    (lambda x: tf.math.bincount(x, minlength=3), set(), {'DenseBincount'}),
    # Images of bytes.
    (lambda x: tf.gather(tf.cast(x, tf.uint8), x), {'GatherV2'}, set()),
)


def _inputs(model, batch):
  if 'image' in batch:
    batch = {**batch, 'image': tf.cast(batch['image'], tf.float32) / 255}
  return cases.inputs(model, batch)


class _GPUTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    tf.random.set_seed(0)
    tf.config.experimental.enable_op_determinism()
    self.addCleanup(config.disable_op_determinism)
    self.enter_context(
        mock.patch.object(distribution, 'on_gpu', return_value=True)
    )


class MembersTest(_GPUTest):

  @parameterized.parameters(
      *((name, 'float32') for name in table.MEMBERS),
      # The others compute in float32.
      *((name, 'bfloat16') for _, name in table.named('layers', 'models')),
  )
  @pytest.mark.medium
  def test_a_member(self, name, dtype):
    subject = table.MEMBERS[name].make()
    module = subject.module
    batch = table.MEMBERS[name].batch(_WEIGHTS)
    is_cast = dtype != 'float32'
    if is_cast and module is not None:
      subject = subject._replace(module=precision.autocast(module, dtype))
    batch = member.tensors(
        batch, subject.source, tf.as_dtype(dtype) if is_cast else None
    )
    specs = {
        key: tf.TensorSpec(value.shape, value.dtype)
        for key, value in batch.items()
    }
    function = functools.partial(member.observe, subject)
    concrete = tf.function(function, autograph=False).get_concrete_function(
        specs
    )
    self.assertEqual(
        gpu.without_kernel(concrete), _ON_CPU.get((name, dtype), set())
    )
    self.assertEmpty(gpu.refused(concrete))
    instructions = gpu.instructions(function, specs, module=module)
    self.assertEqual('scatter' in instructions, name in _SCATTERS)
    # They have no deterministic form.
    self.assertNotIn('select-and-scatter', instructions)

  @parameterized.named_parameters(*table_optimizers.named())
  @pytest.mark.medium
  def test_an_optimizer(self, name):
    optimizer = table_optimizers.MEMBERS[name]
    weights = tf.nest.map_structure(tf.constant, comparison.parameters())
    arguments = (weights, optimizer.init(weights), weights)
    specs = tf.nest.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), arguments
    )
    concrete = tf.function(
        optimizer.update, autograph=False
    ).get_concrete_function(*specs)
    self.assertEmpty(gpu.without_kernel(concrete))
    self.assertEmpty(gpu.refused(concrete))
    self.assertNotEmpty(gpu.instructions(optimizer.update, *specs))


class LoopsTest(_GPUTest):

  @parameterized.product(name=sorted(models.REGISTRY), num_replicas=(1, 2))
  @pytest.mark.medium
  def test_a_model_with_bytes_as_images(self, name, num_replicas):
    optimizer = optimizers.adam(1e-3)
    run = runs.make(name, optimizer, num_replicas)
    objective = objectives.supervised(
        losses.softmax_cross_entropy,
        inputs=functools.partial(_inputs, run.model),
    )
    metric = metrics.collection({
        'accuracy': metrics.accuracy(),
        'confusion': metrics.confusion_matrix(cases.NUM_CLASSES),
    })
    arrays = cases.batch(run.model, runs.IMAGE_SHAPE, 8)
    if 'image' in arrays:
      arrays['image'] = (255 * arrays['image']).astype(np.uint8)
    with run.strategy.scope():
      forward = training.trace(objective, run.model, arrays)
    largest = compilation.choose_for(
        run.model, forward, run.strategy, is_deterministic=True
    )
    if num_replicas == 1:
      self.assertEqual(largest, compilation.Extent.LOOP)
    data = resident.place(arrays, run.strategy)
    zeros = training.zero_sums(metric, forward)
    for extent in compilation.Extent.NONE, largest:
      step = training.make_train_step(
          objective, optimizer, metric, run.strategy, extent
      )
      is_compiled = extent == compilation.Extent.LOOP
      loop = resident.make_loop(step, run.strategy, jit_compile=is_compiled)
      numbers = map(tf.constant, (0, 0))
      concrete = loop.get_concrete_function(
          run.state,
          data,
          resident.batched(tf.range(8), 4),
          *numbers,
          zeros,
          tf.constant(2),
      )
      with self.subTest(extent.name):
        self.assertEmpty(gpu.without_kernel(concrete))
        self.assertEmpty(gpu.refused(concrete, by_xla=is_compiled))


class GPUTest(_GPUTest):
  """That the functions of `gpu` find something."""

  @parameterized.parameters(*_SELF_CHECK)
  def test_finds(self, function, without_kernel, refused):
    concrete = tf.function(function).get_concrete_function(
        tf.TensorSpec([4], tf.int32)
    )
    found = {each.split()[0] for each in gpu.without_kernel(concrete)}
    self.assertEqual(found, without_kernel)
    self.assertEqual(gpu.refused(concrete), refused)

  def test_a_pooling_that_xla_refuses(self):
    def gradient(x):
      return tf.gradients(tf.nn.max_pool2d(x, 2, 2, 'SAME'), x)

    spec = tf.TensorSpec([1, 4, 4, 1])
    concrete = tf.function(gradient).get_concrete_function(spec)
    self.assertNotEmpty(gpu.refused(concrete, by_xla=True))
    with self.assertRaisesRegex(ValueError, 'deterministic XLA'):
      gpu.instructions(gradient, spec)

  def test_a_scatter(self):
    def gradient(x, rows):
      return tf.convert_to_tensor(tf.gradients(tf.gather(x, rows), x)[0])

    specs = tf.TensorSpec([4, 2]), tf.TensorSpec([3], tf.int32)
    self.assertIn('scatter', gpu.instructions(gradient, *specs))


if __name__ == '__main__':
  absltest.main()
