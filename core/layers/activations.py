"""Activations: functions by name, and softmax as a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks

ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    'elu': tf.nn.elu,
    'gelu': tf.nn.gelu,
    'linear': tf.identity,
    'relu': tf.nn.relu,
    'selu': tf.nn.selu,
    'sigmoid': tf.nn.sigmoid,
    'silu': tf.nn.silu,
    'softplus': tf.nn.softplus,
    'tanh': tf.nn.tanh,
}


def activation(
    name_or_function: str | Callable[[tf.Tensor], tf.Tensor] | None,
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Looks up an activation by name; functions are returned unchanged.

  Args:
    name_or_function: One of `ACTIVATIONS`, a function, or None for ``linear``.

  Returns:
    An elementwise function of a tensor.

  Raises:
    ValueError: If the name is unknown.

  Example:
    >>> from core import layers
    >>> layers.activation('relu')([-1.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
  """
  if callable(name_or_function):
    return name_or_function
  name = 'linear' if name_or_function is None else name_or_function
  checks.one_of('activation', name, list(ACTIVATIONS))
  return ACTIVATIONS[name]


@snt.allow_empty_variables
class Softmax(snt.Module):
  """Converts logits to probabilities: ``exp(x_i) / sum_j exp(x_j)``.

  Reference:
    Bridle 1990, Probabilistic interpretation of feedforward classification
    network outputs.

  Example:
    >>> from core import layers
    >>> layers.Softmax()([[0.0, 0.0]]).numpy().tolist()
    [[0.5, 0.5]]
  """

  def __init__(self, axis: int = -1, name: str | None = None):
    """Constructs the layer.

    Args:
      axis: The axis of the classes.
      name: Name of the module.

    Raises:
      TypeError: If the axis is not a number.
    """
    super().__init__(name=name)
    checks.number('axis', axis)
    self.axis = axis

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Checks that inputs have the axis; there are no variables."""
    if not -len(input_shape) <= self.axis < len(input_shape):
      raise ValueError(
          f'input_shape: {tuple(input_shape)} has no axis {self.axis}.'
      )

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Computes probabilities.

    Args:
      inputs: Logits ``[..., num_classes]``. Half precision is computed and
        returned as float32.

    Returns:
      Probabilities of the same shape; they sum to 1 along the axis.
    """
    inputs = tf.convert_to_tensor(inputs)
    if inputs.dtype in (tf.bfloat16, tf.float16):
      inputs = tf.cast(inputs, tf.float32)
    return tf.nn.softmax(inputs, axis=self.axis)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    self.build(input_shape)
    return tuple(input_shape)
