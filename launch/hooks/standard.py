"""The hooks of every run, but for the last, which saves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from core import distribution, training
from pipelines import datasets

from .. import culprits, evaluation, feeds, loop, workdir
from .. import experiment as experiment_lib
from . import compilations, health, progress, rows, summaries, validation


class Standard(NamedTuple):
  """The hooks, in their order."""

  health: health.Health
  progress: progress.Progress
  log: rows.Log
  compilations: compilations.Compilations
  validation: validation.Validation


def make(
    experiment: experiment_lib.Experiment,
    dataset: datasets.Dataset,
    state: training.TrainState,
    feed: feeds.Feed,
    score: Callable[[], evaluation.Scored],
    directory: workdir.Workdir,
    now: loop.Now,
    *,
    go_back: Callable[[], object],
    count_compilations: Callable[[], int],
) -> Standard:
  """Makes the hooks.

  Args:
    experiment: The parts of the run.
    dataset: The data set.
    state: The train state.
    feed: Takes train steps.
    score: Scores the validation split, if there is one.
    directory: The work directory.
    now: Where the run is; what it says comes above the line of progress.
    go_back: Restores the last checkpoint.
    count_compilations: Counts what XLA has compiled in this process.

  Returns:
    The hooks.
  """
  config, strategy = experiment.config, now.calls.strategy
  line = progress.Progress(
      now.at,
      config.global_batch_size,
      now.calls.speed,
      silent=not distribution.is_chief(strategy),
  )
  now.say = line.above(now.say)
  checker = health.Health(
      state,
      now,
      batch=lambda step: feeds.batch_of(
          dataset.split('train'),
          step - 1,
          seed=config.seed,
          global_batch_size=config.global_batch_size,
      ),
      blame=functools.partial(culprits.find_without_weights, experiment),
      go_back=go_back,
      repeat=functools.partial(_repeat, state, feed, now.sums, now),
      max_skipped_steps=config.max_skipped_steps,
  )
  table = rows.Rows(
      directory, summaries.Summaries(directory.summaries, strategy), now
  )
  log = rows.Log(
      now,
      table,
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
      table,
      log,
      checker,
      every_epochs=config.eval_every_epochs,
      headline=experiment.task.headline,
  )
  recompiled = compilations.Compilations(now, count_compilations)
  return Standard(checker, line, log, recompiled, validate)


def _repeat(
    state: training.TrainState,
    feed: feeds.Feed,
    zeros: training.Sums,
    now: loop.Now,
    num_steps: int,
) -> None:
  """Takes steps from where the state is, and keeps nothing but the state."""
  step = int(state.step.numpy())
  end = step + num_steps
  while step < end:  # No call goes beyond the end of an epoch.
    size = min(end, now.at.next_epochs(step)) - step
    feed(state, zeros, step, size)
    step += size
