"""No contender but their floor: a network's products and convolutions alone.

What every contender gives to a library, and nothing else: no batch is gathered,
nothing is activated, normalised, pooled or lost, no parameter is updated. The
rest of a step is what a training core can win. Dense networks are one loop in
XLA, as Quatrain's and Flax' are; convolutions are TensorFlow's own.
"""

# ruff: noqa: E402
from __future__ import annotations

import itertools
import math

from core import processor

processor.use_onednn()  # Before TensorFlow is imported.

import tensorflow as tf

from core import xla_flags
from tests.benchmarks import cases, protocol
from tests.benchmarks.contenders import tensorflow_device


def _dense_sizes(case: cases.Case) -> list[int]:
  """Lists the sizes of a dense network, from the pixels to the classes."""
  units = [units for kind, *units in case.layers if kind == 'dense']
  return [math.prod(cases.IMAGE_SHAPE), *(size for [size] in units)]


def _dense_step(inputs: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
  """Computes all products of a step; the gradients are the next weights.

  Args:
    inputs: ``[batch_size, num_pixels]``.
    weights: ``[size, next_size]`` of each layer.

  Returns:
    Tensors like the weights.
  """
  outputs = [inputs]
  for w in weights:
    outputs.append(outputs[-1] @ w)
  gradient, gradients = outputs.pop(), []
  for index in reversed(range(len(weights))):
    gradients.append(tf.matmul(outputs[index], gradient, transpose_a=True))
    if index:
      gradient = tf.matmul(gradient, weights[index], transpose_b=True)
  return gradients[::-1]


def convolutions(
    case: cases.Case,
) -> list[tuple[list[int], list[int], int, str]]:
  """Lists the convolutions and, as such of one pixel, the dense layers.

  Args:
    case: A case of images.

  Returns:
    For each the sizes of its inputs ``[batch_size, height, width, channels]``
    and of its filters, its stride and its padding.
  """
  found = []
  height, _, channels = cases.IMAGE_SHAPE

  def add(filters: int, size: int, stride: int = 1, padding: str = 'SAME'):
    nonlocal height, channels
    shape = [case.batch_size, height, height, channels]
    found.append((shape, [size, size, channels, filters], stride, padding))
    height = -(-(height - (padding == 'VALID') * (size - 1)) // stride)
    channels = filters

  for kind, *sizes in case.layers:
    match kind, sizes:
      case 'conv', [filters, padding]:
        add(filters, 3, padding=padding)
      case 'stem', [filters]:
        add(filters, 3)
      case 'block', [filters, stride]:
        before = height, channels
        if stride != 1 or channels != filters:
          add(filters, 1, stride)
        height, channels = before
        add(filters, 3, stride)
        add(filters, 3)
      case 'dense', [units]:
        add(units, 1)
      case 'pool', _:
        height //= 2
      case 'average', _:
        height = 1
      case 'flatten', _:
        height, channels = 1, height**2 * channels
  return found


def _convolution_step(
    inputs: tf.Tensor, filters: tf.Tensor, stride: int, padding: str
) -> tf.Tensor:
  """Computes a convolution and its gradients, by its outputs for want of any.

  Args:
    inputs: ``[batch_size, height, width, channels]``.
    filters: ``[size, size, channels, num_filters]``.
    stride: The stride.
    padding: `SAME` or `VALID`.

  Returns:
    The gradient of the filters, the next filters.
  """
  y = tf.nn.conv2d(inputs, filters, stride, padding)
  place = {'strides': [1, stride, stride, 1], 'padding': padding}
  needed = []
  if inputs.shape[-1] > 1:  # Those of images have no use.
    needed.append(
        tf.raw_ops.Conv2DBackpropInput(
            input_sizes=inputs.shape, filter=filters, out_backprop=y, **place
        )
    )
  with tf.control_dependencies(needed):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs, filter_sizes=filters.shape, out_backprop=y, **place
    )


def main() -> None:
  """Computes as many as in training, prints."""
  run = protocol.start()
  case = run.case
  tensorflow_device.setup(run)
  xla_flags.tune_for_cpu(case.batch_size)
  dtype = tf.bfloat16 if run.precision == 'bfloat16' else tf.float32
  if case.has_convolutions:
    layers = convolutions(case)
    shapes = [filters for _, filters, _, _ in layers]
    inputs = [tf.ones(shape, dtype) for shape, *_ in layers]

    def step(*weights: tf.Tensor) -> list[tf.Tensor]:
      return [
          _convolution_step(x, w, stride, padding)
          for x, w, (_, _, stride, padding) in zip(inputs, weights, layers)
      ]
  else:
    sizes = _dense_sizes(case)
    shapes = list(itertools.pairwise(sizes))
    images = tf.ones([case.batch_size, sizes[0]], dtype)

    def step(*weights: tf.Tensor) -> list[tf.Tensor]:
      return _dense_step(images, list(weights))

  on_gpu = bool(tf.config.list_physical_devices('GPU'))

  @tf.function(
      autograph=False,
      jit_compile=True if on_gpu or not case.has_convolutions else None,
  )
  def epoch(num_steps: tf.Tensor) -> tf.Tensor:
    weights = [tf.zeros(shape, dtype) for shape in shapes]
    *weights, _ = tf.while_loop(
        lambda *values: values[-1] < num_steps,
        lambda *values: [*step(*values[:-1]), values[-1] + 1],
        [*weights, tf.constant(0)],
        parallel_iterations=1,
    )
    return tf.add_n([tf.reduce_sum(tf.cast(w, tf.float32)) for w in weights])

  for _ in run.epochs():
    run.end_epoch(float(epoch(tf.constant(run.num_steps))), math.nan)
  run.finish(
      accuracy=None,
      num_parameters=sum(map(math.prod, shapes)),
      device=tensorflow_device.name(),
      versions={'tensorflow': tf.__version__},
  )


if __name__ == '__main__':
  main()
