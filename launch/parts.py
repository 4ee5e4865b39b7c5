"""The parts of a run by name, built-in or custom.

The value of a flag such as --model is a built-in name, or `package.module:name`
or `path/file.py:name`, relative to the current folder. In Python it may also be
the object itself. A part is called with those of the program's arguments that
its signature names; the user's --KIND_arg are checked against the signature.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from . import programs
from .lookup import built_in, calls, imports
from .lookup import own as own_parts
from .settings import arguments
from .sweeps import trials

# Other arguments that the program may pass, depending on the data.
_OFFERED = {
    'model': (
        'num_outputs',
        'vocabulary_sizes',
        'vocabulary_size',
        'input_shape',
    )
}
# Arguments that other flags set, or that no flag sets.
_NOT_THE_USERS = {
    'model': ('num_classes', 'name'),
    'loss': (
        'class_weights',
        'class_mask',
        'positive_weights',
        'label_smoothing',
        'weights',
        'gather',
    ),
    'optimizer': ('learning_rate',),
    'schedule': ('learning_rate', 'num_steps'),
    'task': ('spec',),
    'metric': ('num_classes',),
}
_Known = Mapping[str, Callable[..., Any]]


def names(kind: str) -> list[str]:
  """Lists the built-in parts of a kind, such as `optimizer`."""
  return sorted(built_in.of_kind(kind))


def find(kind: str, part: Any, known: _Known | None = None) -> Any:
  """Finds a part.

  Args:
    kind: `model`, `loss`, `metric`, `optimizer`, `schedule`, `augment`,
      `dataset`, `hook` or `task`.
    part: The value of its flag, or an object.
    known: Additional built-in parts by name.

  Returns:
    A callable.

  Raises:
    UserError: If there is no such part, or it cannot be imported or called.
  """
  flag = f'--{own_parts.flag_of(kind)}={own_parts.shown(part)}'
  part = built_in.current(kind, part)
  if not isinstance(part, str):
    found = part
  elif ':' in part:
    where, _, name = part.rpartition(':')
    try:
      found = _member(imports.module_of(where), where, name)
    except imports.Mistake as error:
      raise programs.UserError(f'{flag}: {error}') from error
  else:
    ours = {**built_in.of_kind(kind), **(known or {})}
    if part not in ours:
      listed = ', '.join(sorted(ours))
      raise programs.UserError(
          f'{flag}: unknown; there are: '
          f'{listed or "none of ours"}{imports.near(part, ours) or "."} One of '
          'your own is package.module:name or path/file.py:name.'
      )
    found = ours[part]
  if not callable(found):
    raise programs.UserError(
        f'{flag}: expected what can be called, got {type(found).__name__}.'
    )
  if kind == 'model' and isinstance(found, tf.Module):
    raise programs.UserError(
        f'{flag}: expected what makes a model, such as its class, got one that '
        'is made; a run makes it by its seed, on its devices. A Task takes one.'
    )
  return found


def _member(module: types.ModuleType, where: str, name: str) -> Any:
  found: Any = module
  for each in name.split('.'):
    if not hasattr(found, each):
      public = [
          known
          for known, value in vars(module).items()
          if not known.startswith('_')
          and getattr(value, '__module__', None) == module.__name__
      ]
      listed = ', '.join(public) or 'nothing of the kind'
      raise imports.Mistake(
          f'{where} has no {name}; it has {listed}{imports.near(name, public)}'
      )
    found = getattr(found, each)
  return found


def parameters(function: Any) -> dict[str, inspect.Parameter]:
  """Returns the parameters of a function or a class, by name."""
  # Sonnet's metaclass hides the signature of a module's constructor.
  is_class = isinstance(function, type)
  has_own = is_class and function.__init__ is not object.__init__
  source = function.__init__ if has_own else function
  try:
    found = list(inspect.signature(source).parameters.values())
  except ValueError:  # Raised for some callables not written in Python.
    return {}
  return {p.name: p for p in (found[1:] if has_own else found)}


def known_arguments(
    kind: str,
    part: Any,
    given: Sequence[str] = (),
    known: _Known | None = None,
) -> dict[str, inspect.Parameter]:
  """Lists the arguments that a part takes as --KIND_arg.

  Args:
    kind: As for `find`.
    part: As for `find`.
    given: The names of the program's arguments.
    known: As for `find`.

  Returns:
    Parameters by name.

  Raises:
    UserError: As for `find`.
  """
  function = find(kind, part, known)
  found = parameters(function)
  is_applied = kind in calls.APPLIED and not isinstance(function, type)
  first = list(found)[:2] if is_applied else []
  reserved = {*first, *given, *_NOT_THE_USERS.get(kind, ())}
  return {
      name: parameter
      for name, parameter in found.items()
      if name not in reserved
      and parameter.kind
      not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
  }


def check(
    kind: str,
    part: Any,
    own: Mapping[str, Any],
    given: Sequence[str] | None = None,
    known: _Known | None = None,
) -> dict[str, Any]:
  """Checks a user's arguments against the signature of a part.

  Args:
    kind: As for `find`.
    part: As for `find`.
    own: The user's arguments.
    given: The names of the program's arguments. Default: all that it may pass.
    known: As for `find`.

  Returns:
    Keyword arguments.

  Raises:
    UserError: If the part or an argument is not valid, one is missing, or the
      part cannot be called as the program does.
  """
  listed = known_arguments(kind, part, given or (), known)
  keywords = arguments.checked(f'{kind}_arg', own, listed)
  function = find(kind, part, known)
  calls.check(kind, part, function, keywords)
  if given is None:
    given = (*_NOT_THE_USERS.get(kind, ()), *_OFFERED.get(kind, ()))
  is_applied = kind in calls.APPLIED and not isinstance(function, type)
  missing = [
      p.name
      for p in list(parameters(function).values())[2 if is_applied else 0 :]
      if p.default is p.empty
      and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
      and p.name not in (*keywords, *given)
  ]
  if missing:
    several = kind in ('hook', 'metric')  # Their arguments name the part.
    place = f'{own_parts.name_of(function)}.' if several else ''
    offered = f'; it is offered {", ".join(given)}' if given else ''
    raise programs.UserError(
        f'--{own_parts.flag_of(kind)}={own_parts.shown(part)}: it needs '
        f'{missing[0]}, which is not provided{offered}. Give it a default, or '
        f'--{kind}_arg={place}{missing[0]}=VALUE.'
    )
  return keywords


def call(
    kind: str,
    part: Any,
    own: Mapping[str, Any],
    known: _Known | None = None,
    **given: Any,
) -> Any:
  """Calls a part that makes an object.

  Args:
    kind: As for `find`.
    part: As for `find`.
    own: The user's arguments.
    known: As for `find`.
    **given: The program's arguments, passed if the signature names them.

  Returns:
    The object.

  Raises:
    UserError: If an argument is not valid, or the call fails.
  """
  function = find(kind, part, known)
  keywords = _keywords(kind, part, own, known, given)
  with own_parts.mistakes_in(kind, part, own, function):
    made = function(**keywords)
    if own or own_parts.is_part(part):
      attempt: Callable[..., None] = trials.TRIALS.get(kind, _accept)
      attempt(made, **given)
  return made


def bind(
    kind: str,
    part: Any,
    own: Mapping[str, Any],
    known: _Known | None = None,
    **given: Any,
) -> Callable[..., Any]:
  """Binds the other arguments of a part that is called on tensors.

  Args:
    kind: As for `find`.
    part: As for `find`.
    own: The user's arguments.
    known: As for `find`.
    **given: As for `call`.

  Returns:
    A function of the first two arguments.

  Raises:
    UserError: If an argument is not valid.
  """
  function = find(kind, part, known)
  keywords = _keywords(kind, part, own, known, given)
  bound = functools.partial(function, **keywords) if keywords else function
  if kind == 'hook' or (known and part in known):
    return bound

  def called(*args: Any) -> Any:
    with own_parts.mistakes_in(kind, part, own, function):
      result = bound(*args)
      if kind == 'loss':
        result = trials.of_losses(result)
      return result

  return called


def _keywords(
    kind: str,
    part: Any,
    own: Mapping[str, Any],
    known: _Known | None,
    given: Mapping[str, Any],
) -> dict[str, Any]:
  """Returns the arguments of a part, and checks that none is missing."""
  checked = check(kind, part, own, list(given), known)
  signature = parameters(find(kind, part, known))
  taken = {name: value for name, value in given.items() if name in signature}
  return {**taken, **checked}


@contextlib.contextmanager
def mistakes_in_own(kind: str, part: Any) -> Iterator[None]:
  """Applies `mistakes_in` to custom parts only."""
  if not own_parts.is_part(part):
    yield
    return
  with own_parts.mistakes_in(kind, part, {}, find(kind, part)):
    yield


def _accept(made: Any, **given: Any) -> None:
  """Accepts anything."""
