"""Max pooling, and downsampling of blurred images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf

from .. import checks, distribution


def max_pool2d(
    inputs: tf.Tensor, size: int = 2, *, by_reshape: bool | None = None
) -> tf.Tensor:
  """Computes maxima over squares that do not overlap.

  It has two forms with equal values. The first, a reshape and a maximum, is for
  XLA, which refuses the gradient of a pooling operation if operations must be
  deterministic. The second, a pooling operation, is for CPUs without XLA:
  forward and backward, it took a tenth of the reshape's time for a batch of
  ``[128, 28, 28, 32]`` on two cores. If the maximum occurs twice in a square,
  the reshape gives each half of its gradient, the operation all to the first.

  Args:
    inputs: float ``[batch_size, height, width, channels]``; any size may be
      unknown.
    size: The side of a square, at least 1.
    by_reshape: Whether to use the reshape. Default: if there is a GPU.

  Returns:
    A tensor ``[batch_size, ceil(height / size), ceil(width / size),
    channels]``.

  Raises:
    ValueError: If the rank is not 4 or the size is not positive.

  Reference:
    ``tf.nn.max_pool2d`` with strides of the size and ``SAME`` padding.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> x = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
    >>> layers.max_pool2d(x).numpy().ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
  """
  inputs = tf.convert_to_tensor(inputs)
  checks.rank('inputs', inputs, 4)
  checks.size('size', size)
  if by_reshape is None:
    by_reshape = distribution.on_gpu()
  if not by_reshape:
    return tf.nn.max_pool2d(inputs, size, size, 'SAME')
  batch_size, height, width, channels = checks.sizes_of(inputs)
  missing = [-side % size for side in (height, width)]
  if any(tf.is_tensor(lack) or lack for lack in missing):
    # Half of it before, as in SAME padding.
    padding = [[lack // 2, lack - lack // 2] for lack in missing]
    inputs = tf.pad(
        inputs, [[0, 0], *padding, [0, 0]], constant_values=-math.inf
    )
    height, width = height + missing[0], width + missing[1]
  squares = [batch_size, height // size, size, width // size, size, channels]
  return tf.reduce_max(tf.reshape(inputs, squares), axis=[2, 4])


@snt.allow_empty_variables
class BlurPool(snt.Module):
  """Blurs each channel with a binomial filter, and keeps every n-th pixel.

  Without the blur, the outputs of a network change if the image is shifted by
  one pixel. The image is reflected at its borders.

  Reference:
    `Zhang 2019 <https://arxiv.org/abs/1904.11486>`_, Making convolutional
    networks shift-invariant again.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> x = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
    >>> layers.BlurPool()(x).numpy().ravel().tolist()
    [2.5, 4.0, 8.5, 10.0]
  """

  def __init__(
      self, filter_size: int = 3, stride: int = 2, name: str | None = None
  ):
    """Constructs the layer.

    Args:
      filter_size: The side of the filter, at least 1: a row of Pascal's
        triangle, such as 1 2 1 for 3, in each direction.
      stride: The step between the rows and columns kept, at least 1.
      name: Name of the module.

    Raises:
      ValueError: If a number is not positive.
    """
    super().__init__(name=name)
    checks.size('filter_size', filter_size)
    checks.size('stride', stride)
    self.filter_size = filter_size
    self.stride = stride

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Checks the shape; there are no variables.

    All sizes of ``[batch_size, height, width, channels]`` but the first must be
    known, and larger than half of the filter.
    """
    if len(input_shape) != 4 or None in tuple(input_shape)[1:]:
      raise ValueError(
          'input_shape: expected [batch_size, height, width, channels] with '
          f'all but the batch size known, got {tuple(input_shape)}.'
      )
    if min(input_shape[1:3]) <= self.filter_size // 2:
      raise ValueError(
          f'input_shape: a filter of size {self.filter_size} needs images of '
          f'at least {self.filter_size // 2 + 1} pixels per side, got '
          f'{tuple(input_shape)}.'
      )

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[batch_size, height, width, channels]``.

    Returns:
      A tensor ``[batch_size, ceil(height / stride), ceil(width / stride),
      channels]``.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.build(inputs.shape)
    row = [math.comb(self.filter_size - 1, i) for i in range(self.filter_size)]
    square = np.outer(row, row) / 4.0 ** (self.filter_size - 1)
    filters = np.tile(square[:, :, None, None], [1, 1, inputs.shape[-1], 1])
    before, after = (self.filter_size - 1) // 2, self.filter_size // 2
    padding = [[0, 0], [before, after], [before, after], [0, 0]]
    return tf.nn.depthwise_conv2d(
        tf.pad(inputs, padding, 'REFLECT'),
        tf.constant(filters, inputs.dtype),
        strides=[1, self.stride, self.stride, 1],
        padding='VALID',
    )

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, ceil(H / stride), ceil(W / stride), C]``."""
    self.build(input_shape)
    batch_size, height, width, channels = input_shape
    height, width = (-(-side // self.stride) for side in (height, width))
    return (batch_size, height, width, channels)
