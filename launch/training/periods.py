"""The steps at which a run logs, validates and saves."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Periods:
  """Steps that are multiples of a period, and the last step of a run.

  Attributes:
    steps_per_epoch: The number of steps per epoch.
    num_steps: The number of steps of the run.
  """

  steps_per_epoch: int
  num_steps: int

  def next(self, step: int, period: int) -> int:
    """Returns the next multiple of a number of steps."""
    return min(step - step % period + period, self.num_steps)

  def next_epochs(self, step: int, num_epochs: int = 1) -> int:
    """Returns the end of the next multiple of a number of epochs."""
    return self.next(step, num_epochs * self.steps_per_epoch)

  def is_epoch_end(self, step: int) -> bool:
    """Returns whether a step is the last of an epoch or of the run."""
    return not step % self.steps_per_epoch or step == self.num_steps

  def epochs(self, step: int) -> float:
    """Converts a number of steps to epochs."""
    return round(step / self.steps_per_epoch, 4)
