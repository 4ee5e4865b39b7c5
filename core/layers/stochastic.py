"""The base of layers that change their inputs at random in training."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from .. import checks


@snt.allow_empty_variables
class Stochastic(snt.Module):
  """Checks the seed in training; otherwise returns the inputs.

  The same seed gives the same numbers on any number of replicas
  (`core.random`). A subclass defines `_strength` and `_apply`.
  """

  @property
  @abc.abstractmethod
  def _strength(self) -> float:
    """How much the layer changes its inputs; 0 disables it."""

  @abc.abstractmethod
  def _apply(self, inputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes the inputs at random, without changing their shape or dtype."""

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Checks that there is a batch axis; there are no variables."""
    if not input_shape:
      raise ValueError('input_shape: expected [batch_size, ...], got ().')

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Applies the layer in training; otherwise returns the inputs.

    Args:
      inputs: float ``[batch_size, ...]``; any size may be unknown.
      is_training: Whether to apply the layer.
      seed: Integers ``[2]``; required in training unless the rate or standard
        deviation is 0.

    Returns:
      A tensor like the inputs.
    """
    if not is_training or not self._strength:
      return inputs
    if seed is None:
      layer = type(self).__name__
      raise ValueError(f'seed: {layer} in training needs a seed of shape [2].')
    seed = tf.convert_to_tensor(seed)
    checks.shape('seed', seed, [2])
    inputs = tf.convert_to_tensor(inputs)
    if inputs.shape.rank == 0:
      raise ValueError('inputs: expected [batch_size, ...], got shape ().')
    return self._apply(inputs, seed)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    self.build(input_shape)
    return tuple(input_shape)
