"""Two inputs, two outputs, and a wide path that skips the deep one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from .. import checks, layers
from . import model


class WideAndDeep(model.Model):
  """Memorizes with a linear path and generalizes with a deep one.

  The main head sees the wide input next to the deep path's last layer; an
  auxiliary head sees the deep path only, so that it also learns by itself.

  Reference:
    Cheng et al. 2016, Wide & deep learning for recommender systems.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('wide_and_deep', 10)
    >>> inputs = {'projections': tf.zeros([2, 56]), 'image': tf.zeros([2, 784])}
    >>> outputs = model(inputs, is_training=False)
    >>> {name: tuple(logits.shape) for name, logits in outputs.items()}
    {'logits': (2, 10), 'auxiliary_logits': (2, 10)}
  """

  def __init__(
      self,
      num_classes: int,
      wide_input: str = 'projections',
      deep_input: str = 'image',
      hidden_sizes: Sequence[int] = (300, 100),
      activation: str = 'relu',
      auxiliary_weight: float = 0.1,
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits of each head, at least 1.
      wide_input: The name of the input that goes directly to the main head.
      deep_input: The name of the input that goes through the hidden layers.
      hidden_sizes: The size of each hidden layer.
      activation: A name of `layers.ACTIVATIONS`.
      auxiliary_weight: The auxiliary head's share of the loss, in [0, 1].
      name: Name of the module.

    Raises:
      ValueError: If the auxiliary weight is out of range, or both inputs have
        the same name.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.number('auxiliary_weight', auxiliary_weight)
    if not 0 <= auxiliary_weight <= 1:
      raise ValueError(
          f'auxiliary_weight: expected [0, 1], got {auxiliary_weight}.'
      )
    if wide_input == deep_input:
      raise ValueError(f'wide_input: {wide_input!r} is the deep input already.')
    checks.sizes('hidden_sizes', hidden_sizes)
    self.input_names = (wide_input, deep_input)
    self.head_weights = {
        'logits': 1 - auxiliary_weight,
        'auxiliary_logits': auxiliary_weight,
    }
    self.hidden = [layers.Dense(size, activation) for size in hidden_sizes]
    self.output = layers.Dense(num_classes)
    self.auxiliary_output = layers.Dense(num_classes)

  def __call__(
      self,
      inputs: Mapping[str, tf.Tensor],
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> dict[str, tf.Tensor]:
    """Computes the logits of both heads, from a mapping of both inputs.

    Returns:
      ``logits`` and ``auxiliary_logits``, each ``[batch_size, num_classes]``.

    Raises:
      ValueError: If an input is missing.
    """
    del is_training, seed
    if not set(self.input_names) <= set(inputs):
      raise ValueError(
          f'inputs: expected {self.input_names}, got {tuple(inputs)}.'
      )
    wide_input, deep_input = self.input_names
    x = model.flatten(inputs[deep_input])
    for dense in self.hidden:
      x = dense(x)
    wide = model.flatten(inputs[wide_input])
    return {
        'logits': self.output(tf.concat([wide, x], axis=-1)),
        'auxiliary_logits': self.auxiliary_output(x),
    }
