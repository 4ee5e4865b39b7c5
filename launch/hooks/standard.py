"""The hooks of every run, except the last, which saves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from core import distribution, training
from pipelines import datasets

from .. import experiment as experiment_lib
from .. import loop, workdir
from ..evaluating import culprits, evaluation
from ..training import data_loops
from . import (
    compilations,
    health,
    histograms,
    metrics_writer,
    profile,
    progress,
    summaries,
    validation,
)
from . import monitor as monitor_lib


class Standard(NamedTuple):
  """The hooks, in the order in which they are called."""

  profile: profile.Profile
  health: health.Health
  progress: progress.Progress
  log: metrics_writer.Log
  histograms: histograms.Histograms
  compilations: compilations.Compilations
  validation: validation.Validation


def make(
    experiment: experiment_lib.Experiment,
    dataset: datasets.Dataset,
    state: training.TrainState,
    data_loop: data_loops.DataLoop,
    score: Callable[[], evaluation.Scored],
    directory: workdir.Workdir,
    now: loop.Now,
    monitor: monitor_lib.Monitor | None,
    *,
    go_back: Callable[[], object],
    count_compilations: Callable[[], int],
) -> Standard:
  """Makes the hooks.

  Args:
    experiment: The parts of the run.
    dataset: The data set.
    state: The train state.
    data_loop: Takes train steps.
    score: Scores the validation split, if there is one.
    directory: The work directory.
    now: The progress of the run; its messages go above the progress line.
    monitor: The metric that judges validations. If None, there are none.
    go_back: Restores the last checkpoint.
    count_compilations: Returns how many programs XLA has compiled.

  Returns:
    The hooks.
  """
  config, strategy = experiment.config, now.call_length.strategy
  board = summaries.Summaries(
      directory.summaries,
      strategy,
      summaries.parameters_of(config.of_kind('identity', 'length')),
  )
  writer = metrics_writer.MetricsWriter(directory, board, now, monitor)
  line = progress.Progress(
      now.at,
      config.global_batch_size,
      now.call_length.speed,
      hook_seconds=lambda: _hook_seconds(now),
      best=writer.best,
      silent=not distribution.is_chief(strategy),
  )
  now.say = line.above(now.say)
  batch_of = functools.partial(
      data_loops.batch_of,
      dataset.split('train'),
      seed=config.seed,
      global_batch_size=config.global_batch_size,
  )
  checker = health.Health(
      state,
      now,
      batch=lambda step: batch_of(step - 1),
      blame=functools.partial(culprits.find_without_weights, experiment),
      go_back=go_back,
      repeat=functools.partial(_repeat, state, data_loop, now.sums, now),
      max_skipped_steps=config.max_skipped_steps,
  )
  log = metrics_writer.Log(
      now,
      writer,
      checker,
      learning_rate=lambda number: float(
          experiment.schedule(max(number - 1, 0))
      ),
      global_batch_size=config.global_batch_size,
      every_steps=config.log_every_steps,
      digest=experiment.digest,
      hash_every_steps=config.hash_every_steps,
  )
  validate = validation.Validation(
      now,
      score if 'validation' in dataset.num_examples else None,
      writer,
      log,
      checker,
      every_epochs=config.eval_every_epochs,
      headline=experiment.task.headline,
  )
  shapes = histograms.Histograms(
      now,
      board,
      state,
      experiment.objective,
      batch_of,
      micro_batch_size=config.micro_batch_size
      or -(-config.global_batch_size // strategy.num_replicas_in_sync),
      every_steps=config.histogram_every_steps,
  )
  recompiled = compilations.Compilations(now, count_compilations)
  traced = profile.Profile(
      config.profiled,
      directory.summaries,
      now,
      is_chief=distribution.is_chief(strategy),
  )
  return Standard(traced, checker, line, log, shapes, recompiled, validate)


def _hook_seconds(now: loop.Now) -> float:
  """Returns the time spent in hooks since this start."""
  steps = ('steps', 'first_call')
  return sum(s for name, s in now.seconds_in.items() if name not in steps)


def _repeat(
    state: training.TrainState,
    data_loop: data_loops.DataLoop,
    zeros: training.Sums,
    now: loop.Now,
    num_steps: int,
) -> None:
  """Takes steps from the current state, without keeping their sums."""
  step = int(state.step.numpy())
  end = step + num_steps
  while step < end:  # No call goes beyond the end of an epoch.
    size = min(end, now.at.next_epochs(step)) - step
    data_loop(state, zeros, step, size)
    step += size
