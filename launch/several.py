"""Several parts in one flag, and their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import parts, programs
from .lookup import built_in, imports, own

# What rows of metrics.jsonl have besides the values of metrics.
_RESERVED = frozenset({
    'epoch',
    'examples_per_second',
    'images_per_second',
    'learning_rate',
    'loss',
    'num_examples',
    'skipped_steps',
    'split',
    'step',
    'wall_time',
    'weights_sha256',
})


class Named(NamedTuple):
  """One of several parts in a flag.

  Attributes:
    kind: `metric` or `hook`.
    name: The name of the function, or its former name if that was given; its
      values have the same name.
    part: The value of the flag.
    arguments: The user's arguments for it.
  """

  kind: str
  name: str
  part: Any
  arguments: dict[str, Any]


def named(
    kind: str, wanted: Sequence[Any], given: Mapping[str, Any]
) -> list[Named]:
  """Assigns arguments NAME.ARGUMENT to several parts.

  Args:
    kind: `metric` or `hook`.
    wanted: The parts.
    given: The user's arguments by NAME.ARGUMENT.

  Returns:
    The parts, with their own arguments.

  Raises:
    UserError: If two parts have the same name, a metric has that of another
      value, or an argument belongs to none.
  """
  called = [_name(kind, each) for each in wanted]
  for name in called:
    if called.count(name) > 1:
      raise programs.UserError(
          f'--{own.flag_of(kind)}: two are called {name}; rename one.'
      )
    if kind == 'metric' and name in _RESERVED:
      raise programs.UserError(
          f'--{own.flag_of(kind)}={name}: rows of metrics have another value of'
          ' this name; rename the function.'
      )
  for key in given:
    name, dot, _ = key.partition('.')
    if name not in called or not dot:
      if not called:
        raise programs.UserError(
            f'--{kind}_arg={key}: there is no --{own.flag_of(kind)} to take it.'
        )
      raise programs.UserError(
          f'--{kind}_arg={key}: expected NAME.ARGUMENT=VALUE, NAME one of '
          f'{", ".join(called)}{imports.near(name, called)}'
      )
  return [
      Named(
          kind,
          name,
          part,
          {
              key.partition('.')[2]: value
              for key, value in given.items()
              if key.partition('.')[0] == name
          },
      )
      for name, part in zip(called, wanted, strict=True)
  ]


def _name(kind: str, part: Any) -> str:
  """Returns the name of a part; a former name that was given stays."""
  name = own.name_of(parts.find(kind, part))
  given = own.shown(part).rpartition(':')[2]
  return given if built_in.current(kind, given) == name else name


def hooks(
    wanted: Sequence[Any], given: Mapping[str, Any]
) -> list[Callable[..., Any]]:
  """Finds the hooks of a config, and binds their arguments.

  Args:
    wanted: The value of --hooks.
    given: The value of --hook_arg.

  Returns:
    Functions of (step, values), or objects that can be called like them.

  Raises:
    UserError: If a hook is not valid.
  """
  found = []
  for each in named('hook', wanted, given):
    if isinstance(parts.find('hook', each.part), type):
      found.append(parts.call('hook', each.part, each.arguments))
    else:
      found.append(parts.bind('hook', each.part, each.arguments))
  return found
