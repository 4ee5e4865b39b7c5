"""Checks that a state belongs to the optimizer that updates it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from . import nests

_LOCAL = threading.local()  # Replicas trace in threads.


class Own:
  """The structure of a transformation's states, by its parameters."""

  def __init__(self, init: Callable[[nests.Nest], nests.Nest]):
    """Stores how states are made, without making one.

    Args:
      init: Maps parameters to a state.
    """
    self._init = init
    self._known: dict[Any, nests.Nest] = {}

  @contextlib.contextmanager
  def checked(
      self, state: nests.Nest, parameters: nests.Nest
  ) -> Iterator[None]:
    """Checks a state, unless it is part of one that is being checked.

    Args:
      state: The state that an update was given.
      parameters: The parameters, tensors.

    Yields:
      None; transformations that are updated in the meantime, with parts of the
      state, are not checked again.

    Raises:
      ValueError: If the state is not one that `init` makes.
    """
    depth = getattr(_LOCAL, 'depth', 0)
    shapes = [tensor.shape for tensor in tf.nest.flatten(parameters)]
    if depth == 0 and all(shape.is_fully_defined() for shape in shapes):
      check(state, self._of(parameters))
    _LOCAL.depth = depth + 1
    try:
      yield
    finally:
      _LOCAL.depth = depth

  def _of(self, parameters: nests.Nest) -> nests.Nest:
    """Returns the specs of a state, without running operations."""
    leaves = tf.nest.flatten(parameters)
    key = (
        *nests.paths(parameters),
        *((tuple(leaf.shape), leaf.dtype) for leaf in leaves),
    )
    if key not in self._known:
      # Not a tf.function, which takes twice as long.
      with tf.__internal__.FuncGraph('init').as_default():
        state = self._init(
            tf.nest.map_structure(
                lambda leaf: tf.compat.v1.placeholder(leaf.dtype, leaf.shape),
                parameters,
            )
        )
        self._known[key] = tf.nest.map_structure(_spec, state)
    return self._known[key]


def _spec(leaf: Any) -> tf.TensorSpec:
  tensor = tf.convert_to_tensor(leaf)
  return tf.TensorSpec(tensor.shape, tensor.dtype)


def check(state: nests.Nest, expected: nests.Nest) -> None:
  """Raises ValueError if the structure, a shape or a dtype of a state differs.

  The expected state is a nest of tensors or of their specs. The message shows
  both states and the path to the first difference.
  """
  difference = _difference('', state, expected)
  if difference:
    path, was, wanted = difference
    at = f' at {path!r}' if path else ''
    raise ValueError(
        'state: it does not belong to this optimizer and these parameters; '
        f'expected{at} {wanted}, got {was}. The state is {_words(state)}; the '
        f'optimizer has {_words(expected)}. Create it with optimizer.init('
        'parameters).'
    )


def _difference(
    path: str, state: nests.Nest, expected: nests.Nest
) -> tuple[str, str, str] | None:
  """Returns a difference: its path, the value there, and the expected one."""
  given = path, _words(state), _words(expected)
  if not tf.nest.is_nested(expected):
    return None if _is_like(state, expected) else given
  if not tf.nest.is_nested(state) or _kind(state) != _kind(expected):
    return given
  parts, wanted = dict(nests.children(state)), dict(nests.children(expected))
  if parts.keys() != wanted.keys():
    return given
  for name, part in wanted.items():
    below = f'{path}/{name}' if path else str(name)
    difference = _difference(below, parts[name], part)
    if difference:
      return difference
  return None


def _is_like(leaf: Any, expected: Any) -> bool:
  """Returns whether a leaf may take the place of an expected tensor."""
  if tf.nest.is_nested(leaf) or leaf is None:
    return False
  if not hasattr(leaf, 'dtype'):
    leaf = tf.convert_to_tensor(leaf, expected.dtype)
  return leaf.dtype == expected.dtype and expected.shape.is_compatible_with(
      leaf.shape
  )


def _kind(nest: nests.Nest) -> str:
  # A tf.Module wraps the containers of its variables.
  if hasattr(nest, '_fields'):
    return nest.__class__.__name__
  return 'sequence' if isinstance(nest, Sequence) else 'mapping'


def _words(nest: nests.Nest, limit: int = 160) -> str:
  """Returns the structure of a nest in words, cut off if long."""

  def words(nest: nests.Nest) -> str:
    if not tf.nest.is_nested(nest):
      dtype = getattr(nest, 'dtype', None)
      if dtype is None:
        return type(nest).__name__
      return f'{tf.as_dtype(dtype).name}{list(nest.shape)}'
    parts = nests.children(nest)
    if hasattr(nest, '_fields'):
      inside = ', '.join(f'{name}={words(part)}' for name, part in parts)
      return f'{_kind(nest)}({inside})'
    if _kind(nest) == 'sequence':
      return f'({", ".join(words(part) for _, part in parts)})'
    return '{' + ', '.join(f'{n}: {words(part)}' for n, part in parts) + '}'

  whole = words(nest)
  return whole if len(whole) <= limit else f'{whole[:limit]}...'
