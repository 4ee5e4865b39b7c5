"""What every model has: a build, named inputs and heads, output shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

Shapes = Any  # A shape, or a mapping of input names to shapes.


class Model(snt.Module):
  """A module from inputs to logits, or to a mapping of named outputs.

  A subclass implements ``__call__(inputs, is_training, seed=None)``. It returns
  logits ``[batch_size, num_classes]``, or a mapping that has them as `logits`.
  A mapping may hold further heads of the same shape, which the loss scores by
  their `head_weights`, and, as `losses`, a mapping of per-example losses
  ``[batch_size]`` from inside of the model, which are added to the objective.

  Attributes:
    input_names: The inputs that the model takes. A model with one takes it as a
      tensor, one with several takes them as a mapping.
    head_weights: The weight of each output that the loss scores.
  """

  input_names: tuple[str, ...] = ('image',)
  head_weights: Mapping[str, float] = {'logits': 1.0}

  def __call__(
      self,
      inputs: Any,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> Any:
    """Computes the outputs, see the class.

    Args:
      inputs: A tensor ``[batch_size, ...]``, or a mapping of names to tensors.
      is_training: Whether dropout and its like are on.
      seed: Integers ``[2]``, needed in training by a model with randomness.

    Returns:
      Logits ``[batch_size, num_classes]``, or a mapping with them.

    Raises:
      TypeError: If the class has no forward pass.
    """
    raise TypeError(f'{type(self).__name__} must implement __call__.')

  def build(self, input_shape: Shapes) -> None:
    """Makes all variables, by a forward pass of one example of zeros.

    Call it eagerly and, for training over replicas, under the scope of the
    strategy. Initial weights are drawn by TensorFlow's global seed: for equal
    ones call `tf.random.set_seed` right before.

    Args:
      input_shape: The shape ``[batch_size, ...]`` of the input, or a mapping of
        names to shapes; the batch size may be None, nothing else may.

    Raises:
      ValueError: If a size other than the first is unknown.
    """
    self(_map_shapes(_zeros, input_shape), is_training=False)

  def initialize(self, inputs: Any) -> None:
    """Sets what is computed from data, not learned; by default nothing.

    Call it once after `build`, before the first step of a new run, and not on
    resuming: checkpoints hold what it sets. Give it the same inputs on all
    workers.

    Args:
      inputs: Some thousands of training examples, as `__call__` takes them.
    """
    del inputs

  def output_shape(self, input_shape: Shapes) -> Any:
    """Tells the shape of every output; builds the model if need be.

    Args:
      input_shape: As for `build`.

    Returns:
      A shape ``(None, num_classes)``, or a mapping of output names to shapes.
    """
    outputs = self(_map_shapes(_zeros, input_shape), is_training=False)
    return tf.nest.map_structure(
        lambda output: (None, *output.shape[1:]), outputs
    )


def _map_shapes(function: Any, input_shape: Shapes) -> Any:
  if isinstance(input_shape, Mapping):
    return {name: function(shape) for name, shape in input_shape.items()}
  return function(input_shape)


def _zeros(shape: Sequence[int | None]) -> tf.Tensor:
  if None in tuple(shape)[1:]:
    raise ValueError(
        'input_shape: only the batch size may be unknown, got '
        f'{tuple(shape)}.'
    )
  return tf.zeros([1, *tuple(shape)[1:]])


def logits(outputs: Any) -> tf.Tensor:
  """Takes the logits out of a model's outputs."""
  return outputs['logits'] if isinstance(outputs, Mapping) else outputs


def flatten(inputs: tf.Tensor) -> tf.Tensor:
  """Reshapes ``[batch_size, ...]`` to ``[batch_size, features]``."""
  return snt.flatten(tf.convert_to_tensor(inputs))
