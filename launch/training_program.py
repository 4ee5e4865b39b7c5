"""What `launch.train` does once its flags are read: a run, start to end."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from core import compilation, distribution, precision, variables
from pipelines import batches, datasets

from . import config as config_lib
from . import devices, programs, resuming, tables
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
    accept_changes: bool = False,
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
    accept_changes: Whether a run goes on under flags, or on data, that decide
      its weights and are not those that it began with.

  Returns:
    The exit code.

  Raises:
    UserError: If the flags or the data are not valid; nothing is written then.
    Failure: If the run cannot go on.
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
    return _run(config, place, scope, started, compilations, accept_changes)


def _run(
    config: config_lib.Config,
    place: dict[str, Any],
    scope: tf.distribute.Strategy,
    started: float,
    compilations: Callable[[], int],
    accept_changes: bool,
) -> int:
  is_chief = distribution.is_chief(scope)

  def say(message: str) -> None:
    if is_chief:
      print(message, flush=True)

  directory = workdir_lib.Workdir(place['workdir'], is_chief=is_chief)
  directory.check_writable()
  with contextlib.ExitStack() as stack:
    resumed = None
    if directory.exists():
      stack.enter_context(directory.locked(say))
      resumed = resuming.check(directory, config, accept_changes=accept_changes)
      if resumed.is_complete:
        say(_complete(directory))
        return 0
    experiment, dataset = _prepare(
        config, place['data_dir'], place['archives_dir']
    )
    if resumed:
      resuming.check_data(
          directory,
          resumed.before.data,
          experiment.data,
          accept_changes=accept_changes,
      )
    trainer = _make_trainer(
        experiment, dataset, scope, directory, say,
        steps_per_loop=place['steps_per_loop'],
        compilations=compilations,
    )
    stack.enter_context(_full_disk(directory, trainer, experiment.num_steps))
    notes = []
    if resumed:
      notes = _go_on(directory, resumed, trainer, experiment, place)
    else:
      stack.enter_context(directory.locked(say))
      if is_chief and directory.exists():
        raise programs.UserError(
            f'--workdir={directory.path}: another process began a run here '
            'meanwhile; start again to go on with it.'
        )
      directory.write_config(config, experiment.data, place)
    say(_opening(experiment, dataset, scope, trainer, notes))
    return _train(trainer, experiment, directory, say, started)


def _complete(directory: workdir_lib.Workdir) -> str:
  return (
      f'The run in {directory.path} is complete: '
      f'{_headline(directory.read_result() or {})}. Name another --workdir to '
      'train again, or more epochs to go on.'
  )


def _go_on(
    directory: workdir_lib.Workdir,
    resumed: resuming.Resumed,
    trainer: trainer_lib.Trainer,
    experiment: experiment_lib.Experiment,
    place: dict[str, Any],
) -> list[str]:
  """Records what changes in a run; returns what there is to say of it."""
  step = trainer.step
  resuming.check_length(directory, step, experiment.num_steps)
  if not trainer.restored:
    directory.check_progress(resumed.before)
  changes = resuming.changed(
      resumed.before, experiment.config, experiment.data, place
  )
  directory.record(
      step, changes, experiment.config, experiment.data, place
  )
  notes = [
      f'{error} It is kept aside, as damaged-*, from the next checkpoint on.'
      for error in trainer.damaged
  ]
  if trainer.restored:
    notes.append(f'resumed from {trainer.restored}')
  else:
    notes.append('no checkpoint was saved before; the run begins anew')
  if changes:
    notes.append(f'changed: {resuming.describe(changes)}')
  return notes


def _train(
    trainer: trainer_lib.Trainer,
    experiment: experiment_lib.Experiment,
    directory: workdir_lib.Workdir,
    say: Callable[[str], None],
    started: float,
) -> int:
  """Trains to the end, or to a signal; returns the exit code."""
  outcome = trainer.run()
  if outcome.step < experiment.num_steps or outcome.signal:
    say(
        f'Interrupted: saved step {outcome.step} of {experiment.num_steps}; '
        'the same command goes on from there.'
    )
    return 128 + (outcome.signal or signal.SIGTERM)
  _finish(trainer, experiment, directory, say, started)
  return 0


@contextlib.contextmanager
def _full_disk(
    directory: workdir_lib.Workdir,
    trainer: trainer_lib.Trainer,
    num_steps: int,
) -> Iterator[None]:
  """Tells in one line what is saved where a file cannot be written."""
  try:
    yield
  except OSError as error:
    saved = (
        f'step {trainer.saved_step} of {num_steps} is saved'
        if trainer.saved_step >= 0
        else 'nothing is saved yet'
    )
    raise programs.Failure(
        f'--workdir={directory.path}: {programs.reason(error)}; {saved}. Once '
        'that is mended, the same command goes on from there.'
    ) from error


def _prepare(
    config: config_lib.Config,
    data_dir: str | None,
    archives_dir: str | None,
) -> tuple[experiment_lib.Experiment, datasets.Dataset]:
  """Opens the data and makes the parts, so that mistakes show up first."""
  try:
    experiment_lib.check_names(config)
    dataset = experiment_lib.open_dataset(config, data_dir, archives_dir)
    data = experiment_lib.describe_data(config, dataset)
    steps_per_epoch = batches.num_train_steps_per_epoch(
        data.num_examples['train'], config.global_batch_size
    )
    experiment = experiment_lib.Experiment(config, data, steps_per_epoch)
    _ = experiment.optimizer  # Made here, so that its mistakes show up.
    return experiment, dataset
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
    dataset: datasets.Dataset,
    strategy: tf.distribute.Strategy,
    trainer: trainer_lib.Trainer,
    notes: list[str],
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
      f'{experiment.data.describe()}',
      f'{type(strategy).__name__} over {strategy.num_replicas_in_sync} '
      f'{kind} replica(s) in {experiment.config.precision}, '
      f'{experiment.config.global_batch_size} examples a step, '
      f'{experiment.num_steps:,} steps, '
      f'{experiment.steps_per_epoch:,} an epoch',
  ]
  lines += dataset.notes
  lines += _emulated(experiment.config.precision, strategy)
  lines += _slow(experiment, strategy, trainer.extent)
  lines += notes
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
  monitor = experiment.task.monitor
  is_tested = 'test' in experiment.data.num_examples
  scored = trainer.evaluate('test') if is_tested else None
  result = trainer.result()  # With what was compiled for the test.
  if scored:
    say(scored.table())
    result['test'] = scored.to_json()
    result[f'test_{monitor}'] = scored.values[monitor]
    result['num_test_examples'] = scored.num_examples
  result['weights_sha256'] = variables.digest(
      variables.named({'model': experiment.model})
  )
  result['seconds'] = round(time.monotonic() - started, 3)
  directory.write_result(result)
  try:
    directory.write_report(scored.report.figures if scored else {}, monitor)
  except Exception as error:  # Plots are no reason to lose a run.
    say(f'report/ is not complete: {programs.reason(error)}')
  say(f'{_headline(result, monitor)}; {directory.path}/result.json')


def _headline(result: dict[str, Any], monitor: str | None = None) -> str:
  """Sums up a result; one of version 0.1.0 is judged by its accuracy."""
  monitor = monitor or result.get('monitor', 'accuracy')
  for name in (f'test_{monitor}', f'validation_{monitor}'):
    if name in result:
      return f'{name} {result[name]:.4f}'
  return f'{result["num_steps"]} steps'
