"""Saves checkpoints.

Unless `--noasync_checkpoints` is given, files are written while training goes
on: a step waits only for a copy of the state, and for the previous checkpoint
if that is still being written. Completed writes are noticed after the next call
of the graph.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

from core import checkpoints

from .. import loop, workdir
from . import health as health_lib

# Minimum time between checkpoints without a period of steps: an epoch of a
# small network takes less time than writing a checkpoint.
CHECKPOINT_SECS = 10.0


class Saving(loop.Hook):
  """Saves at a period of steps or at ends of epochs, and at the end."""

  name = 'saving'

  def __init__(
      self,
      now: loop.Now,
      checkpointer: checkpoints.Checkpointer,
      directory: workdir.Workdir,
      hooks: Sequence[loop.Hook],
      health: health_lib.Health,
      *,
      every_steps: int | None,
  ):
    """Sets what is saved, and when.

    Args:
      now: The progress of the run.
      checkpointer: Saves the variables.
      directory: The work directory.
      hooks: All other hooks, which are notified before it saves.
      health: Explains variables that are not finite.
      every_steps: The steps between checkpoints. If None, it saves at the end
        of an epoch, if enough time has passed since the last checkpoint.
    """
    self._now = now
    self._checkpointer = checkpointer
    self._directory = directory
    self._hooks = hooks
    self._health = health
    self._every_steps = every_steps
    self._begun = now.saved_step, now.is_cut_short
    # Of this process only: the restored checkpoint may be saved again.
    self._noted: int | None = None

  def next(self, step: int) -> int:
    """Returns the next step after which to save."""
    if self._every_steps:
      return self._now.at.next(step, self._every_steps)
    return self._now.at.next_epochs(step)

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Saves, if it is time."""
    if self._every_steps or self._now.unsaved_secs >= CHECKPOINT_SECS:
      self._save(step)

  def end(self, step: int) -> None:
    """Saves the last step, and waits until it is on disk."""
    self._save(step)
    self.settle()

  def close(self) -> None:
    """Waits for pending writes; raises the first of several errors."""
    self._checkpointer.close()
    with contextlib.suppress(OSError):
      self.look()

  def settle(self, *, alone: bool = False) -> None:
    """Waits until pending checkpoints are on disk; see `loop.Now.settle`."""
    self._note(self._checkpointer.wait(alone=alone))

  def look(self) -> None:
    """Notices completed writes.

    Raises:
      OSError: If a write failed.
    """
    self._note(self._checkpointer.poll())

  def _note(self, step: int | None) -> None:
    if step is not None and step != self._noted:
      self._noted = self._now.saved_step = step
      self._directory.saved(step)

  def _save(self, step: int) -> None:
    if (step, self._now.is_cut_short) == self._begun:
      return
    self._directory.check_held()
    self.settle(alone=True)
    for hook in self._hooks:
      hook.before_save()
    stopped = self._now.stopped
    self._directory.saving(dataclasses.asdict(stopped) if stopped else None)
    try:
      self._checkpointer.save(step)
    except checkpoints.NonFiniteError as error:
      self._health.check_variables(step, error.names)
    self._begun = step, self._now.is_cut_short
    self._now.unsaved_secs = 0.0
    self.look()


class Looking(loop.Hook):
  """Notices completed checkpoints after each call of the graph."""

  name = 'looking'

  def __init__(self, saving: Saving):
    """Sets the hook that saves."""
    self._saving = saving

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Notices completed writes."""
    self._saving.look()
