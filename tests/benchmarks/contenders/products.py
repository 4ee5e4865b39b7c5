"""No contender but their floor: a network's products and convolutions alone.

What Quatrain gives to a library in a step, forward and backward, and nothing
else: no batch is gathered, nothing is activated, normalised or pooled, there is
no loss, and no parameter is updated. They are read off the traced network, and
compiled where Quatrain compiles its loop.
"""

# ruff: noqa: E402
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from core import processor

processor.use_onednn()  # Before TensorFlow is imported.

import tensorflow as tf

from core import compilation, distribution, xla_flags
from tests.benchmarks import cases, protocol
from tests.benchmarks.contenders import quatrain_core, tensorflow_device


class Product(NamedTuple):
  """A product of a network.

  Attributes:
    inputs: The shape of what a layer is given.
    weights: The shape of its weights.
    function: Maps both to the layer's outputs, less a bias.
  """

  inputs: list[int]
  weights: list[int]
  function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def trace(case: cases.Case) -> tf.types.experimental.ConcreteFunction:
  """Traces the forward pass of a case's network for a batch."""
  model = quatrain_core.network(case)
  model.build([None, *cases.IMAGE_SHAPE])
  images = tf.TensorSpec([case.batch_size, *cases.IMAGE_SHAPE])

  @tf.function(autograph=False)
  def forward(images: tf.Tensor) -> tf.Tensor:
    return model(images, is_training=False)

  return forward.get_concrete_function(images)


def products(
    forward: tf.types.experimental.ConcreteFunction,
) -> list[Product]:
  """Lists the products of a network, that of the images first.

  Args:
    forward: Its forward pass.

  Returns:
    Its `Conv2D` and `MatMul` operations.
  """
  found = []
  for operation in forward.graph.get_operations():
    if operation.type not in ('Conv2D', 'MatMul'):
      continue
    inputs, weights = (each.shape.as_list() for each in operation.inputs)
    function = tf.matmul
    if operation.type == 'Conv2D':
      function = _convolution(
          operation.get_attr('strides'), operation.get_attr('padding').decode()
      )
    found.append(Product(inputs, weights, function))
  return found


def _convolution(
    strides: list[int], padding: str
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  return lambda x, w: tf.nn.conv2d(x, w, strides, padding)


def make_epoch(
    found: list[Product], dtype: tf.DType, jit_compile: bool
) -> tf.types.experimental.GenericFunction:
  """Makes a loop that computes all products again and again.

  Args:
    found: The products, that of the images first.
    dtype: What they are computed in.
    jit_compile: Whether XLA compiles the loop.

  Returns:
    A `tf.function` of the number of steps, to a number of no meaning.
  """

  def step(values: list[list[tf.Tensor]]) -> list[list[tf.Tensor]]:
    """Replaces inputs and weights by their gradients, so that none is idle."""
    gradients = []
    for index, ((x, w), product) in enumerate(zip(values, found)):
      sources = [x, w] if index else [w]  # Images have no gradient.
      with tf.GradientTape() as tape:
        tape.watch(sources)
        y = product.function(x, w)
      computed = tape.gradient(y, sources, output_gradients=y)
      gradients.append(computed if index else [x, *computed])
    return gradients

  @tf.function(autograph=False, jit_compile=jit_compile or None)
  def epoch(num_steps: tf.Tensor) -> tf.Tensor:
    values = [
        [tf.ones(each.inputs, dtype), tf.zeros(each.weights, dtype)]
        for each in found
    ]
    values, _ = tf.while_loop(
        lambda values, taken: taken < num_steps,
        lambda values, taken: (step(values), taken + 1),
        (values, tf.zeros_like(num_steps)),
        parallel_iterations=1,
    )
    return tf.add_n([
        tf.reduce_sum(tf.cast(value, tf.float32))
        for value in tf.nest.flatten(values)
    ])

  return epoch


def main() -> None:
  """Computes as many as in training, prints."""
  run = protocol.start()
  tensorflow_device.setup(run)
  xla_flags.tune_for_cpu(run.case.batch_size)
  forward = trace(run.case)
  extent = compilation.choose(
      'auto',
      compilation.operations(forward),
      on_gpu=distribution.on_gpu(),
  )
  found = products(forward)
  epoch = make_epoch(
      found,
      tf.bfloat16 if run.precision == 'bfloat16' else tf.float32,
      extent == compilation.Extent.LOOP,
  )
  for _ in run.epochs():
    run.end_epoch(float(epoch(tf.constant(run.num_steps))), math.nan)
  run.finish(
      accuracy=None,
      num_parameters=sum(math.prod(each.weights) for each in found),
      device=tensorflow_device.name(),
      versions={'tensorflow': tf.__version__},
  )


if __name__ == '__main__':
  main()
