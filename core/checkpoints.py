"""Checkpoints by variable name that refuse to restore what does not match.

A checkpoint is a mapping of names to variables in TensorFlow's format. Names,
shapes and dtypes are compared before any value is read, so there is no silent
partial restore.

The files determine which checkpoints exist; TensorFlow's list of them, the file
`checkpoint`, may be lost or damaged. Each checkpoint has a manifest with the
size and the SHA-256 of each file, verified before the file is read.
"""

from __future__ import annotations

import concurrent.futures
import functools
import operator
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from . import background as background_lib
from . import (
    checkpoint_contents,
    checkpoint_errors,
    checkpoint_files,
    checks,
    distribution,
    workers,
)
from . import variables as variables_lib

# The directory in which a checkpoint is written before it is published.
_UNFINISHED = 'unfinished'

CheckpointError = checkpoint_errors.CheckpointError
NonFiniteError = checkpoint_errors.NonFiniteError
DamagedError = checkpoint_errors.DamagedError
MissingError = checkpoint_errors.MissingError
SaveError = checkpoint_errors.SaveError
contents = checkpoint_contents.contents
restore = checkpoint_contents.restore


class Checkpointer:
  """Saves named variables at given steps and keeps the last few checkpoints.

  Nothing in the directory changes before the first `save`, which renames the
  checkpoints that `restore` found damaged to names that begin with `damaged-`,
  and removes the leftovers of a process that was killed while saving.

  All workers must make the same calls: each takes part in reading the
  variables, and the chief writes the files.

  With a `background`, `save` returns once the variables have been copied, and
  the files are written during training, one checkpoint at a time; a save waits
  for the previous one. If a checkpoint could not be written, the next `save`,
  `poll` or `wait` raises its SaveError.

  Only finite values are saved, because training cannot continue from others. A
  variable that means "no value yet" must start from the lowest finite number of
  its dtype, or from an integer, instead of an infinity.

  Attributes:
    damaged: Checkpoints that the last `restore` skipped, newest first.
    saved_step: The step of the last complete checkpoint saved here, or None.
  """

  def __init__(
      self,
      directory: str,
      variables: Mapping[str, tf.Variable],
      *,
      max_to_keep: int = 3,
      strategy: tf.distribute.Strategy | None = None,
      optional: Collection[str] = (),
      ignored: tuple[str, ...] = (),
      background: background_lib.Background | None = None,
  ):
    """Opens a directory of checkpoints, which need not exist yet.

    Args:
      directory: The directory, created by the first save.
      variables: The variables to save, by name.
      max_to_keep: The number of most recent checkpoints to keep, at least 1.
      strategy: The strategy under which the variables were created.
      optional: As for `restore`.
      ignored: As for `restore`.
      background: The thread that writes the files, which several checkpointers
        may share; it writes in the order of the calls. Default: `save` returns
        once everything is written.

    Raises:
      ValueError: If max_to_keep is not positive.
    """
    checks.size('max_to_keep', max_to_keep)
    self._directory = directory
    self._variables = dict(variables)
    self._allowed: dict[str, Any] = {'optional': optional, 'ignored': ignored}
    self._max_to_keep = max_to_keep
    strategy = strategy or tf.distribute.get_strategy()
    self._strategy = strategy
    self._is_chief = distribution.is_chief(strategy)
    self._scratch = os.path.join(directory, _UNFINISHED)
    self._is_asynchronous = background is not None
    self._background = background or background_lib.Background()
    # The step of the last save, which may still be incomplete.
    self._begun: int | None = None
    self._writing: concurrent.futures.Future[None] | None = None
    self.saved_step: int | None = None
    self.damaged: Sequence[DamagedError] = ()

  def latest(self) -> str | None:
    """Returns the path of the newest saved checkpoint, or None."""
    return latest(self._directory)

  def copy(self) -> dict[str, np.ndarray]:
    """Returns copies of the variables' values in host memory, for `save`."""
    return {name: each.numpy() for name, each in self._variables.items()}

  def save(
      self, step: int, values: Mapping[str, np.ndarray] | None = None
  ) -> str:
    """Saves the variables; readers see the whole checkpoint or none of it.

    Args:
      step: The step number in the checkpoint's name, at least 0.
      values: The values to save, as returned by `copy`. Default: the current
        values of the variables.

    Returns:
      The path of the checkpoint.

    Raises:
      ValueError, TypeError: If the step is not an integer of at least 0.
      NonFiniteError: If a floating-point variable is not finite on any worker.
        Nothing is written.
      SaveError: If the files cannot be written. Earlier checkpoints are kept.
    """
    checks.size('step', step, low=0)
    step = operator.index(step)
    if self._writing:
      concurrent.futures.wait([self._writing])
    self._background.poll()
    if values is None:
      self._check_finite(variables_lib.non_finite(self._variables))
    else:
      self._check_finite([
          name
          for name, variable in self._variables.items()
          if variable.dtype.is_floating and not np.isfinite(values[name]).all()
      ])
    self._trust_the_chief()
    path = os.path.join(self._directory, f'ckpt-{step}')
    values = dict(self.copy() if values is None else values)
    damaged, self.damaged = self.damaged, ()
    self._begun = step
    if self._is_chief:
      self._writing = self._background.run(
          functools.partial(self._write, path, step, values, damaged)
      )
    if not self._is_asynchronous:
      self._background.close()
      self._background.poll()
      self._trust_the_chief()
    return path

  def poll(self) -> int | None:
    """Returns `saved_step` without waiting.

    Workers other than the chief update it only in `save`, `wait` or `restore`.

    Raises:
      SaveError: If the files could not be written.
    """
    self._background.poll()
    return self.saved_step

  def wait(self, *, alone: bool = False) -> int | None:
    """Waits until the last save is complete, and returns `saved_step`.

    Args:
      alone: Whether other workers may omit this call. `saved_step` is then
        updated on the chief only.

    Raises:
      SaveError: If the files could not be written.
    """
    self._background.wait()
    if not alone and self._begun is not None:
      workers.gather(self._strategy, [0])
      self._trust_the_chief()
    return self.saved_step

  def close(self) -> None:
    """Waits until the last save is complete and stops the thread.

    Removes the leftovers of a process that was killed after its last save.
    Raises the errors of `poll`; a later `save` starts a new thread.
    """
    self._background.close()
    if self._is_chief:
      shutil.rmtree(self._scratch, ignore_errors=True)

  def restore(self, path: str | None = None) -> str | None:
    """Restores all variables from a given or the newest intact checkpoint.

    Args:
      path: The path of a checkpoint. Default: the newest intact one.

    Returns:
      The path of the restored checkpoint, or None if there is none.

    Raises:
      CheckpointError: If a name, shape or dtype differs, or no checkpoint can
        be read. Nothing is assigned.
      SaveError: If the files of the last `save` could not be written.
    """
    self.wait()
    if path:
      self._read(path)
      return path
    path, self.damaged = newest_whole(self._directory, self._read)
    return path

  def _check_finite(self, names: list[str]) -> None:
    """Raises on all workers if a variable of any of them is not finite."""
    counts = workers.gather(self._strategy, [len(names)])
    if any(count for (count,) in counts):
      raise NonFiniteError(names)

  def _trust_the_chief(self) -> None:
    """Records the last save as complete: the chief has waited for its files."""
    if not self._is_chief:
      self.saved_step = self._begun

  def _read(self, path: str) -> None:
    restore(path, self._variables, **self._allowed)

  def _write(
      self,
      path: str,
      step: int,
      values: dict[str, np.ndarray],
      damaged: Sequence[DamagedError],
  ) -> None:
    with checkpoint_errors.writing(path):
      try:
        shutil.rmtree(self._scratch, ignore_errors=True)
        for each in damaged:
          checkpoint_files.set_aside(each.path)
        checkpoint_files.remove_unfinished(self._directory)
        os.makedirs(self._scratch, exist_ok=True)
        with tf.device('CPU'):
          kept = {  # Frees each array once it is copied.
              name: tf.Variable(values.pop(name), trainable=False)
              for name in list(values)
          }
        written = tf.train.Checkpoint(variables=kept).write(
            os.path.join(self._scratch, os.path.basename(path))
        )
        checkpoint_files.publish(written, path, self._max_to_keep)
      finally:
        shutil.rmtree(self._scratch, ignore_errors=True)
    self.saved_step = step


