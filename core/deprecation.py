"""Deprecated names, which warn and work for one more release."""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_Part = TypeVar('_Part', bound=Callable[..., Any])
_NAMES: dict[str, Mapping[str, str]] = {}


def rename(package: str, names: Mapping[str, str]) -> None:
  """Makes the members of a package available by their former names too.

  Args:
    package: The `__name__` of the package, which has the new names. The modules
      that define its members get the former names too.
    names: From former names to new ones.
  """
  _NAMES[package] = names
  members = vars(sys.modules[package])

  def get(name: str) -> Any:
    if name not in names:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    warn(f'{package}.{name}', f'{package}.{names[name]}')
    return members[names[name]]

  for module in {package, *(members[new].__module__ for new in names.values())}:
    vars(sys.modules[module])['__getattr__'] = get


def former(package: types.ModuleType) -> Mapping[str, str]:
  """Returns the former names of members of a package.

  Args:
    package: The package.

  Returns:
    From former names to new ones.
  """
  return dict(_NAMES.get(package.__name__, {}))


def renamed_arguments(**names: str) -> Callable[[_Part], _Part]:
  """Returns a decorator that also accepts former names of keyword arguments.

  Args:
    **names: From former keywords to new ones.

  Returns:
    A decorator of functions and classes. It changes the constructor of a class,
    and its instances get attributes of the former names.
  """

  def decorate(part: _Part) -> _Part:
    if isinstance(part, type):
      constructor = vars(part)['__init__']
      setattr(part, '__init__', decorate(constructor))  # noqa: B010
      for old, new in names.items():
        setattr(part, old, _attribute(old, new))
      return part

    @functools.wraps(part)
    def renamed(*args: Any, **kwargs: Any) -> Any:
      for old in names.keys() & kwargs.keys():
        warn(f'{old}=', f'{names[old]}=')
        if names[old] in kwargs:
          raise TypeError(f'{old}: it is the former name of {names[old]}.')
        kwargs[names[old]] = kwargs.pop(old)
      return part(*args, **kwargs)

    return renamed  # type: ignore[return-value]

  return decorate


def _attribute(old: str, new: str) -> property:
  def get(self: Any) -> Any:
    warn(f'{type(self).__name__}.{old}', new)
    return getattr(self, new)

  return property(get)


def warn(old: str, new: str) -> None:
  """Warns that a name is deprecated, at the line that called the caller.

  Args:
    old: The deprecated name.
    new: The name to use.
  """
  warnings.warn(
      f'{old} is deprecated; use {new}.', DeprecationWarning, stacklevel=3
  )
