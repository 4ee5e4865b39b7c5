"""Scores the validation split during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from core import variables

from .. import loop, tables
from ..evaluating import evaluation
from . import health as health_lib
from . import metrics_writer


class Validation(loop.Hook):
  """Scores the validation split every `every_epochs` epochs.

  Without such a split, it only shows the training values.
  """

  name = 'validation'
  listens = True

  def __init__(
      self,
      now: loop.Now,
      score: Callable[[], evaluation.Scored] | None,
      writer: metrics_writer.MetricsWriter,
      log: metrics_writer.Log,
      health: health_lib.Health,
      *,
      every_epochs: int,
      headline: Sequence[str] = (),
  ):
    """Sets what is scored, and where the values go.

    Args:
      now: The progress of the run.
      score: Scores the validation split. If None, there is none.
      writer: Writes rows.
      log: Has the sums of the epoch.
      health: Checks the weights before they are scored.
      every_epochs: The number of epochs between validations.
      headline: The values to show. Default: the first few.
    """
    self._headline = headline
    self._now = now
    self._score = score
    self._writer = writer
    self._log = log
    self._health = health
    self._every_epochs = every_epochs
    self._is_cut_short = tf.Variable(0, dtype=tf.int64, trainable=False)

  def named_variables(self) -> dict[str, tf.Variable]:
    """Returns the saved state of a validation that a signal interrupted."""
    return variables.named({'validation': {'is_cut_short': self._is_cut_short}})

  def go_on(self) -> None:
    """Takes over the restored state."""
    self._now.is_cut_short = bool(self._is_cut_short.numpy())

  def before_save(self) -> None:
    """Records whether the validation of this step was interrupted."""
    self._is_cut_short.assign(int(self._now.is_cut_short))

  def next(self, step: int) -> int:
    """Returns the step of the next validation."""
    return self._now.at.next_epochs(step, self._every_epochs)

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Validates."""
    self._health.check_variables(step)
    table = {'train': self._now.measure(self._log.epoch_sums())}
    if self._score:
      scored = self._score()
      table['validation'] = scored.values
      self._writer.write(
          'validation', {**scored.values, 'num_examples': scored.num_examples}
      )
    text = tables.validation(self._now.at.epochs(step), table, self._headline)
    self._now.say(f'{text}\n')
