"""Detects variables in places that are not searched for variables.

Neither `variables.named` nor `tf.Module` finds a variable in a set, a
dataclass, a closure, a class or a Keras layer. It would be used but neither
trained, averaged nor saved, so it is rejected with its path.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from typing import Any

import numpy as np
import tensorflow as tf

Path = tuple[str, ...]
Children = Callable[[Any], Iterable[tuple[str, Any]] | None]

_PLAIN = (
    str,
    bytes,
    int,
    float,
    complex,
    type(None),
    type,
    types.ModuleType,
    np.generic,
    tf.Tensor,
    tf.DType,
    tf.TensorShape,
)
# The internals of these libraries are not searched.
_CLOSED = {'absl', 'jax', 'jaxlib', 'numpy', 'tensorflow'}
_KERAS = {'keras', 'tf_keras'}
_UNORDERED = (set, frozenset, KeysView, ItemsView, ValuesView)
_KEEPERS = (tf.Variable, tf.Module, Mapping, list, tuple, set)


def refuse(
    parts: Sequence[tuple[Path, Any]],
    seen: Iterable[int],
    children: Children,
    beside: Sequence[tuple[Path, Any]] = (),
) -> None:
  """Raises if a variable can be reached only from places not searched.

  Args:
    parts: Objects that are not variables, modules or containers, by path.
    seen: The ids of the variables, modules and containers already found.
    children: A function that returns the named parts of a module or container,
      and None for other objects.
    beside: What `unsearched` found in modules and containers, by path.

  Raises:
    ValueError: If there is such a variable, or a Keras layer that has variables
      or may create some when built.
  """
  known = set(seen) - {id(value) for _, value in parts}
  kept = []  # Keeps objects alive, so that their ids are not reused.

  def search(value: Any, path: Path) -> None:
    if isinstance(value, _PLAIN) or id(value) in known:
      return
    known.add(id(value))
    kept.append(value)
    name = '/'.join(path) or 'it'
    if _is_of_keras(value):
      _refuse_keras(name, value)
      return
    if isinstance(value, tf.Variable):
      raise ValueError(
          f'module: {name} is a tf.Variable that is in no attribute, list, '
          'tuple or dict of a tf.Module; it would be neither trained, averaged '
          'nor saved. Store it, or the module that owns it, in one of those.'
      )
    inside = children(value)
    for part, child in _inside(value) if inside is None else inside:
      search(child, (*path, part))
    if inside is not None:
      for part, child in unsearched(value):
        search(child, (*path, part))

  for path, value in (*parts, *beside):
    search(value, path)


def unsearched(value: Any) -> Iterator[tuple[str, Any]]:
  """Yields the parts of a module or container that are not searched otherwise.

  Args:
    value: A module or a container.

  Yields:
    Pairs of a name and a part: the slots and class attributes of a module, and
    the attributes of containers of user-defined classes.
  """
  if isinstance(value, tf.Module):
    yield from _slots(value)
    yield from _kept_by_class(value)
  elif _root(type(value)) not in _CLOSED:
    yield from getattr(value, '__dict__', {}).items()


def _root(kind: Any) -> str:
  return (getattr(kind, '__module__', None) or '').split('.')[0]


def refuse_keras(argument: str, value: Any) -> None:
  """Rejects Keras objects, whose variables a `tf.Module` does not track.

  Args:
    argument: The name of the argument, for the message.
    value: Any object.

  Raises:
    TypeError: If it is a Keras model, layer, optimizer or similar.
  """
  if _is_of_keras(value):
    raise TypeError(
        f'{argument}: expected a tf.Module, such as those in core.models, '
        f'core.layers and Sonnet, got a Keras {type(value).__name__}.'
    )


def _is_of_keras(value: Any) -> bool:
  # Compares names, because importing Keras takes seconds.
  return any(_root(kind) in _KERAS for kind in type(value).__mro__)


def _refuse_keras(name: str, value: Any) -> None:
  is_variable = hasattr(value, 'assign')
  # An unbuilt layer may have variables by the first step.
  has_variables = len(getattr(value, 'variables', ())) > 0 or not getattr(
      value, 'built', True
  )
  if is_variable or has_variables:
    raise ValueError(
        f'module: {name} is a Keras {type(value).__name__}; its variables '
        'would be neither trained, averaged nor saved. Use core.layers, Sonnet '
        'or tf.Variables in a tf.Module instead.'
    )


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
  """Yields the objects reachable from one that is not a module or container."""
  if isinstance(value, np.ndarray):
    if value.dtype.hasobject:
      yield 'items', value.tolist()
  elif isinstance(value, _UNORDERED):
    for index, member in enumerate(value):
      yield f'{type(value).__name__} {index}', member
  elif isinstance(value, functools.partial):
    yield 'func', value.func
    yield 'args', value.args
    yield 'keywords', value.keywords
  elif inspect.ismethod(value):
    yield 'self', value.__self__
    yield value.__name__, value.__func__
  elif isinstance(value, tf.types.experimental.PolymorphicFunction):
    yield 'python_function', value.python_function
  elif isinstance(value, tf.types.experimental.ConcreteFunction):
    yield 'variables', value.variables
  elif inspect.isfunction(value):
    if _root(value) not in _CLOSED | _KERAS:
      yield from _enclosed(value)
  elif isinstance(value, tf.__internal__.tracking.AutoTrackable):
    # For example, a loaded SavedModel or a tf.random.Generator.
    for name, part in vars(value).items():
      if not name.startswith('_self_'):
        yield name, part
  elif _root(type(value)) not in _CLOSED:
    yield from getattr(value, '__dict__', {}).items()
    yield from _slots(value)
    yield from _kept_by_class(value)


def _slots(value: Any) -> Iterator[tuple[str, Any]]:
  for kind in type(value).__mro__:
    slots = vars(kind).get('__slots__', ())
    for name in (slots,) if isinstance(slots, str) else slots:
      if not name.startswith('__') and hasattr(value, name):
        yield name, getattr(value, name)


def _kept_by_class(value: Any) -> Iterator[tuple[str, Any]]:
  """Yields the class attributes of an object that may hold variables."""
  for kind in type(value).__mro__:
    if _root(kind) not in _CLOSED:
      for name, part in vars(kind).items():
        if isinstance(part, _KEEPERS) or _is_of_keras(part):
          yield name, part


def _enclosed(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
  """Yields a function's closure, globals, defaults and attributes."""
  cells = function.__closure__ or ()
  for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
    try:
      yield name, cell.cell_contents
    except ValueError:  # The cell is empty: its name is not bound yet.
      continue
  for name in function.__code__.co_names:
    part = function.__globals__.get(name)
    if isinstance(part, (tf.Variable, tf.Module)):
      yield name, part
  yield 'defaults', function.__defaults__ or ()
  yield 'defaults', function.__kwdefaults__ or {}
  yield from vars(function).items()
