"""Transformations for some of the parameters, chosen by name or shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from . import foreign, nests, transformation

# A regular expression that must match the whole path of a parameter, or a
# predicate on its path and tensor.
Mask: TypeAlias = str | Callable[[str, tf.Tensor], bool]


class PartitionState(NamedTuple):
  """The state of each group, in the order of the groups."""

  inner_states: tuple[nests.Nest, ...]


def predicate(mask: Mask) -> Callable[[str, tf.Tensor], bool]:
  """Returns a mask as a predicate on the path and the tensor of a parameter.

  Raises:
    ValueError: If the mask is an invalid regular expression.
  """
  if not isinstance(mask, str):
    return mask
  try:
    pattern = re.compile(mask)
  except re.error as error:
    raise ValueError(
        f'mask: {mask!r} is not a valid regular expression: {error}.'
    ) from None
  return lambda path, tensor: pattern.fullmatch(path) is not None


def _groups(
    transformations: Sequence[transformation.GradientTransformation],
    group_of: Callable[[str, tf.Tensor], int],
) -> transformation.GradientTransformation:
  """Assigns each parameter to the transformation at the index of group_of."""

  def split(nest: nests.Nest, parameters: nests.Nest) -> list[nests.Nest]:
    names = nests.paths(parameters)
    groups: list[dict[str, tf.Tensor]] = [{} for _ in transformations]
    for name, tensor, parameter in zip(
        names,
        tf.nest.flatten(nest),
        tf.nest.flatten(parameters),
        strict=True,
    ):
      groups[group_of(name, parameter)][name] = tensor
    return groups

  def init(parameters: nests.Nest) -> PartitionState:
    parts = split(parameters, parameters)
    return PartitionState(
        tuple(
            each.init(part)
            for each, part in zip(transformations, parts, strict=True)
        )
    )

  def update(
      gradients: nests.Nest, state: PartitionState, parameters: nests.Nest
  ) -> tuple[nests.Nest, PartitionState]:
    updates, states = {}, []
    for each, part, inner_state, own in zip(
        transformations,
        split(gradients, parameters),
        state.inner_states,
        split(parameters, parameters),
        strict=True,
    ):
      part, inner_state = each.update(part, inner_state, own)
      updates.update(part)
      states.append(inner_state)
    leaves = [updates[name] for name in nests.paths(parameters)]
    return (
        tf.nest.pack_sequence_as(parameters, leaves),
        PartitionState(tuple(states)),
    )

  return transformation.create(init, update)


def masked(
    inner: transformation.GradientTransformation, mask: Mask
) -> transformation.GradientTransformation:
  """Transforms some of the gradients and leaves the others unchanged.

  Args:
    inner: The transformation. It sees the chosen parameters only, as a flat
      dictionary by path, and has no state for the others.
    mask: Which parameters to transform.

  Returns:
    A transformation.

  Raises:
    TypeError: If `inner` is not a transformation.
    ValueError: If the regular expression is invalid.

  Reference:
    ``optax.masked``.

  Example:
    >>> from core import optimizers
    >>> half = optimizers.masked(optimizers.scale(0.5), r'.*/w')
    >>> w = {'linear/w': tf.constant(1.0), 'linear/b': tf.constant(1.0)}
    >>> updates, _ = half.update(w, half.init(w), w)
    >>> float(updates['linear/w']), float(updates['linear/b'])
    (0.5, 1.0)
  """
  foreign.check_transformation('inner', inner)
  chosen = predicate(mask)
  return _groups(
      [inner, transformation.identity()],
      lambda path, tensor: 0 if chosen(path, tensor) else 1,
  )


def partition(
    transforms: Mapping[Mask, transformation.GradientTransformation],
) -> transformation.GradientTransformation:
  """Assigns each group of parameters its own optimizer.

  Args:
    transforms: Maps masks to transformations. The first matching mask wins.
      Each transformation sees its own parameters only, as a flat dictionary by
      path, and has no state for the others, so a norm in it is the norm of the
      group. `set_to_zero` freezes its group.

  Returns:
    A transformation.

  Raises:
    TypeError: If a mask does not map to a transformation.
    ValueError: If a regular expression is invalid; from `init` and `update`, if
      no mask matches a parameter.

  Reference:
    ``optax.partition``, which takes labels of groups.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.partition(
    ...     {r'.*/b': optimizers.sgd(1.0), r'.*': optimizers.sgd(0.5)})
    >>> w = {'linear/w': tf.constant(1.0), 'linear/b': tf.constant(1.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> float(updates['linear/w']), float(updates['linear/b'])
    (-0.5, -1.0)
  """
  for mask, each in transforms.items():
    foreign.check_transformation(f'transforms[{mask!r}]', each)
  predicates = [predicate(mask) for mask in transforms]

  def group_of(path: str, tensor: tf.Tensor) -> int:
    for index, holds in enumerate(predicates):
      if holds(path, tensor):
        return index
    raise ValueError(
        f'transforms: no mask matches the parameter {path!r}; known: '
        f'{list(transforms)}. End with r".*" for all others.'
    )

  return _groups(list(transforms.values()), group_of)


def set_to_zero() -> transformation.GradientTransformation:
  """Sets the updates to 0, which freezes the parameters.

  With `partition` it freezes a part of a model, such as a pretrained trunk,
  which then has neither state nor weight decay. (A target network, updated by
  the train step's ``after``, has variables that are not trainable.)

  Returns:
    A stateless transformation; its updates are 0 even for NaN gradients.

  Reference:
    ``optax.set_to_zero``.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.partition({
    ...     r'trunk/.*': optimizers.set_to_zero(),
    ...     r'.*': optimizers.adamw(0.5, weight_decay=0.0),
    ... })
    >>> w = {'head/w': tf.constant(4.0), 'trunk/w': tf.constant(4.0)}
    >>> updates, _ = optimizer.update(w, optimizer.init(w), w)
    >>> round(float(updates['head/w']), 4), float(updates['trunk/w'])
    (-0.5, 0.0)
  """
  return transformation.stateless(
      lambda gradients, parameters: tf.nest.map_structure(
          tf.zeros_like, gradients
      )
  )
