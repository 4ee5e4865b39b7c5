"""Rows of metrics for metrics.jsonl, TensorBoard and other hooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from core import training, variables

from .. import loop, workdir
from . import health as health_lib
from . import monitor as monitor_lib
from . import summaries

_LEAST_SHARE = 0.01  # The minimum share of the time worth reporting.


class MetricsWriter:
  """Writes rows, and keeps the floats of the last one for other hooks.

  Attributes:
    board: TensorBoard's files.
  """

  def __init__(
      self,
      directory: workdir.Workdir,
      board: summaries.Summaries,
      now: loop.Now,
      monitor: monitor_lib.Monitor | None,
  ):
    """Sets where rows go.

    Args:
      directory: The work directory.
      board: TensorBoard's files.
      now: The progress of the run; each row replaces its `values`.
      monitor: The metric that judges validations. If None, there are none.
    """
    self._directory = directory
    self.board = board
    self._now = now
    self._monitor = monitor
    self._best: Mapping[str, Any] | None = None

  def write(
      self,
      split: str,
      values: Mapping[str, float],
      weights_sha256: str | None = None,
  ) -> None:
    """Writes a row for the current step.

    Args:
      split: The split that was measured.
      values: Values by name, the same on every worker.
      weights_sha256: A hash of the weights, if known.
    """
    step = self._now.step
    row = {
        'step': step,
        'epoch': self._now.at.epochs(step),
        'split': split,
        'wall_time': time.time(),
        **values,
    }
    hashed = {'weights_sha256': weights_sha256} if weights_sha256 else {}
    self._directory.append_metrics(row | hashed)
    if self._monitor:
      self._best = self._monitor.best(filter(None, (self._best, row)))
    self.board.write(step, split, values)
    if split == 'train' and self._now.at.is_epoch_end(step):
      seconds = self._now.seconds_in
      least = _LEAST_SHARE * sum(seconds.values())
      self.board.write(
          step,
          split,
          {f'seconds/{k}': v for k, v in seconds.items() if v >= least},
      )
    self._now.values = {
        name: value
        for name, value in row.items()
        if isinstance(value, float) and name != 'wall_time'
    }

  def go_on(self) -> None:
    """Records the step that the run resumes from, and its rows."""
    self.board.start = self._now.step
    if self._monitor:
      self._best = self._monitor.best(self._directory.read_metrics())

  def best(self) -> tuple[str, float] | None:
    """Returns the name and the best value of the validations so far."""
    if self._best is None or self._monitor is None:
      return None
    return self._monitor.metric, self._best[self._monitor.metric]

  def close(self) -> None:
    """Closes TensorBoard's files."""
    self.board.close()


class Log(loop.Hook):
  """Writes a row at a period of steps and at the end of each epoch."""

  name = 'log'

  def __init__(
      self,
      now: loop.Now,
      writer: MetricsWriter,
      health: health_lib.Health,
      *,
      learning_rate: Callable[[int], float],
      global_batch_size: int,
      every_steps: int,
      digest: Callable[[], str],
      hash_every_steps: int = 0,
  ):
    """Creates the variables that hold sums in a checkpoint.

    Args:
      now: The progress of the run, with sums of zero.
      writer: Writes rows.
      health: Counts skipped steps.
      learning_rate: A function from a number of updates to the learning rate of
        the last of them.
      global_batch_size: The number of examples per step.
      every_steps: The steps between rows.
      digest: Hashes the weights.
      hash_every_steps: The steps between rows with such a hash, which may be
        additional rows; 0 disables hashes.
    """
    self._writer = writer
    self._now = now
    self._health = health
    self._zeros = zeros = now.sums
    self._learning_rate = learning_rate
    self._global_batch_size = global_batch_size
    self._every_steps = every_steps
    self._digest = digest
    self._hash_every_steps = hash_every_steps
    self._saved = {
        name: tf.nest.map_structure(_variable, zeros)
        for name in ('row', 'epoch')
    }
    self._epoch = zeros  # The sums of the rows so far in this epoch.
    self._is_epoch_over = False

  def named_variables(self) -> dict[str, tf.Variable]:
    """Returns the saved variables: a resumed run logs the same values."""
    return variables.named({'sums': self._saved})

  def go_on(self) -> None:
    """Continues with the restored sums."""
    self._now.sums, self._epoch = tf.nest.map_structure(
        tf.convert_to_tensor, (self._saved['row'], self._saved['epoch'])
    )
    self._is_epoch_over = self._now.is_cut_short
    self._writer.go_on()

  def next(self, step: int) -> int:
    """Returns the step of the next row."""
    at = self._now.at
    due = [at.next(step, self._every_steps), at.next_epochs(step)]
    if self._hash_every_steps:
      due.append(at.next(step, self._hash_every_steps))
    return min(due)

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Writes the row of the steps since the previous one."""
    speed = self._now.call_length.speed() * self._global_batch_size
    taken = step - self._health.num_skipped()  # The schedule ignores the rest.
    row = {
        **values,
        'learning_rate': self._learning_rate(taken),
        'examples_per_second': round(speed, 1),
        'images_per_second': round(speed, 1),  # Its former name.
        **self._count_skipped(step),
    }
    is_hashed = self._hash_every_steps and (
        not step % self._hash_every_steps or step == self._now.at.num_steps
    )
    self._writer.write('train', row, self._digest() if is_hashed else None)
    before = self._zeros if self._is_epoch_over else self._epoch
    self._epoch = tf.nest.map_structure(tf.add, before, self._now.sums)
    self._is_epoch_over = self._now.at.is_epoch_end(step)
    self._now.sums = self._zeros

  @property
  def board(self) -> summaries.Summaries:
    """TensorBoard's files."""
    return self._writer.board

  def epoch_sums(self) -> training.Sums:
    """Returns the sums of the rows so far in this epoch."""
    return self._epoch

  def before_save(self) -> None:
    """Assigns the sums so far to the saved variables."""
    is_over = self._is_epoch_over and not self._now.is_cut_short
    epoch = self._zeros if is_over else self._epoch
    tf.nest.map_structure(
        lambda variable, value: variable.assign(value),
        self._saved,
        {'row': self._now.sums, 'epoch': epoch},
    )

  def close(self) -> None:
    """Closes the files."""
    self._writer.close()

  def _count_skipped(self, step: int) -> dict[str, int]:
    """Counts, and reports, the steps skipped since the last row."""
    counts = self._health.count_row()
    if any(counts.values()):
      self._now.say(
          f'{counts["skipped_steps"]} step(s) up to step {step} were skipped: '
          'their gradients were not finite.'
      )
    return counts


def _variable(value: tf.Tensor) -> tf.Variable:
  return tf.Variable(value, trainable=False)
