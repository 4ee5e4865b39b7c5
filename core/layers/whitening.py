"""A first convolution whose filters are computed from the data."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, deprecation
from . import convolution


@deprecation.renamed_arguments(kernel_size='kernel_shape')
def whitening_filters(
    images: tf.Tensor, kernel_shape: int = 2, epsilon: float = 5e-4
) -> tf.Tensor:
  r"""Computes filters whose responses to the patches of images are white.

  With the patches' covariance :math:`C = \sum_i \lambda_i v_i v_i^T`, filter
  :math:`i` is

  .. math::
    v_i / \sqrt{\lambda_i + \epsilon}

  so that responses are uncorrelated and, where :math:`\lambda_i` is well above
  :math:`\epsilon`, have variance 1.

  Args:
    images: float ``[num_images, height, width, channels]``; a few thousand are
      enough. Only the number of images may be unknown.
    kernel_shape: The side of a patch, at least 1.
    epsilon: Limits the amplification of directions with little variance, > 0.

  Returns:
    float32 ``[kernel_shape, kernel_shape, channels, kernel_shape^2 channels]``,
    in order of decreasing variance.

  Raises:
    ValueError: If the rank is not 4, a size is unknown, the patch does not fit
      into the image, or epsilon is not positive.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, 94% on CIFAR-10 in 3.29
    seconds on a single GPU, section 3.2, after Page 2018, How to train your
    ResNet; here the patches' mean is subtracted first.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> images = tf.random.stateless_normal([8, 6, 6, 3], seed=[0, 1])
    >>> layers.whitening_filters(images).shape.as_list()
    [2, 2, 3, 12]
  """
  images = tf.cast(tf.convert_to_tensor(images), tf.float32)
  checks.rank('images', images, 4)
  if None in images.shape[1:]:
    raise ValueError(
        'images: expected known height, width and channels, got shape '
        f'{images.shape}.'
    )
  checks.size('kernel_shape', kernel_shape)
  if not 1 <= kernel_shape <= min(images.shape[1:3]):
    raise ValueError(
        f'kernel_shape: expected 1 to {min(images.shape[1:3])} for images of '
        f'shape {images.shape}, got {kernel_shape}.'
    )
  checks.positive('epsilon', epsilon)
  channels = images.shape[-1]
  patch_size = kernel_shape**2 * channels
  patches = tf.image.extract_patches(
      images,
      sizes=[1, kernel_shape, kernel_shape, 1],
      strides=[1, 1, 1, 1],
      rates=[1, 1, 1, 1],
      padding='VALID',
  )
  patches = tf.reshape(patches, [-1, patch_size])  # rows, columns, channels
  patches -= tf.reduce_mean(patches, axis=0)
  num_patches = tf.cast(tf.shape(patches)[0], tf.float32)
  covariance = tf.matmul(patches, patches, transpose_a=True) / num_patches
  variances, directions = tf.linalg.eigh(covariance)
  filters = directions / tf.sqrt(tf.maximum(variances, 0) + epsilon)
  return tf.reshape(
      filters[:, ::-1], [kernel_shape, kernel_shape, channels, patch_size]
  )


@deprecation.renamed_arguments(kernel_size='kernel_shape')
class WhiteningConv2D(snt.Module):
  """A convolution with frozen whitening filters and a learned bias.

  Its filters are those of `whitening_filters` and their negatives, so that no
  sign is lost in the rectifier that follows. `fit` sets them from images,
  before training; until then they are random orthonormal directions. They are a
  non-trainable variable, so checkpoints and exports hold them.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, section 3.2.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> images = tf.random.stateless_uniform([8, 6, 6, 1], seed=[0, 1])
    >>> layer = layers.WhiteningConv2D(kernel_shape=2)
    >>> layer.fit(images)
    >>> layer(images).shape.as_list()
    [8, 5, 5, 8]
  """

  def __init__(
      self,
      kernel_shape: int = 2,
      *,
      with_negatives: bool = True,
      with_bias: bool = True,
      padding: str = 'VALID',
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      kernel_shape: The side of a filter, at least 1.
      with_negatives: Whether to add the negative of each filter.
      with_bias: Whether to add a bias, initialized to zero.
      padding: ``VALID`` or ``SAME``.
      name: Name of the module.

    Raises:
      ValueError: If the size is not positive or the padding is unknown.
    """
    super().__init__(name=name)
    checks.size('kernel_shape', kernel_shape)
    checks.one_of('padding', padding, ('SAME', 'VALID'))
    self.kernel_shape = kernel_shape
    self.with_negatives = with_negatives
    self.with_bias = with_bias
    self.padding = padding
    self.filters: tf.Variable | None = None
    self.b: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables; only the number of channels must be known."""
    *_, num_filters = self.output_shape(input_shape)
    if self.filters is not None:
      return
    channels = input_shape[-1]
    patch_size = self.kernel_shape**2 * channels
    shape = [self.kernel_shape, self.kernel_shape, channels, patch_size]
    directions = snt.initializers.Orthogonal()([patch_size] * 2, tf.float32)
    self.filters = tf.Variable(
        tf.reshape(directions, shape), trainable=False, name='filters'
    )
    if self.with_bias:
      self.b = tf.Variable(tf.zeros([num_filters]), name='b')

  def fit(self, images: tf.Tensor, epsilon: float = 5e-4) -> None:
    """Sets the filters from images that are prepared as in training.

    Args:
      images: See `whitening_filters`.
      epsilon: See `whitening_filters`.
    """
    images = tf.convert_to_tensor(images)
    checks.rank('images', images, 4)
    self.build(images.shape)
    self.filters.assign(whitening_filters(images, self.kernel_shape, epsilon))

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[batch_size, height, width, channels]``.

    Returns:
      A tensor of shape `output_shape`.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.build(inputs.shape)
    filters = tf.cast(self.filters, inputs.dtype)
    if self.with_negatives:
      filters = tf.concat([filters, -filters], axis=-1)
    outputs = tf.nn.conv2d(inputs, filters, 1, self.padding)
    if self.b is None:
      return outputs
    return outputs + tf.cast(self.b, outputs.dtype)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, new_height, new_width, num_filters]``.

    There are ``kernel_shape^2 channels`` filters, or twice as many.
    """
    sides, channels = convolution.output_sizes(
        input_shape, self.filters, self.kernel_shape, 1, self.padding
    )
    num_filters = self.kernel_shape**2 * channels * (1 + self.with_negatives)
    return (input_shape[0], *sides, num_filters)
