"""Checks that parts can be called as a run calls them, by their signatures."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from .. import programs
from . import own

# Kinds that are called on tensors of a batch rather than to make an object: the
# first two arguments, which the program passes.
APPLIED = {
    'loss': ('labels', 'predictions'),
    'augment': ('batch', 'seed'),
    'hook': ('step', 'values'),
}


def check(
    kind: str, part: Any, function: Any, keywords: Mapping[str, Any]
) -> None:
  """Checks a part of one of the `APPLIED` kinds; accepts any other.

  Args:
    kind: The kind of the part.
    part: The value of its flag.
    function: The part. A hook may be a class, which is instantiated.
    keywords: The user's arguments, which only functions get in the call.

  Raises:
    UserError: If it cannot be called.
  """
  if kind not in APPLIED:
    return
  flag = f'--{own.flag_of(kind)}={own.shown(part)}'
  called = own.name_of(function)
  made = function
  while isinstance(made, functools.partial):
    made = made.func
  is_class = isinstance(made, type)
  if is_class and kind != 'hook':
    raise programs.UserError(
        f'{flag}: it is a class; expected a function of '
        f'({", ".join(APPLIED[kind])}). An instance that can be called, '
        'assigned to a name of its module, is one too.'
    )
  if not is_class:
    _bind(flag, called, function, APPLIED[kind], keywords)
  if kind != 'hook':
    return
  for name, arguments in (
      ('__call__', APPLIED['hook']),
      ('next', ('step',)),
      ('init', ()),
  ):
    called_as = called if name == '__call__' else f'{called}.{name}'
    if is_class:
      method = inspect.getattr_static(made, name, None)
      if inspect.isfunction(method):
        _bind(flag, called_as, method, arguments, {}, takes_self=True)
    elif name != '__call__' and (method := getattr(function, name, None)):
      _bind(flag, called_as, method, arguments, {})


def _bind(
    flag: str,
    called: str,
    function: Any,
    arguments: Sequence[str],
    keywords: Mapping[str, Any],
    *,
    takes_self: bool = False,
) -> None:
  try:
    signature = inspect.signature(function)
  except (TypeError, ValueError):  # As of some callables of C.
    return
  given = (*(['self'] if takes_self else []), *arguments)
  # Whether a function needs more than it gets is checked by `parts.check`.
  is_function = arguments in APPLIED.values() and not takes_self
  bind = signature.bind_partial if is_function else signature.bind
  try:
    bind(*given, **keywords)
  except TypeError as error:
    raise programs.UserError(
        f'{flag}: it is called as {called}({", ".join(arguments)}), and takes '
        f'{signature}: {error}.'
    ) from None
