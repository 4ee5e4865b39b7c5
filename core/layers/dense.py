"""A dense layer: Sonnet's linear map, with an activation and output shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks, deprecation
from . import activations


@deprecation.renamed_arguments(num_units='output_size')
class Dense(snt.Module):
  """``activation(x w + b)`` over the last axis of ``x``.

  Reference:
    ``snt.Linear``; ``keras.layers.Dense``.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> dense = layers.Dense(3, 'relu')
    >>> dense.build([None, 2])
    >>> dense(tf.ones([5, 2])).shape.as_list()
    [5, 3]
  """

  def __init__(
      self,
      output_size: int,
      activation: str | Callable[[tf.Tensor], tf.Tensor] | None = None,
      *,
      with_bias: bool = True,
      w_init: snt.initializers.Initializer | None = None,
      b_init: snt.initializers.Initializer | None = None,
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      output_size: Size of the last axis of the outputs, at least 1.
      activation: A name of `layers.ACTIVATIONS` or a function. Default: linear.
      with_bias: Whether to add a bias.
      w_init: Initializer of the weights ``[num_inputs, output_size]``. Default:
        Sonnet's, a normal distribution with standard deviation
        1/sqrt(num_inputs), truncated at two deviations (Ioffe and Szegedy
        2015).
      b_init: Initializer of the bias ``[output_size]``. Default: zeros.
      name: Name of the module.

    Raises:
      ValueError: If output_size is not positive or the activation is unknown.
    """
    super().__init__(name=name)
    checks.size('output_size', output_size)
    self.output_size = output_size
    self.activation = activations.activation(activation)
    self.linear = snt.Linear(output_size, with_bias, w_init, b_init)

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables; only the last size must be known."""
    self.output_shape(input_shape)
    if not hasattr(self.linear, 'w'):
      self.linear(tf.zeros([1, input_shape[-1]]))

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float ``[..., num_inputs]``, of rank 2 or more.

    Returns:
      A tensor ``[..., output_size]``.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.output_shape(inputs.shape)
    leading = inputs.shape.rank - 1
    if leading == 1:
      return self.activation(self.linear(inputs))
    # One product: for more axes, tf.matmul computes many small ones.
    outputs = self.linear(snt.merge_leading_dims(inputs, leading))
    return self.activation(snt.split_leading_dim(outputs, inputs, leading))

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns ``[..., output_size]`` for inputs ``[..., num_inputs]``."""
    num_inputs = input_shape[-1] if len(input_shape) > 1 else None
    if num_inputs is None:
      raise ValueError(
          'input_shape: expected [..., num_inputs] with num_inputs known, got '
          f'{tuple(input_shape)}.'
      )
    built = getattr(self.linear, 'input_size', num_inputs)
    if built != num_inputs:
      raise ValueError(
          f'input_shape: the layer was built for {built} inputs, got '
          f'{tuple(input_shape)}.'
      )
    return (*input_shape[:-1], self.output_size)
