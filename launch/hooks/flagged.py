"""The hooks that flags turn on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from core import background as background_lib
from core import training

from .. import config as config_lib
from .. import loop, programs, workdir
from . import best, plateau, stopping
from . import monitor as monitor_lib


def make(
    config: config_lib.Config,
    monitor: monitor_lib.Monitor | None,
    state: training.TrainState,
    rate_factor: tf.Variable | None,
    directory: workdir.Workdir,
    now: loop.Now,
    started: float,
    background: background_lib.Background | None,
) -> list[Callable[..., Any]]:
  """Makes the hooks of a config, in the order in which to attach them.

  Args:
    config: The config.
    monitor: The metric that judges validations. If None, there are none.
    state: The train state.
    rate_factor: The variable that scales the learning rate, if there is one.
    directory: The work directory.
    now: The progress of the run.
    started: When this start began, on the monotonic clock.
    background: Writes checkpoints. If None, they are written synchronously.

  Returns:
    The hooks.

  Raises:
    UserError: If a hook needs a validation split and there is none.
  """
  strategy = now.call_length.strategy
  hooks: list[Callable[..., Any]] = []
  if config.keep_best and monitor:
    hooks.append(
        best.KeepBest(directory.best, monitor, state, strategy, background)
    )
  if config.early_stopping_patience is not None:
    hooks.append(
        stopping.EarlyStopping(
            config.early_stopping_patience,
            _needed('early_stopping_patience', monitor),
        )
    )
  if config.plateau_patience is not None:
    assert rate_factor is not None  # Created with the optimizer.
    hooks.append(
        plateau.Plateau(
            config.plateau_patience,
            config.plateau_factor,
            _needed('plateau_patience', monitor),
            rate_factor,
            now.say,
        )
    )
  if config.max_minutes is not None:
    hooks.append(stopping.MaxMinutes(config.max_minutes, strategy, started))
  return hooks


def _needed(
    flag: str, monitor: monitor_lib.Monitor | None
) -> monitor_lib.Monitor:
  if monitor is None:
    raise programs.UserError(
        f'--{flag}: nothing is validated: the data have no validation split; '
        '--validation_split or --validation_examples makes one.'
    )
  return monitor