def latest(directory: str) -> str | None:
  """Returns the path of the newest checkpoint in a directory, or None.

  Args:
    directory: The directory of a `Checkpointer`.

  Returns:
    The path. Unlike that of `newest_whole`, the checkpoint may be damaged.
  """
  return next(iter(checkpoint_files.ordered(directory)), None)


def newest_whole(
    directory: str, read: Callable[[str], object] | None = None
) -> tuple[str | None, Sequence[DamagedError]]:
  """Finds the newest checkpoint whose files are intact.

  Args:
    directory: The directory of a `Checkpointer`.
    read: A function that reads the checkpoint at a path or raises DamagedError,
      like `restore`. Default: reads everything and verifies the hashes.

  Returns:
    The path, or None if there is no checkpoint, and the damaged newer ones.

  Raises:
    CheckpointError: If there are checkpoints but none is intact.
  """
  damaged: list[DamagedError] = []
  for path in checkpoint_files.ordered(directory):
    try:
      (read or checkpoint_contents.read)(path)
    except DamagedError as error:
      damaged.append(error)
      continue
    return path, damaged
  if damaged:
    names = ', '.join(os.path.basename(each.path) for each in damaged)
    raise CheckpointError(
        f'{directory}: no checkpoint can be read: {names} '
        f'({damaged[0].reason}); restore one from a backup.'
    )
  return None, ()
