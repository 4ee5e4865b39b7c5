"""Transformations for some of the parameters, chosen by name or by shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from . import foreign, nests, transformation

# A regular expression that must match the whole path of a parameter, or a
# predicate on its path and its tensor.
Mask: TypeAlias = str | Callable[[str, tf.Tensor], bool]


class PartitionState(NamedTuple):
  """The state of each group, in the order of the groups."""

  inner_states: tuple[nests.Nest, ...]


def predicate(mask: Mask) -> Callable[[str, tf.Tensor], bool]:
  """Returns a mask as a predicate on the path and the tensor of a parameter.

  Args:
    mask: A regular expression that must match the whole path, or a predicate.

  Returns:
    The predicate.

  Raises:
    ValueError: If the regular expression is not one.
  """
  if not isinstance(mask, str):
    return mask
  try:
    pattern = re.compile(mask)
  except re.error as error:
    raise ValueError(
        f'mask: {mask!r} is no regular expression: {error}.'
    ) from None
  return lambda path, tensor: pattern.fullmatch(path) is not None


def _groups(
    transformations: Sequence[transformation.GradientTransformation],
    group_of: Callable[[str, tf.Tensor], int],
) -> transformation.GradientTransformation:
  """Gives each parameter to the transformation whose index group_of returns."""

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
  """Transforms some of the gradients and leaves the others as they are.

  Args:
    inner: The transformation. It sees the chosen parameters only, as a flat
      dictionary by path, and has no state for the others.
    mask: Which parameters: a regular expression that must match the whole path
      (the key, in a flat dictionary), or a predicate on path and tensor.

  Returns:
    A transformation.

  Raises:
    TypeError: If `inner` is no transformation.
    ValueError: If the regular expression is not one.

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
  """Gives each group of parameters an optimizer of its own.

  Args:
    transforms: Maps masks to transformations: a regular expression that must
      match the whole path of a parameter (its key, in a flat dictionary), or a
      predicate on path and tensor. The first mask that holds wins. Each
      transformation sees its own parameters only, as a flat dictionary by path,
      and has no state for the others; so a norm in it is the norm of the group.
      `set_to_zero` freezes its group.

  Returns:
    A transformation.

  Raises:
    TypeError: If what a mask maps to is no transformation.
    ValueError: If a regular expression is not one; from `init` and `update`,
      if no mask holds for a parameter.

  Reference:
    ``optax.partition``, where the groups are given by labels.

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
        f'transforms: no mask holds for the parameter {path!r}; known: '
        f'{list(transforms)}. End with r".*" for all others.'
    )

  return _groups(list(transforms.values()), group_of)


def set_to_zero() -> transformation.GradientTransformation:
  """Sets the updates to 0: what it is given for stays as it is.

  With `partition` it freezes a part of a model, which then has no state and no
  weight decay either: a trunk that was trained before. (A target network, which
  follows by the train step's `after`, has variables that are not trainable.)

  Returns:
    A transformation without a state; its updates are 0 even where gradients are
    not finite.

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
