"""Checks that arguments are transformations of this package."""

from __future__ import annotations

from typing import Any

# Names that other libraries have too.
NAMES = (
    'adafactor',
    'adagrad',
    'adam',
    'adamw',
    'lamb',
    'lars',
    'lion',
    'muon',
    'nadam',
    'rmsprop',
    'sgd',
)


def check_transformation(argument: str, value: Any) -> None:
  """Checks that a value is a gradient transformation, or works like one.

  Anything with functions ``init`` and ``update`` does, unless it is from Optax,
  whose functions use JAX. The check imports neither Optax nor Keras.

  Args:
    argument: The name of the argument, for the message.
    value: The value to check.

  Raises:
    TypeError: If it is an optimizer of Keras, Optax or Sonnet, a class or
      function that makes optimizers, or anything else. The message says what it
      is and what to write instead.
  """
  kind = value if isinstance(value, type) else type(value)
  library = _library(kind)
  has_both = all(
      callable(getattr(value, name, None)) for name in ('init', 'update')
  )
  if has_both and not library and kind is not value:
    return
  given, name = f'{kind.__module__}.{kind.__qualname__}', kind.__name__.lower()
  given = given.removeprefix('builtins.')
  if library:
    given = f'{given}, which is from {library}'
  elif kind is not value and callable(value) and hasattr(value, '__name__'):
    given, name = f'the function {value.__name__}, not called', value.__name__
  elif isinstance(value, str):
    given, name = repr(value), value.lower()
  remedy = f'optimizers.{name if name in NAMES else "adam"}(...)'
  raise TypeError(
      f'{argument}: expected a gradient transformation of core.optimizers, got '
      f'{given}; use {remedy}, or optimizers.create for a custom one.'
  )


def _library(kind: type) -> str | None:
  """Returns the library of optimizers that a class is from, if any."""
  for base in kind.__mro__:
    parts = base.__module__.split('.')
    if parts[0] == 'optax':
      return 'Optax'
    if parts[0] == 'sonnet':
      return 'Sonnet'
    if {'keras', 'tf_keras'} & set(parts):
      return 'Keras'
  return None
