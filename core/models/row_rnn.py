"""A recurrent network that reads an image row by row."""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, layers, random
from . import model


class RowRNN(model.Model):
  """LSTM layers over the rows of an image; the last state gives the logits.

  The steps are unrolled, one per row: the graph grows with the height of the
  image but has no loop, so that it converts to other formats.

  Reference:
    Hochreiter and Schmidhuber 1997, Long short-term memory; like ``snt.LSTM``.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('row_rnn', 10)
    >>> images = tf.zeros([2, 28, 28, 1])
    >>> model(images, is_training=False).shape.as_list()
    [2, 10]
  """

  def __init__(
      self,
      num_classes: int,
      hidden_sizes: Sequence[int] = (128,),
      dropout_rate: float = 0.0,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      hidden_sizes: The size of each LSTM layer, at least one.
      dropout_rate: The rate of dropout after each LSTM layer, in [0, 1).
      name: Name of the module.

    Raises:
      ValueError: If there is no layer, or a size or rate is out of range.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.sizes('hidden_sizes', hidden_sizes)
    if not hidden_sizes:
      raise ValueError('hidden_sizes: expected one or more sizes, got none.')
    checks.rate('dropout_rate', dropout_rate)
    self.cores = [snt.LSTM(size) for size in hidden_sizes]
    self.dropout = layers.Dropout(dropout_rate)
    self.output = layers.Dense(num_classes)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits of images ``[batch_size, height, width, channels]``.

    Returns:
      Logits ``[batch_size, num_classes]``.
    """
    inputs = tf.convert_to_tensor(inputs)
    _, height, width, channels = inputs.shape
    batch_size = inputs.shape[0] or tf.shape(inputs)[0]
    x = tf.reshape(inputs, [batch_size, height, width * channels])
    for index, core in enumerate(self.cores):
      # The initial state is float32 for any inputs.
      state = tf.nest.map_structure(
          lambda zeros: tf.cast(zeros, inputs.dtype),
          core.initial_state(batch_size),
      )
      # Not `snt.static_unroll`, whose lists ONNX cannot represent.
      states = []
      for row in tf.unstack(x, axis=1):  # [B, W * C]
        output, state = core(row, state)
        states.append(output)
      x = self.dropout(
          tf.stack(states, axis=1),
          is_training,
          random.layer_seed(seed, index),
      )
    return self.output(x[:, -1])
