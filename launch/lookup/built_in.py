"""The built-in parts of a run by name.

Losses, metrics and optimizers are the functions with a fitting signature that
`core` exports. Models are those of `core.models.REGISTRY`.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core import deprecation, losses, metrics, models, optimizers

from ..hooks import pruning
from ..training import schedules

# Other hooks have a flag of their own.
_HOOKS = {'worse_than_median': pruning.worse_than_median}


@functools.cache
def of_kind(kind: str) -> Mapping[str, Callable[..., Any]]:
  """Returns the built-in parts of a kind.

  Args:
    kind: `model`, `loss`, `metric`, `optimizer`, `schedule` or `hook`. Other
      kinds have no built-in parts.

  Returns:
    The functions by name. They make the part; losses and hooks are the part.
  """
  if kind == 'model':
    return models.REGISTRY
  if kind == 'loss':
    return _chosen(losses, losses.__all__, _is_loss)
  if kind == 'metric':
    return _chosen(metrics, metrics.__all__, _makes_a_metric)
  if kind == 'optimizer':
    return _chosen(optimizers, optimizers.__all__, _makes_an_optimizer)
  if kind == 'schedule':
    return _chosen(schedules, list(vars(schedules)), _makes_a_schedule)
  if kind == 'hook':
    return _HOOKS
  return {}


def current(kind: str, part: Any) -> Any:
  """Returns the current name of a built-in part.

  Args:
    kind: As for `of_kind`.
    part: The value of its flag, or an object.

  Returns:
    The current name if the part is a former one, else the part itself.
  """
  package = {'loss': losses, 'metric': metrics}.get(kind)
  if package is None or not isinstance(part, str):
    return part
  return deprecation.former(package).get(part, part)


def _chosen(
    module: types.ModuleType,
    known: Sequence[str],
    holds: Callable[[str, list[inspect.Parameter], str], bool],
) -> Mapping[str, Callable[..., Any]]:
  """Chooses functions of a module by their names and signatures."""
  chosen = {}
  for name in known:
    function = getattr(module, name)
    if inspect.isfunction(function):
      signature = inspect.signature(function)
      parameters = list(signature.parameters.values())
      if holds(name, parameters, str(signature.return_annotation)):
        chosen[name] = function
  return chosen


def _is_loss(name: str, parameters: list[inspect.Parameter], _: str) -> bool:
  del name
  needed = [p for p in parameters if p.default is p.empty]
  return (
      len(needed) == 2
      and needed == parameters[:2]
      and (needed[0].name == 'labels')
  )


def _makes_a_metric(
    name: str, parameters: list[inspect.Parameter], made: str
) -> bool:
  needed = {p.name for p in parameters if p.default is p.empty}
  is_whole = name != 'collection' and needed <= {'num_classes'}
  return is_whole and made.split('.')[-1] == 'Metric'


def _makes_an_optimizer(
    name: str, parameters: list[inspect.Parameter], made: str
) -> bool:
  is_whole = bool(parameters) and parameters[0].name == 'learning_rate'
  return (
      is_whole
      and not name.startswith('scale_by_')
      and made.endswith('GradientTransformation')
  )


def _makes_a_schedule(
    name: str, parameters: list[inspect.Parameter], made: str
) -> bool:
  return not name.startswith('_') and made == 'Schedule' and bool(parameters)
