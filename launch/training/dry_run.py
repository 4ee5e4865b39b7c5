"""Rehearses a run briefly, and forecasts its time and memory.

The rehearsal opens the data, builds, trains, evaluates, saves, restores and
plots like the run itself, but in a temporary folder.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, TypeVar

import tabulate

from core import scratch
from pipelines import batches, datasets

from .. import building, interruption, loop, programs
from .. import config as config_lib
from .. import workdir as workdir_lib
from ..evaluating import evaluation
from ..hooks import health, metrics_writer, progress, saving
from ..machine import model_size
from . import finishing, opening, preparing, results, resuming

# How long steps and evaluations are timed (at least two of each).
STEP_SECS = 3.0
_EVALUATION_SECS = 1.0
_PREFIX = 'quatrain-dry-run-'
_T = TypeVar('_T')


@dataclasses.dataclass(frozen=True)
class Part:
  """The time of a part of a run.

  Attributes:
    name: The name of the part.
    seconds: How long it takes each time.
    times: How often it happens.
  """

  name: str
  seconds: float
  times: float = 1

  @property
  def total(self) -> float:
    """How long it takes in the whole run."""
    return self.seconds * self.times


class _Clock(loop.Hook):
  """Times steps, and ends the run after `STEP_SECS`."""

  name = 'clock'

  def __init__(self) -> None:
    """Starts the clock."""
    self._marks = [(time.monotonic(), 0)]

  def __call__(self, step: int, values: Any) -> str | None:
    """Records the time; ends the run when the time is up."""
    self._marks.append((time.monotonic(), step))
    is_over = self._marks[-1][0] - self._marks[1][0] >= STEP_SECS
    return 'timed' if step > 1 and is_over else None

  def parts(self, num_steps: int) -> list[Part]:
    """Returns the first step, and the other steps at their final speed."""
    (began, _), (first, _), *rest = self._marks
    parts = [Part('first step, with tracing', first - began)]
    if rest:
      # Skip the first calls, which are short and warm up caches.
      warm = first + (rest[-1][0] - first) / 4
      start = next(mark for mark in self._marks[1:] if mark[0] >= warm)
      if start is rest[-1]:
        start = self._marks[1]
      seconds, steps = (
          end - begin for begin, end in zip(start, rest[-1], strict=True)
      )
      parts.append(Part('train step', seconds / steps, num_steps - 1))
    return parts


def run(config: config_lib.Config) -> None:
  """Rehearses a run, and prints a forecast.

  Args:
    config: The config. If its work directory has a run, that must match it.

  Raises:
    UserError: If the run could not start.
    Failure: If the run would fail.
  """
  started = time.monotonic()
  config, scope = preparing.alone(config, '--dry_run')
  resumed = None
  if config.workdir:
    theirs = workdir_lib.Workdir(config.workdir)
    theirs.check_writable()
    if theirs.exists():
      resumed = resuming.check(theirs, config)
  experiment, dataset = preparing.prepare(config)
  if resumed:
    resuming.check_data(
        theirs,
        resumed.before.data,
        experiment.data,
        accept_changes=config.accept_changes,
    )
  with scratch.folder(_PREFIX) as folder:
    directory = workdir_lib.Workdir(str(folder / 'run'))
    training = preparing.build(
        experiment,
        dataset,
        scope,
        directory,
        lambda message: None,
        started=started,
        steps_per_loop=config.steps_per_loop,
    )
    directory.config_file.write(experiment.config, experiment.data)
    print(opening.describe(experiment, dataset, scope, training, []))
    parts = [Part('start, with the data', time.monotonic() - started)]
    parts += _rehearse(training, dataset, directory, started)
  print(_table(parts, experiment.num_steps))


def _rehearse(
    training: building.Training,
    dataset: datasets.Dataset,
    directory: workdir_lib.Workdir,
    started: float,
) -> list[Part]:
  """Times the parts of a run after its start."""
  now, config, clock = training.now, training.experiment.config, _Clock()
  kept = (health.Health, progress.Progress, metrics_writer.Log)
  hooks = [hook for hook in training.hooks if isinstance(hook, kept)]
  if number := loop.run(
      training.state, training.data_loop, [*hooks, clock], now
  ):
    raise interruption.Interrupted(number)
  now.stopped = None
  training.health.check_variables(now.step)
  sizes = training.experiment.data.num_examples
  parts = clock.parts(now.at.num_steps)
  scored = None
  num_epochs = -(-now.at.num_steps // now.at.steps_per_epoch)
  often = {'validation': -(-num_epochs // config.eval_every_epochs), 'test': 1}
  for split in (split for split in often if split in sizes):
    seconds, _ = _timed(functools.partial(_score, training, split, 2))
    if scored is None:  # This call traced the evaluation.
      parts.append(Part('first evaluation, with tracing', seconds))
    seconds, scored = _evaluate(training, split)
    parts.append(Part(split, seconds, often[split]))
  save = training.hooks[-1]
  assert isinstance(save, saving.Saving)
  seconds, _ = _timed(lambda: save.end(now.step))
  parts.append(Part('save', seconds, _num_saves(training, parts)))
  before = training.experiment.digest()
  training.health.go_back()
  if training.experiment.digest() != before:
    raise programs.Failure('a checkpoint does not restore what was saved.')
  result = results.summarize(training, directory, scored, 0)
  about = finishing.report_of(training, dataset, scored, result, started)
  from ..reporting import writing

  seconds, _ = _timed(lambda: writing.write(directory, about))
  return [*parts, Part('report', seconds)]


def _num_saves(training: building.Training, parts: list[Part]) -> int:
  """Returns how often a run saves, including the last step."""
  at = training.now.at
  if every := training.experiment.config.checkpoint_every_steps:
    return -(-at.num_steps // every)
  seconds = sum(part.total for part in parts if part.name == 'train step')
  return 1 + min(
      (at.num_steps - 1) // at.steps_per_epoch,
      int(seconds / saving.CHECKPOINT_SECS),
  )


def _score(
    training: building.Training, split: str, size: int
) -> evaluation.Scored:
  return training.evaluator.run(training.state, split, size)


def _evaluate(
    training: building.Training, split: str
) -> tuple[float, evaluation.Scored]:
  """Scores part of a split; returns the time for the whole, and the scores."""
  total = batches.num_eval_steps(
      training.experiment.data.num_examples[split],
      training.experiment.config.global_batch_size,
  )
  size = min(2, total)
  while True:
    seconds, scored = _timed(functools.partial(_score, training, split, size))
    if size == total or seconds > _EVALUATION_SECS:
      return seconds * total / size, scored
    size = min(4 * size, total)


def _timed(function: Callable[[], _T]) -> tuple[float, _T]:
  started = time.monotonic()
  result = function()
  return time.monotonic() - started, result


def _table(parts: list[Part], num_steps: int) -> str:
  """Formats the forecast."""
  total = sum(part.total for part in parts)
  training = sum(part.total for part in parts if part.name == 'train step')
  table = tabulate.tabulate(
      [
          [
              part.name,
              f'{part.seconds:.3g}',
              f'{part.times:,}',
              f'{part.total:.1f}',
          ]
          for part in parts
      ],
      headers=['forecast', 'seconds', 'times', 'in all'],
      disable_numparse=True,
      colalign=['left', 'right', 'right', 'right'],
  )
  return (
      f'{table}\n{num_steps:,} steps: {progress.duration(total)} in all, of '
      f'which {progress.duration(training)} in training, at most '
      f'{model_size.peaks()}; unless a hook ends the run early. Nothing was '
      'written.'
  )
