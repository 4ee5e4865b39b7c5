"""Makes the optimizer of a run from its config."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core import layers, optimizers, variables

from .. import config as config_lib
from .. import parts, programs
from . import schedules


def make(
    config: config_lib.Config, schedule: schedules.Schedule
) -> optimizers.GradientTransformation:
  """Makes the optimizer, with clipping, rate factors and frozen variables.

  Args:
    config: The config.
    schedule: The learning rate as a function of the step.

  Raises:
    UserError: If the name or an argument is not valid.
  """
  optimizer = parts.call(
      'optimizer',
      config.optimizer,
      config.optimizer_arg,
      learning_rate=schedule,
  )
  if config.clip_global_norm is not None:
    clip = optimizers.clip_by_global_norm(config.clip_global_norm)
    optimizer = optimizers.chain(clip, optimizer)
  if config.learning_rates:
    factors: dict[Any, optimizers.GradientTransformation] = {
        pattern: optimizers.scale(factor)
        for pattern, factor in config.learning_rates.items()
    }
    factors.setdefault('.*', optimizers.identity())
    optimizer = optimizers.chain(optimizer, optimizers.partition(factors))
  if config.freeze is not None:
    optimizer = optimizers.partition(
        {config.freeze: optimizers.set_to_zero(), '.*': optimizer}
    )
  return optimizer


def freeze_statistics(config: config_lib.Config, model: Any) -> None:
  """Freezes batch norms if `--freeze` matches all of their variables.

  They then normalize by their moving statistics in training as well. With batch
  statistics, later layers would see other values in training than in
  evaluation.

  Args:
    config: The config.
    model: The model, with its variables.
  """
  if config.freeze is None:
    return
  frozen = {
      id(variable)
      for name, variable in variables.named(model).items()
      if re.fullmatch(config.freeze, name)
  }
  for layer in model.submodules:
    if isinstance(layer, layers.BatchNorm):
      own = {id(variable) for variable in layer.variables}
      layer.is_frozen = bool(own) and own <= frozen


def check_patterns(config: config_lib.Config, names: Sequence[str]) -> None:
  """Checks that `--freeze` and `--learning_rates` match variables.

  Args:
    config: The config.
    names: The names of the model's trainable variables.

  Raises:
    UserError: If a pattern matches nothing, or all variables are frozen.
  """
  frozen = [] if config.freeze is None else [config.freeze]
  for flag, patterns in (
      ('freeze', frozen),
      ('learning_rates', list(config.learning_rates)),
  ):
    for pattern in patterns:
      matched = [name for name in names if re.fullmatch(pattern, name)]
      if not matched:
        raise programs.UserError(
            f'--{flag}={pattern}: no variable has a name that it matches as a '
            f'whole; there are: {", ".join(names)}.'
        )
      if flag == 'freeze' and len(matched) == len(names):
        raise programs.UserError(
            f'--freeze={pattern}: all variables match; none is left to train.'
        )
