"""What is handed in for a transformation, and is none."""

from __future__ import annotations

from typing import Any

# Names that other libraries have, too.
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
  """Checks that a value is a gradient transformation, of ours or like ours.

  Whatever has functions `init` and `update` is one, unless it is Optax's, whose
  functions are of JAX. Neither Optax nor Keras is imported to know theirs.

  Args:
    argument: The name of the argument, for the message.
    value: What was given for a transformation.

  Raises:
    TypeError: If it is none: an optimizer of Keras, Optax or Sonnet, a class or
      a function that makes optimizers, or anything else. The message has what
      it is, and what to write instead.
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
    given = f'{given}, which is of {library}'
  elif kind is not value and callable(value) and hasattr(value, '__name__'):
    given, name = f'the function {value.__name__}, not called', value.__name__
  elif isinstance(value, str):
    given, name = repr(value), value.lower()
  remedy = f'optimizers.{name if name in NAMES else "adam"}(...)'
  raise TypeError(
      f'{argument}: expected a gradient transformation of core.optimizers, got '
      f'{given}; use {remedy}, or optimizers.create for one of your own.'
  )


def _library(kind: type) -> str | None:
  """Returns the library of optimizers that a class is of, if it is of one."""
  for base in kind.__mro__:
    parts = base.__module__.split('.')
    if parts[0] == 'optax':
      return 'Optax'
    if parts[0] == 'sonnet':
      return 'Sonnet'
    if {'keras', 'tf_keras'} & set(parts):
      return 'Keras'
  return None
