"""Images as sequences of patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf

from .. import checks
from . import convolution

POSITIONS = ('learned', 'sincos', 'none')


def sincos_positions(
    height: int, width: int, size: int, temperature: float = 10_000.0
) -> np.ndarray:
  r"""Embeds the positions of a grid with sines and cosines of its coordinates.

  .. math::
    [\sin x\omega, \cos x\omega, \sin y\omega, \cos y\omega], \qquad
    \omega_i = \tau^{-i / (s/4 - 1)}, \quad 0 \le i < s/4

  Args:
    height: The number of rows.
    width: The number of columns.
    size: The size :math:`s` of an embedding, a multiple of 4.
    temperature: The longest wavelength over 2 pi, :math:`\tau`.

  Returns:
    float32 ``[height * width, size]``, row by row.

  Raises:
    ValueError: If the size is not a positive multiple of 4.

  Reference:
    `Beyer et al. 2022 <https://arxiv.org/abs/2205.01580>`_, Better plain ViT
    baselines.

  Example:
    >>> from core import layers
    >>> layers.sincos_positions(2, 2, 4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
  """
  checks.size('height', height)
  checks.size('width', width)
  checks.size('size', size)
  checks.number('temperature', temperature)
  if size % 4:
    raise ValueError(f'size: expected a multiple of 4, got {size}.')
  quarter = size // 4
  omega = temperature ** -(np.arange(quarter) / max(1, quarter - 1))
  y, x = np.mgrid[:height, :width].reshape([2, -1, 1]) * omega
  parts = [np.sin(x), np.cos(x), np.sin(y), np.cos(y)]
  return np.concatenate(parts, axis=-1).astype(np.float32)


class PatchEmbedding(snt.Module):
  """Cuts images into square patches and embeds each, with its position.

  This is a dense layer on the pixels of each patch, computed as a convolution
  with the patch size as its stride.

  Reference:
    `Dosovitskiy et al. 2021 <https://arxiv.org/abs/2010.11929>`_, equation 1.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> embedding = layers.PatchEmbedding(patch_size=4, hidden_size=16)
    >>> embedding(tf.ones([2, 28, 28, 1])).shape.as_list()
    [2, 49, 16]
  """

  def __init__(
      self,
      patch_size: int,
      hidden_size: int,
      position: str = 'learned',
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      patch_size: The side of a patch, which must divide height and width.
      hidden_size: The size of an embedding, at least 1.
      position: The position embedding to add: a ``learned`` table, fixed
        ``sincos`` (see `sincos_positions`) or ``none``.
      name: Name of the module.

    Raises:
      ValueError: If a size is not positive, hidden_size is not a multiple of 4
        for sincos, or the position is unknown.
    """
    super().__init__(name=name)
    checks.size('patch_size', patch_size)
    checks.size('hidden_size', hidden_size)
    checks.one_of('position', position, POSITIONS)
    if position == 'sincos' and hidden_size % 4:
      raise ValueError(
          f'hidden_size: sincos needs a multiple of 4, got {hidden_size}.'
      )
    self.patch_size = patch_size
    self.hidden_size = hidden_size
    self.position = position
    self.convolution = convolution.Conv2D(
        hidden_size, patch_size, patch_size, padding='VALID'
    )
    self.table: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables; only the batch size may be unknown."""
    _, num_patches, _ = self.output_shape(input_shape)
    self.convolution.build(input_shape)
    if self.position == 'learned' and self.table is None:
      shape = [num_patches, self.hidden_size]
      self.table = tf.Variable(
          snt.initializers.TruncatedNormal(stddev=0.02)(shape, tf.float32),
          name='table',
      )

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[batch_size, height, width, channels]``.

    Returns:
      Embeddings, row by row: ``[batch_size, num_patches, hidden_size]``.
    """
    inputs = tf.convert_to_tensor(inputs)
    if self.position == 'learned' and self.table is None:
      self.build(inputs.shape)
    _, num_patches, _ = self.output_shape(inputs.shape)
    x = self.convolution(inputs)
    batch_size = inputs.shape[0] or tf.shape(inputs)[0]
    x = tf.reshape(x, [batch_size, num_patches, self.hidden_size])
    if self.position == 'none':
      return x
    table = self.table
    if self.position == 'sincos':
      height, width = (s // self.patch_size for s in inputs.shape[1:3])
      table = sincos_positions(height, width, self.hidden_size)
    return x + tf.cast(table, x.dtype)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[batch_size, num_patches, hidden_size]``."""
    if len(input_shape) != 4 or None in tuple(input_shape)[1:]:
      raise ValueError(
          'input_shape: expected [batch_size, height, width, channels] with '
          f'all but the batch size known, got {tuple(input_shape)}.'
      )
    batch_size, height, width, _ = input_shape
    if height % self.patch_size or width % self.patch_size:
      raise ValueError(
          f'patch_size: {self.patch_size} does not divide images of {height} x '
          f'{width}; choose one that does, or resize or pad the images.'
      )
    num_patches = (height // self.patch_size) * (width // self.patch_size)
    if self.table is not None and self.table.shape[0] != num_patches:
      raise ValueError(
          f'input_shape: the layer was built for {self.table.shape[0]} patches'
          f', got {tuple(input_shape)} with {num_patches}.'
      )
    return (batch_size, num_patches, self.hidden_size)
