"""A convolution of images, with a bias whose gradient is fast on CPUs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, deprecation


def output_sizes(
    input_shape: Sequence[int | None],
    filters: tf.Variable | None,
    kernel_shape: int,
    stride: int,
    padding: str,
) -> tuple[list[int | None], int]:
  """Checks the shape of images; returns a convolution's output sizes.

  Args:
    input_shape: ``[batch_size, height, width, channels]``.
    filters: ``[kernel_shape, kernel_shape, channels, num_filters]``, or None
      before they are created.
    kernel_shape: The side of a filter.
    stride: The divisor of height and width.
    padding: ``SAME`` or ``VALID``.

  Returns:
    Height and width of the outputs, None where unknown, and the number of
    channels of the images.
  """
  if len(input_shape) != 4 or input_shape[-1] is None:
    raise ValueError(
        'input_shape: expected [batch_size, height, width, channels] with '
        f'channels known, got {tuple(input_shape)}.'
    )
  _, *sides, channels = input_shape
  built = channels if filters is None else filters.shape[2]
  if built != channels:
    raise ValueError(
        f'input_shape: the layer was built for {built} channels, got '
        f'{tuple(input_shape)}.'
    )
  border = 0 if padding == 'SAME' else kernel_shape - 1
  if any(side is not None and side <= border for side in sides):
    raise ValueError(
        f'input_shape: filters of {kernel_shape} x {kernel_shape} do not fit '
        f'into {tuple(input_shape)}; use padding SAME.'
    )
  sides = [
      None if side is None else -(-(side - border) // stride) for side in sides
  ]
  return sides, channels


@deprecation.renamed_arguments(
    num_channels='output_channels', kernel_size='kernel_shape'
)
class Conv2D(snt.Module):
  """``x * w + b``: a convolution of images, with explicit shapes.

  ``snt.Conv2D`` adds the bias with ``tf.nn.bias_add``, whose gradient is slow
  on CPUs, where oneDNN computes it with the gradient of the filters. A bias
  added by ``+`` has a fast gradient, a plain sum.

  Reference:
    ``snt.Conv2D``; ``keras.layers.Conv2D``.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> convolution = layers.Conv2D(8, 3, stride=2)
    >>> convolution.build([None, 28, 28, 1])
    >>> convolution(tf.ones([5, 28, 28, 1])).shape.as_list()
    [5, 14, 14, 8]
  """

  def __init__(
      self,
      output_channels: int,
      kernel_shape: int,
      stride: int = 1,
      *,
      padding: str = 'SAME',
      with_bias: bool = True,
      w_init: snt.initializers.Initializer | None = None,
      b_init: snt.initializers.Initializer | None = None,
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      output_channels: The number of channels of the outputs, at least 1.
      kernel_shape: The side of a filter, at least 1.
      stride: The divisor of height and width, at least 1.
      padding: ``SAME`` or ``VALID``.
      with_bias: Whether to add a bias.
      w_init: Initializer of the filters ``[kernel_shape, kernel_shape,
        channels, output_channels]``. Default: Sonnet's, a normal distribution
        with standard deviation 1/(kernel_shape sqrt(channels)), truncated at
        two deviations (Ioffe and Szegedy 2015).
      b_init: Initializer of the bias ``[output_channels]``. Default: zeros.
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive or the padding is unknown.
    """
    super().__init__(name=name)
    checks.size('output_channels', output_channels)
    checks.size('kernel_shape', kernel_shape)
    checks.size('stride', stride)
    checks.one_of('padding', padding, ('SAME', 'VALID'))
    self.output_channels = output_channels
    self.kernel_shape = kernel_shape
    self.stride = stride
    self.padding = padding
    self.with_bias = with_bias
    self.w_init = w_init
    self.b_init = b_init or snt.initializers.Zeros()
    self.w: tf.Variable | None = None
    self.b: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables; only the number of channels must be known."""
    self.output_shape(input_shape)
    if self.w is not None:
      return
    fan_in_shape = [self.kernel_shape, self.kernel_shape, input_shape[-1]]
    w_init = self.w_init or snt.initializers.TruncatedNormal(
        stddev=1 / math.sqrt(math.prod(fan_in_shape))
    )
    shape = [*fan_in_shape, self.output_channels]
    self.w = tf.Variable(w_init(shape, tf.float32), name='w')
    if self.with_bias:
      b = self.b_init([self.output_channels], tf.float32)
      self.b = tf.Variable(b, name='b')

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[batch_size, height, width, channels]``.

    Returns:
      A tensor of shape `output_shape`.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.build(inputs.shape)
    stride = self.stride
    if self.kernel_shape == 1 and stride > 1:
      # Skip pixels first: on CPUs with AVX2 only, oneDNN's gradient of strided
      # filters is wrong with fewer than 8 channels, or crashes the process. On
      # CPUs a pool of one pixel is faster than a slice.
      inputs, stride = tf.nn.avg_pool2d(inputs, 1, stride, 'VALID'), 1
    outputs = tf.nn.conv2d(inputs, self.w, stride, self.padding)
    return outputs if self.b is None else outputs + self.b

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, height, width, output_channels]``."""
    sides, _ = output_sizes(
        input_shape, self.w, self.kernel_shape, self.stride, self.padding
    )
    return (input_shape[0], *sides, self.output_channels)
