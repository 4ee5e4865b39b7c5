"""The training loop of a run: epochs, logging, validation, checkpoints."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from core import checkpoints, distribution, training, variables
from pipelines import datasets

from . import calls as calls_lib
from . import (
  evaluation,
  feeds,
  health,
  interruption,
  periods,
  programs,
  progress,
  summaries,
  tables,
)
from . import experiment as experiment_lib
from . import workdir as workdir_lib

# Without a period of steps, checkpoints are this long apart: an epoch of a
# small network is over before a checkpoint is written.
CHECKPOINT_SECS = 10.0


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a call of `Trainer.run` ended.

  Attributes:
    step: The step that was reached.
    signal: The number of the signal that interrupted the run, or 0.
  """

  step: int
  signal: int


class Trainer:
  """Trains an experiment in a work directory, from its last checkpoint on."""

  def __init__(
      self,
      experiment: experiment_lib.Experiment,
      dataset: datasets.Dataset,
      strategy: tf.distribute.Strategy,
      workdir: workdir_lib.Workdir,
      say: Callable[[str], None],
      *,
      steps_per_loop: int | None = None,
      compilations: Callable[[], int] = lambda: 0,
  ):
    """Builds the model and its state, and restores the last checkpoint.

    Args:
      experiment: The parts of the run.
      dataset: The data set.
      strategy: The strategy.
      workdir: The work directory.
      say: Prints a message on the chief.
      steps_per_loop: How many steps a call of the graph takes at most; None
        lets the clock decide.
      compilations: Counts what XLA has compiled in this process.
    """
    self._experiment = experiment
    self._config = experiment.config
    self._dataset = dataset
    self._strategy = strategy
    self._workdir = workdir
    self._say = say
    with strategy.scope():
      self.state = experiment.make_state()
    data = dataset.split('train')
    self.extent = experiment.extent(strategy, feeds.is_resident(data))
    self._train_step = training.make_train_step(
        experiment.objective,
        experiment.optimizer,
        experiment.train_metric,
        strategy,
        self.extent,
    )
    self._feed = feeds.of_training(
        self._train_step,
        strategy,
        self.extent,
        data,
        seed=self._config.seed,
        global_batch_size=self._config.global_batch_size,
        num_steps=experiment.num_steps,
    )
    self._periods = periods.Periods(
        self._config, experiment.steps_per_epoch, experiment.num_steps
    )
    self._steps_per_loop = steps_per_loop
    self._compilations = compilations
    self._evaluator = evaluation.Evaluator(
        experiment,
        dataset,
        strategy,
        use_average=self._config.average_decay is not None,
    )
    zeros = experiment.zero_sums(experiment.train_metric)
    # Sums since the last row and of the epoch; saved, so that a resumed run
    # logs what an uninterrupted one does.
    self._sums = {
        'row': tf.nest.map_structure(_variable, zeros),
        'epoch': tf.nest.map_structure(_variable, zeros),
    }
    self._zeros = zeros
    self._health = health.Health(
        self.state,
        examples=lambda step: feeds.examples_of(
            dataset.split('train'),
            step - 1,
            seed=self._config.seed,
            global_batch_size=self._config.global_batch_size,
        ),
        saved_step=lambda: self._saved_step,
        go_back=lambda: self._checkpointer.restore(),
        repeat=self._repeat,
        max_skipped_steps=self._config.max_skipped_steps,
    )
    counts = self._health.counts()
    self._checkpointer = checkpoints.Checkpointer(
        workdir.checkpoints,
        {
            **self.state.named_variables(),
            **variables.named({'sums': self._sums}),
            **counts,
        },
        max_to_keep=self._config.keep_checkpoints,
        strategy=strategy,
        optional=counts,  # Older versions did not save them.
    )
    self.restored = self._checkpointer.restore()
    self.damaged = self._checkpointer.damaged
    self._check_same_step()
    if not self.restored:
      experiment.initialize(dataset.split('train'), strategy)
    self._saved_step = int(self.state.step.numpy()) if self.restored else -1
    self._health.check_restored(self.restored)
    self._seconds = 0.0
    self._steps_timed = 0
    self._workdir.go_on_from(self.step)

  @property
  def step(self) -> int:
    """The steps taken so far."""
    return int(self.state.step.numpy())

  @property
  def saved_step(self) -> int:
    """The step of the last checkpoint; -1 if there is none."""
    return self._saved_step

  @property
  def num_traces(self) -> int:
    """How often the train step was traced: 1 in a run that works as meant."""
    return self._train_step.experimental_get_tracing_count()

  def run(self) -> Outcome:
    """Trains until the end, or until a signal; saves in either case.

    Returns:
      How it ended.

    Raises:
      health.NonFiniteError: If a loss is not finite, or a variable that is to
        be saved. Nothing is saved then.
      health.SkippedStepsError: If too many steps were skipped.
    """
    experiment = self._experiment
    step = int(self.state.step.numpy())
    num_steps = experiment.num_steps
    line = progress.Progress(
        num_steps,
        experiment.steps_per_epoch,
        self._config.global_batch_size,
        silent=not distribution.is_chief(self._strategy),
    )
    calls = calls_lib.Calls(self._strategy, self._steps_per_loop)
    num_compilations = 0
    saved_after = 0.0
    row, epoch = tf.nest.map_structure(
        tf.convert_to_tensor, (self._sums['row'], self._sums['epoch'])
    )
    with (
        line,
        interruption.Interruption() as interrupted,
        summaries.Summaries(self._workdir.summaries, self._strategy) as board,
    ):
      while step < num_steps:
        size = min(calls.size, self._periods.next(step) - step)
        started = time.monotonic()
        row, taken = self._feed(self.state, row, step, size)
        step += int(taken)
        self._health.check(row, step, calls.seconds - saved_after)
        values = self._summarize(row)
        speed = line.update(step, values) * self._config.global_batch_size
        seconds = time.monotonic() - started
        if calls.is_warm:
          self._seconds += seconds
          self._steps_timed += int(taken)
        else:
          num_compilations = self._compilations()
        stop = calls.agree(seconds, size, interrupted.signal)
        if self._periods.is_row(step):
          self._log(board, step, 'train', {
              **values,
              'learning_rate': self._learning_rate(step),
              'images_per_second': round(speed, 1),
              **self._count_skipped(step, line),
          })
          epoch = tf.nest.map_structure(tf.add, epoch, row)
          row = self._zeros
        unsaved = calls.seconds - saved_after
        if self._periods.is_epoch_end(step):
          line.pause()
          self._warn_of_compilations(self._compilations() - num_compilations)
          if self._periods.is_validation(step):
            self._health.check_variables(step, unsaved)
            self._validate(board, step, self._summarize(epoch))
          epoch = self._zeros
          num_compilations = self._compilations()
          line.resume()
        is_due = unsaved >= CHECKPOINT_SECS
        if stop or self._periods.is_checkpoint(step, is_due):
          self._save(step, row, epoch, unsaved)
          saved_after = calls.seconds
        if stop:
          break
    if step == num_steps:
      self._health.check_trained(step)
    # One that came after the last step, in its validation or save, counts too.
    (signals,) = distribution.mean_over_workers(
        self._strategy, [float(interrupted.signal > 0)]
    )
    return Outcome(step, interrupted.signal or (signals > 0) * signal.SIGTERM)

  def evaluate(self, split: str) -> evaluation.Scored:
    """Scores a split with the current weights."""
    return self._evaluator.run(self.state, split)

  def result(self) -> dict[str, Any]:
    """Sums up the run so far, for result.json."""
    rows = [
        row
        for row in self._workdir.read_metrics()
        if row['split'] == 'validation'
    ]
    images = self._steps_timed * self._config.global_batch_size
    result = {
        'monitor': self._experiment.task.monitor,
        'num_steps': int(self.state.step.numpy()),
        'num_epochs': self._epochs(int(self.state.step.numpy())),
        'num_parameters': sum(
            v.shape.num_elements() for v in self.state.parameters.values()
        ),
        'num_train_step_traces': self.num_traces,
        'compiled': self.extent.name.lower(),
        'num_compilations': self._compilations(),
        'train_seconds': round(self._seconds, 3),
        'images_per_second': round(images / self._seconds, 1)
        if self._seconds
        else None,
        'num_train_examples': self._dataset.num_examples['train'],
    }
    if self.state.skipped is not None:
      result['skipped_steps'] = self._health.num_skipped()
    if rows:
      result['num_validation_examples'] = rows[-1]['num_examples']
      task = self._experiment.task
      result[f'validation_{task.monitor}'] = rows[-1][task.monitor]
      result['last_validation'] = rows[-1]
      # Of equals the earliest.
      best = max if task.direction == 'max' else min
      result['best_validation'] = best(rows, key=lambda r: r[task.monitor])
    return result

  def _check_same_step(self) -> None:
    """Checks that every worker restored the same checkpoint."""
    step = float(self.state.step.numpy())
    (mean,) = distribution.mean_over_workers(self._strategy, [step])
    if mean != step:
      raise programs.UserError(
          f'--workdir={self._workdir.path}: this worker is at step {step:g}, '
          'others are not; all workers need one shared directory.'
      )

  def _repeat(self, num_steps: int) -> None:
    """Takes steps from where the state is, and keeps nothing but the state."""
    step = int(self.state.step.numpy())
    end = step + num_steps
    while step < end:
      size = min(end, self._periods.next(step)) - step
      self._feed(self.state, self._zeros, step, size)
      step += size

  def _learning_rate(self, step: int) -> float:
    """Returns that of the last step that was taken: skipped ones move none."""
    taken = step - self._health.num_skipped()
    return float(self._experiment.schedule(max(taken - 1, 0)))

  def _count_skipped(
      self, step: int, line: progress.Progress
  ) -> dict[str, int]:
    """Counts the steps skipped since the last row, and says so."""
    counts = self._health.count_row()
    if any(counts.values()):
      line.clear()
      self._say(
          f'{counts["skipped_steps"]} step(s) up to step {step} were skipped: '
          'their gradients were not finite.'
      )
    return counts

  def _summarize(self, sums: training.Sums) -> dict[str, float]:
    if self.state.skipped is not None and not float(sums['weight']):
      return {}  # All was skipped: nothing was measured.
    return evaluation.scalars(
        training.summarize(self._experiment.train_metric, sums)
    )

  def _validate(
      self, board: summaries.Summaries, step: int, train: dict[str, float]
  ) -> None:
    rows = {'train': train}
    if 'validation' in self._dataset.num_examples:
      scored = self._evaluator.run(self.state, 'validation')
      self._log(board, step, 'validation', {
          **scored.values, 'num_examples': scored.num_examples,
      })
      rows['validation'] = scored.values
    headline = self._experiment.task.headline
    self._say(tables.validation(self._epochs(step), rows, headline) + '\n')

  def _warn_of_compilations(self, num: int) -> None:
    if num > 0:
      self._say(
          f'XLA compiled {num} more program(s) after the first step, seconds '
          'each: an operation has a shape that changes from step to step. '
          '--jit=off avoids it.\n'
      )

  def _log(
      self,
      board: summaries.Summaries,
      step: int,
      split: str,
      values: dict[str, float],
  ) -> None:
    self._workdir.append_metrics({
        'step': step,
        'epoch': self._epochs(step),
        'split': split,
        'wall_time': time.time(),
        **values,
    })
    board.write(step, split, values)

  def _save(
      self,
      step: int,
      row: training.Sums,
      epoch: training.Sums,
      unsaved_seconds: float,
  ) -> None:
    if step == self._saved_step:
      return
    tf.nest.map_structure(
        lambda variable, value: variable.assign(value),
        self._sums,
        {'row': row, 'epoch': epoch},
    )
    self._workdir.check_held()
    try:
      self._checkpointer.save(step)
    except checkpoints.NonFiniteError as error:
      self._health.check_variables(step, unsaved_seconds, error.names)
    self._saved_step = step
    self._workdir.saved(step)

  def _epochs(self, step: int) -> float:
    return round(step / self._experiment.steps_per_epoch, 4)


def _variable(value: tf.Tensor) -> tf.Variable:
  return tf.Variable(value, trainable=False)
