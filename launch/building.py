"""Builds the state of a run, its data_loop, and the hooks of its loop."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from core import (
    background,
    checkpoints,
    compilation,
    training,
    variables,
    workers,
)
from pipelines import datasets, splits

from . import experiment as experiment_lib
from . import loop, programs
from . import workdir as workdir_lib
from .evaluating import evaluation
from .hooks import attached, flagged, health, saving, standard
from .hooks import monitor as monitor_lib
from .lookup import own as own_parts
from .training import call_length, data_loops, init_from, periods

Hooks = Sequence[Callable[..., Any]]


@dataclasses.dataclass(frozen=True)
class Training:
  """A run that is ready to train.

  Attributes:
    experiment: The parts of the run.
    state: The train state, restored if there was a checkpoint.
    extent: Which part of a step XLA compiles.
    train_step: The train step.
    data_loop: Takes train steps.
    evaluator: Scores a split.
    health: Ends a run that cannot continue.
    monitor: The metric by which validations are compared.
    hooks: All hooks, which run between the steps.
    now: The current state of the loop.
    restored: The path of the restored checkpoint, if any.
    initial: What --init_from restored, if it was given.
    damaged: Newer checkpoints that could not be read.
  """

  experiment: experiment_lib.Experiment
  state: training.TrainState
  extent: compilation.Extent
  train_step: training.Step
  data_loop: data_loops.DataLoop
  evaluator: evaluation.Evaluator
  health: health.Health
  monitor: monitor_lib.Monitor
  hooks: Sequence[loop.Hook]
  now: loop.Now
  restored: str | None
  initial: init_from.Initial | None
  damaged: Sequence[checkpoints.DamagedError]

  def run(self) -> int:
    """Trains; see `loop.run`."""
    return loop.run(self.state, self.data_loop, self.hooks, self.now)


def build(
    experiment: experiment_lib.Experiment,
    dataset: datasets.Dataset,
    strategy: tf.distribute.Strategy,
    directory: workdir_lib.Workdir,
    say: Callable[[str], None],
    *,
    started: float,
    hooks: Hooks = (),
    steps_per_loop: int | None = None,
    count_compilations: Callable[[], int] = lambda: 0,
) -> Training:
  """Builds the model and its state, and restores the last checkpoint.

  Args:
    experiment: The parts of the run.
    dataset: The data set.
    strategy: The strategy.
    directory: The work directory.
    say: Prints a message on the chief.
    hooks: The user's hooks: see `hooks.attached`.
    started: When this start began, on the monotonic clock.
    steps_per_loop: The maximum number of steps per call of the graph. If None,
      it depends on the measured time.
    count_compilations: Counts the programs XLA has compiled in this process.

  Raises:
    UserError: If a hook or the checkpoint does not match the run.
  """
  config = experiment.config
  data = dataset.split('train')
  with strategy.scope():
    state = experiment.make_state()
  extent = experiment.extent(strategy, data.is_resident)
  train_step = make_step(experiment, strategy, extent)
  data_loop = data_loops.of_training(
      train_step,
      strategy,
      extent,
      data,
      seed=config.seed,
      global_batch_size=config.global_batch_size,
      num_steps=experiment.num_steps,
  )
  evaluator = evaluation.Evaluator(
      experiment,
      dataset,
      strategy,
      use_average=config.ema_decay is not None,
  )
  now = loop.Now(
      experiment.zero_sums(experiment.train_metric),
      periods.Periods(experiment.steps_per_epoch, experiment.num_steps),
      call_length.CallLength(strategy, steps_per_loop),
      functools.partial(_measure, experiment, state),
      say,
  )
  if config.metrics:  # They may be the user's own: try how values are made.
    zeros = experiment.zero_sums(experiment.eval_metric)
    training.summarize(experiment.eval_metric, zeros)
  monitor = _monitor(experiment, dataset)
  first = standard.make(
      experiment,
      dataset,
      state,
      data_loop,
      functools.partial(evaluator.run, state, 'validation'),
      directory,
      now,
      monitor,
      go_back=lambda: checkpointer.restore(),
      count_compilations=count_compilations,
  )
  # A single writer, so that the best checkpoint is on the disk before the last
  # one, which refers to it.
  writer = background.Background() if config.async_checkpoints else None
  others = [
      attached.Attached(hook, now, first.validation.next)
      for hook in flagged.make(
          config,
          monitor,
          state,
          experiment.rate_factor,
          directory,
          now,
          started,
          writer,
      )
  ]
  others += [
      attached.OfUser(
          hook, now, first.validation.next, clear=first.progress.clear
      )
      for hook in hooks
  ]
  attached.check_names(others)
  for other in others:
    other.join(state)
  extra = {**first.health.counts(), **first.validation.named_variables()}
  checkpointer = checkpoints.Checkpointer(
      directory.checkpoints,
      {**state.named_variables(), **first.log.named_variables(), **extra},
      max_to_keep=config.keep_checkpoints,
      strategy=strategy,
      # Older versions did not save them, nor did runs with other hooks.
      optional={**extra, **variables.named({'hooks': state.hooks})},
      ignored=('hooks/',),
      background=writer,
  )
  restored = checkpointer.restore()
  _check_same_step(state, strategy, directory)
  initial = None
  if not restored:
    experiment.initialize(data, strategy)
    initial = init_from.load(experiment, state, strategy)
  now.step = int(state.step.numpy())
  now.saved_step = now.step if restored else -1
  if now.step < experiment.num_steps:
    for other in others:
      other.check_next(now.step)
  first.health.check_restored(restored)
  first.validation.go_on()
  directory.go_on_from(now.step, is_validated=not now.is_cut_short)
  first.log.go_on()
  before = [*first, *others]
  save = saving.Saving(
      now,
      checkpointer,
      directory,
      before,
      first.health,
      every_steps=config.checkpoint_every_steps,
  )
  now.settle = save.settle
  return Training(
      experiment=experiment,
      state=state,
      extent=extent,
      train_step=train_step,
      data_loop=first.compilations.watched(data_loop),
      evaluator=evaluator,
      health=first.health,
      monitor=monitor or _own_monitor(experiment),
      hooks=[*before, saving.Looking(save), save],
      now=now,
      restored=restored,
      initial=initial,
      damaged=checkpointer.damaged,
  )


def fresh(
    experiment: experiment_lib.Experiment,
    data: splits.Split,
    strategy: tf.distribute.Strategy,
) -> training.TrainState:
  """Makes the state of a new run, from its training examples.

  Raises:
    UserError: If a part does not match the others.
  """
  try:
    with strategy.scope():
      state = experiment.make_state()
    experiment.initialize(data, strategy)
    init_from.load(experiment, state, strategy)
    return state
  except (TypeError, ValueError) as error:
    raise programs.UserError(str(error)) from error


def make_step(
    experiment: experiment_lib.Experiment,
    strategy: tf.distribute.Strategy,
    extent: compilation.Extent,
) -> training.Step:
  """Makes the train step of an experiment."""
  return training.make_train_step(
      experiment.objective,
      experiment.optimizer,
      experiment.train_metric,
      strategy,
      extent,
      micro_batch_size=experiment.config.micro_batch_size,
  )


def _monitor(
    experiment: experiment_lib.Experiment, dataset: datasets.Dataset
) -> monitor_lib.Monitor | None:
  """Returns the monitor of a run, or None without validation."""
  name = experiment.config.monitor
  if 'validation' not in dataset.num_examples:
    return None
  own = _own_monitor(experiment)
  is_own = own_parts.is_part(experiment.config.task)
  if name in (None, own.metric) and not is_own:
    return own  # Skip the trace that finds the names of other metrics.
  metric = experiment.eval_metric
  known = training.summarize(metric, experiment.zero_sums(metric))
  return monitor_lib.choose(name, own, list(evaluation.scalars(known)))


def _own_monitor(experiment: experiment_lib.Experiment) -> monitor_lib.Monitor:
  """Returns the monitor of the task."""
  return monitor_lib.Monitor(experiment.task.monitor, experiment.task.direction)


def _measure(
    experiment: experiment_lib.Experiment,
    state: training.TrainState,
    sums: training.Sums,
) -> dict[str, float]:
  """Returns the metrics from their sums; empty if all steps were skipped."""
  if state.skipped is not None and not float(sums['weight']):
    return {}
  return evaluation.scalars(training.summarize(experiment.train_metric, sums))


def _check_same_step(
    state: training.TrainState,
    strategy: tf.distribute.Strategy,
    directory: workdir_lib.Workdir,
) -> None:
  """Checks that all workers restored the same checkpoint."""
  rows = workers.gather(strategy, [int(state.step.numpy())])
  steps = [step for (step,) in rows]
  if len(set(steps)) > 1:
    raise programs.UserError(
        f'--workdir={directory.path}: workers find checkpoints of different '
        f'steps there, {", ".join(map(str, steps))}; all workers need one '
        'shared directory.'
    )
