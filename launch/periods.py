"""The steps at which a run logs, validates and saves."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Periods:
  """The steps at which something happens. The last one of a run is always one.

  Attributes:
    steps_per_epoch: The number of steps of an epoch.
    num_steps: The number of steps of the run.
  """

  steps_per_epoch: int
  num_steps: int

  def next(self, step: int, period: int) -> int:
    """Returns the next step that is a multiple of a period of steps."""
    return min(step - step % period + period, self.num_steps)

  def next_epochs(self, step: int, num_epochs: int = 1) -> int:
    """Returns the next end of so many epochs."""
    return self.next(step, num_epochs * self.steps_per_epoch)

  def is_epoch_end(self, step: int) -> bool:
    """Returns whether a step is the last of an epoch or of the run."""
    return not step % self.steps_per_epoch or step == self.num_steps

  def epochs(self, step: int) -> float:
    """Returns a number of steps in epochs."""
    return round(step / self.steps_per_epoch, 4)
