"""The start of a run: devices, data, parts and variables.

User errors surface here, before anything is written.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from typing import Any

import tensorflow as tf

from core import precision, waits
from pipelines import batches, datasets

from .. import building, extras, programs, reading, several, tasks
from .. import config as config_lib
from .. import data as data_lib
from .. import experiment as experiment_lib
from .. import workdir as workdir_lib
from ..cluster import resolving
from ..machine import devices
from . import init_from


def begin(config: config_lib.Config) -> tf.distribute.Strategy:
  """Checks the names of a config, seeds TensorFlow and sets up the devices.

  Args:
    config: The config.

  Returns:
    The strategy of the run.

  Raises:
    UserError: If the flags are not valid.
  """
  extras.require('launch')
  try:
    experiment_lib.check_names(config)
  except ValueError as error:
    raise programs.UserError(str(error)) from error
  programs.say_what_was_dropped()
  tf.random.set_seed(config.seed)
  if config.deterministic:  # The same seed gives the same bits, also on GPUs.
    tf.config.experimental.enable_op_determinism()
  return devices.strategy(
      config.strategy,
      config.num_virtual_devices,
      told=config.of_all_workers(),
      start_timeout=config.start_timeout,
  )


def on_devices(
    config: config_lib.Config, strategy: tf.distribute.Strategy
) -> config_lib.Config:
  """Returns a config with the precision chosen for these devices.

  The config stores it: a run must not change precision on another machine.
  """
  chosen = precision.choose(config.precision, strategy)
  return dataclasses.replace(config, precision=chosen)


def alone(
    config: config_lib.Config, program: str
) -> tuple[config_lib.Config, tf.distribute.Strategy]:
  """Sets up a program of one process that trains without a work directory.

  Args:
    config: The config of a run.
    program: The flag or subject, for messages.

  Returns:
    The config, with its precision, and the strategy.

  Raises:
    UserError: If the flags are not valid, or name several workers.
  """
  members = resolving.resolve(
      config.strategy, config.num_virtual_devices, dict(os.environ)
  )
  if members is not None and members.size > 1:
    raise programs.UserError(
        f'{program}: it is for one process; run it outside Slurm and without '
        'TF_CONFIG.'
    )
  scope = begin(config)
  init_from.find(config)
  return on_devices(config, scope), scope


def open_data(
    config: config_lib.Config,
) -> tuple[datasets.Dataset, data_lib.DataSpec]:
  """Opens and describes the data.

  Raises:
    UserError, DataError: If the flags or the data are not valid.
  """
  try:
    dataset = reading.open_dataset(config)
    return dataset, reading.describe_data(config, dataset)
  except ValueError as error:
    raise programs.UserError(str(error)) from error


def prepare(
    config: config_lib.Config,
) -> tuple[experiment_lib.Experiment, datasets.Dataset]:
  """Opens the data and makes the parts of a run.

  Raises:
    UserError, DataError: If the flags or the data are not valid.
  """
  dataset, data = open_data(config)
  try:
    config = tasks.with_defaults(config, data.spec)
    steps_per_epoch = batches.num_train_steps_per_epoch(
        data.num_examples['train'], config.global_batch_size
    )
    experiment = experiment_lib.Experiment(config, data, steps_per_epoch)
    _ = experiment.optimizer  # Created here so that its errors surface.
    return experiment, dataset
  except ValueError as error:
    raise programs.UserError(str(error)) from error


def build(*args: Any, **options: Any) -> building.Training:
  """Builds the model and restores the last checkpoint; see `building.build`.

  Raises:
    UserError: If a part or a checkpoint does not fit.
  """
  try:
    with waits.waiting():  # The first worker sets each variable.
      return building.build(*args, **options)
  except (TypeError, ValueError) as error:
    raise programs.UserError(str(error)) from error


def try_out(config: config_lib.Config) -> None:
  """Makes all that a run makes before its first step, and drops it.

  Args:
    config: The config of a new run; its work directory is not used.

  Raises:
    UserError, DataError: If the flags, the data or a part are not valid.
  """
  strategy = tf.distribute.get_strategy()
  init_from.find(config)
  experiment, dataset = prepare(on_devices(config, strategy))
  with tempfile.TemporaryDirectory() as folder:
    build(
        experiment,
        dataset,
        strategy,
        workdir_lib.Workdir(os.path.join(folder, 'run')),
        lambda message: None,
        started=time.monotonic(),
        hooks=several.hooks(config.hooks, config.hook_arg),
    )
