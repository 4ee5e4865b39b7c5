"""When a run logs, validates and saves."""

from __future__ import annotations

import dataclasses

from . import config as config_lib


@dataclasses.dataclass(frozen=True)
class Periods:
  """The steps at which anything but training happens.

  Attributes:
    config: The config of the run.
    steps_per_epoch: The number of steps of an epoch.
    num_steps: The number of steps of the run.
  """

  config: config_lib.Config
  steps_per_epoch: int
  num_steps: int

  def next(self, step: int) -> int:
    """Returns the next step at which anything but training happens."""
    periods = [
        self.config.log_every_steps,
        self.steps_per_epoch,
        self.config.checkpoint_every_steps or self.num_steps,
    ]
    return min(
        self.num_steps, *(step - step % period + period for period in periods)
    )

  def is_row(self, step: int) -> bool:
    """Returns whether a row of metrics is logged after a step."""
    return not step % self.config.log_every_steps or self.is_epoch_end(step)

  def is_epoch_end(self, step: int) -> bool:
    """Returns whether a step is the last of an epoch or of the run."""
    return not step % self.steps_per_epoch or step == self.num_steps

  def is_validation(self, step: int) -> bool:
    """Returns whether to validate after the last step of an epoch."""
    epoch = step // self.steps_per_epoch
    return not epoch % self.config.eval_every_epochs or step == self.num_steps

  def is_checkpoint(self, step: int, is_due: bool) -> bool:
    """Returns whether to save after a step.

    Args:
      step: The step.
      is_due: Whether the last checkpoint is old enough, for a run without a
        period of steps.
    """
    if step == self.num_steps:
      return True
    if self.config.checkpoint_every_steps:
      return not step % self.config.checkpoint_every_steps
    return is_due and self.is_epoch_end(step)
