"""What `launch.train` does once its flags are read: a run, start to end."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from core import compilation, distribution, precision, variables
from pipelines import batches, sources

from . import config as config_lib
from . import devices, programs, tables
from . import experiment as experiment_lib
from . import trainer as trainer_lib
from . import workdir as workdir_lib


def run(
    config: config_lib.Config,
    *,
    workdir: str,
    data_dir: str | None,
    archives_dir: str | None,
    strategy: str,
    num_virtual_devices: int | None,
    steps_per_loop: int | None = None,
    compilations: Callable[[], int] = lambda: 0,
) -> int:
  """Trains, or goes on with, the run of a work directory.

  Args:
    config: What the run computes.
    workdir: Where it is kept.
    data_dir: Where prepared data sets are.
    archives_dir: Where archives are.
    strategy: The name of the strategy.
    num_virtual_devices: How many devices to split the CPU into.
    steps_per_loop: How many steps a call of the graph takes at most.
    compilations: Counts what XLA has compiled in this process.

  Returns:
    The exit code.
  """
  started = time.monotonic()
  # The same bits from the same seed, on GPUs too.
  tf.random.set_seed(config.seed)
  tf.config.experimental.enable_op_determinism()
  scope = devices.strategy(strategy, num_virtual_devices)
  place = {
      'data_dir': data_dir,
      'archives_dir': archives_dir,
      'workdir': workdir,
      'strategy': strategy,
      'num_virtual_devices': num_virtual_devices,
      'steps_per_loop': steps_per_loop,
  }
  with devices.lost_workers(scope):
    # What was chosen is kept: a run must not change it on another machine.
    config = dataclasses.replace(
        config, precision=precision.choose(config.precision, scope)
    )
    return _run(config, place, scope, started, compilations)


def _run(
    config: config_lib.Config,
    place: dict[str, Any],
    scope: tf.distribute.Strategy,
    started: float,
    compilations: Callable[[], int],
) -> int:
  is_chief = distribution.is_chief(scope)

  def say(message: str) -> None:
    if is_chief:
      print(message, flush=True)

  directory = workdir_lib.Workdir(place['workdir'], is_chief=is_chief)
  directory.check_writable()
  if directory.exists():
    _check_same(directory, config)
    result = directory.read_result()
    if result:
      say(
          f'The run in {directory.path} is complete: {_headline(result)}. Name '
          'another --workdir to train again.'
      )
      return 0
  experiment, dataset = _prepare(
      config,
      place['data_dir'],
      place['archives_dir'],
      scope.num_replicas_in_sync,
  )
  is_new = not directory.exists()
  if not is_new:
    _check_same_data(directory, experiment.data)
  trainer = _make_trainer(
      experiment, dataset, scope, directory, say,
      steps_per_loop=place['steps_per_loop'],
      compilations=compilations,
  )
  if is_new:
    directory.write_config(config, experiment.data, place)
  say(_opening(experiment, dataset, scope, trainer))
  outcome = trainer.run()
  if outcome.step < experiment.num_steps:
    say(
        f'Interrupted: saved step {outcome.step} of {experiment.num_steps}; '
        'the same command goes on from there.'
    )
    return 128 + (outcome.signal or signal.SIGTERM)
  _finish(trainer, experiment, directory, say, started)
  return 0


def _check_same(
    directory: workdir_lib.Workdir, config: config_lib.Config
) -> None:
  """Refuses to go on with a run under other flags."""
  before, _ = directory.read_config()
  differences = config.differences(before)
  if differences:
    raise programs.UserError(
        f'--workdir={directory.path} holds a run with other flags: '
        f'{"; ".join(differences)}. Give the same flags or another --workdir.'
    )


def _check_same_data(
    directory: workdir_lib.Workdir, data: config_lib.DataSpec
) -> None:
  """Refuses to go on with a run on data that is not what it began with."""
  _, before = directory.read_config()
  if data != before:
    here, there = data.to_json(), before.to_json()
    differences = [
        f'{name} is {here[name]}, not {there[name]}'
        for name in here
        if here[name] != there[name]
    ]
    raise programs.UserError(
        f'--workdir={directory.path} holds a run on other data: '
        f'{"; ".join(differences)}. Name another --workdir.'
    )


def _prepare(
    config: config_lib.Config,
    data_dir: str | None,
    archives_dir: str | None,
    num_replicas: int,
) -> tuple[experiment_lib.Experiment, sources.ImageDataset]:
  """Opens the data and makes the parts, so that mistakes show up first."""
  try:
    batches.check_division(config.global_batch_size, num_replicas)
    experiment_lib.check_names(config)
    dataset = experiment_lib.open_dataset(config, data_dir, archives_dir)
    data = experiment_lib.describe_data(config, dataset)
    steps_per_epoch = batches.num_train_steps_per_epoch(
        data.num_examples['train'], config.global_batch_size
    )
    return experiment_lib.Experiment(config, data, steps_per_epoch), dataset
  except ValueError as error:
    raise programs.UserError(str(error)) from error


def _make_trainer(
    experiment: experiment_lib.Experiment, *args: Any, **options: Any
) -> trainer_lib.Trainer:
  """Builds the model and restores it, so that what does not fit shows up."""
  try:
    return trainer_lib.Trainer(experiment, *args, **options)
  except (TypeError, ValueError) as error:
    raise programs.UserError(str(error)) from error


def _opening(
    experiment: experiment_lib.Experiment,
    dataset: sources.ImageDataset,
    strategy: tf.distribute.Strategy,
    trainer: trainer_lib.Trainer,
) -> str:
  """Says what is about to be trained, on what, and from where on."""
  counts = ', '.join(
      f'{number:,} {split}' for split, number in dataset.num_examples.items()
  )
  kind = 'GPU' if distribution.on_gpu(strategy) else 'CPU'
  lines = [
      tables.parameters(trainer.state.parameters),
      '',
      f'{dataset.name} {dataset.version}: {counts}; '
      f'{experiment.data.num_classes} classes',
      f'{type(strategy).__name__} over {strategy.num_replicas_in_sync} '
      f'{kind} replica(s) in {experiment.config.precision}, '
      f'{experiment.config.global_batch_size} examples a step, '
      f'{experiment.num_steps:,} steps, '
      f'{experiment.steps_per_epoch:,} an epoch',
  ]
  lines += dataset.notes
  lines += _emulated(experiment.config.precision, strategy)
  lines += _slow(experiment, strategy, trainer.extent)
  if trainer.restored:
    lines.append(f'resumed from {trainer.restored}')
  return '\n'.join(lines) + '\n'


def _emulated(dtype: str, strategy: tf.distribute.Strategy) -> list[str]:
  """Warns of half precision that the devices have no products in."""
  if precision.is_native(dtype, strategy):
    return []
  return [
      f'--precision={dtype}: slow here, where products in it are emulated; '
      '--precision=auto takes what the devices have.'
  ]


def _slow(
    experiment: experiment_lib.Experiment,
    strategy: tf.distribute.Strategy,
    extent: compilation.Extent,
) -> list[str]:
  """Warns of what XLA computes slowly, if the flags ask for it."""
  if extent <= compilation.Extent.UPDATE or (
      not experiment.is_slow_on_cpu(strategy)
  ):
    return []
  flag = f'--jit={experiment.config.jit}'
  if extent == compilation.Extent.LOOP:
    return [
        f'{flag}: a compiled loop around this model is slow on a CPU, with '
        'convolutions very slow; --jit=auto leaves it to TensorFlow.'
    ]
  return [
      f'{flag}: XLA computes this model more slowly on a CPU than TensorFlow '
      'does; --jit=auto leaves it to that.'
  ]


def _finish(
    trainer: trainer_lib.Trainer,
    experiment: experiment_lib.Experiment,
    directory: workdir_lib.Workdir,
    say: Callable[[str], None],
    started: float,
) -> None:
  """Scores the test split and writes the result."""
  is_tested = 'test' in experiment.data.num_examples
  scored = trainer.evaluate('test') if is_tested else None
  result = trainer.result()  # With what was compiled for the test.
  if scored:
    say(
        tables.evaluation(
            'test', scored.values, scored.per_class, scored.num_examples
        )
    )
    result['test'] = scored.to_json()
    result['test_accuracy'] = scored.values['accuracy']
    result['num_test_examples'] = scored.num_examples
  result['weights_sha256'] = variables.digest(
      variables.named({'model': experiment.model})
  )
  result['seconds'] = round(time.monotonic() - started, 3)
  directory.write_report(result)
  directory.write_result(result)
  say(f'{_headline(result)}; {directory.path}/result.json')


def _headline(result: dict[str, Any]) -> str:
  for name in ('test_accuracy', 'validation_accuracy'):
    if name in result:
      return f'{name} {result[name]:.4f}'
  return f'{result["num_steps"]} steps'
