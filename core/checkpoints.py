"""Checkpoints by variable name, which refuse what does not fit.

A checkpoint is a mapping of names to variables and nothing else, in
TensorFlow's format. Names, shapes and types are compared before anything is
read: there is no silent partial restore.

The files decide which checkpoints there are; TensorFlow's list of them, the
file `checkpoint`, may be lost or damaged. Each checkpoint has a manifest with
the size and the SHA-256 of its files, which are compared before they are read.
"""

from __future__ import annotations

import concurrent.futures
import functools
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

# Where a checkpoint is written before it gets its name.
_UNFINISHED = 'unfinished'

CheckpointError = checkpoint_errors.CheckpointError
NonFiniteError = checkpoint_errors.NonFiniteError
DamagedError = checkpoint_errors.DamagedError
SaveError = checkpoint_errors.SaveError
contents = checkpoint_contents.contents
restore = checkpoint_contents.restore


class Checkpointer:
  """Saves named variables step by step and keeps the last few checkpoints.

  Nothing in the directory is changed before the first `save`. That one moves
  the checkpoints that `restore` found damaged aside, to names that begin with
  `damaged-`, and clears what a process that was killed left unfinished.

  With several workers each of them must make the same calls: all take part in
  reading the variables, and the chief writes.

  Given a `background`, `save` returns once the variables are copied, and files
  are written while training goes on, one checkpoint at a time: a save waits for
  the one before. If a checkpoint could not be written, the next `save`, `poll`
  or `wait` raises its SaveError.

  What is saved is finite: training cannot go on from anything else. A variable
  that stands for "no value yet" begins with the least finite number of its
  type, or with an integer, not with an infinity.

  Attributes:
    damaged: The damaged checkpoints that the last `restore` passed over, from
      the newest on.
    saved_step: The step of the last checkpoint that was saved here and is
      complete; None if there is none yet.
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
    """Opens, or starts, a directory of checkpoints.

    Args:
      directory: Where the checkpoints are. It is made by the first save.
      variables: What is saved, by name.
      max_to_keep: How many checkpoints are kept, the oldest going first; at
        least 1.
      strategy: The strategy that the variables were made under.
      optional: As for `restore`.
      ignored: As for `restore`.
      background: Writes the files; several may share one, which writes in the
        order of the calls. Default: `save` returns once all is written.

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
    # What was saved last, whether or not it is complete.
    self._begun: int | None = None
    self._writing: concurrent.futures.Future[None] | None = None
    self.saved_step: int | None = None
    self.damaged: Sequence[DamagedError] = ()

  def latest(self) -> str | None:
    """Returns the path of the newest checkpoint that was saved, or None."""
    return latest(self._directory)

  def copy(self) -> dict[str, np.ndarray]:
    """Copies the values of the variables into the memory of the host.

    Returns:
      The values by name, for a later `save`.
    """
    return {name: each.numpy() for name, each in self._variables.items()}

  def save(
      self, step: int, values: Mapping[str, np.ndarray] | None = None
  ) -> str:
    """Saves the variables; a reader sees the whole checkpoint or none of it.

    Args:
      step: The number in the checkpoint's name.
      values: What `copy` returned, to save that. Default: the values that the
        variables have now.

    Returns:
      The path of the checkpoint.

    Raises:
      NonFiniteError: If a floating-point variable is not finite, on any worker.
        Nothing is written then.
      SaveError: If the files cannot be written; those before are untouched.
    """
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
    """Checks, without waiting, whether what was saved is complete.

    Returns:
      `saved_step`. Workers other than the chief learn of a checkpoint by the
      next `save`, `wait` or `restore`.

    Raises:
      SaveError: If the files could not be written.
    """
    self._background.poll()
    return self.saved_step

  def wait(self, *, alone: bool = False) -> int | None:
    """Waits until what was saved is complete.

    Args:
      alone: Whether other workers need not make this call. `saved_step` then
        stays as it is on all but the chief.

    Returns:
      `saved_step`.

    Raises:
      SaveError: If the files could not be written.
    """
    self._background.wait()
    if not alone and self._begun is not None:
      workers.gather(self._strategy, [0])
      self._trust_the_chief()
    return self.saved_step

  def close(self) -> None:
    """Waits until what was saved is complete, and ends the thread.

    Clears what a process left that was killed after its last save. Errors are
    those of `poll`; a later `save` begins another thread.
    """
    self._background.close()
    if self._is_chief:
      shutil.rmtree(self._scratch, ignore_errors=True)

  def restore(self, path: str | None = None) -> str | None:
    """Restores all variables, from the newest whole checkpoint or a given one.

    Args:
      path: The path of a checkpoint. Default: the newest whole one.

    Returns:
      The path of what was restored; None if there is no checkpoint.

    Raises:
      CheckpointError: If a name, shape or type differs, or no checkpoint can be
        read; nothing is assigned then.
      SaveError: If the files of the last `save` could not be written.
    """
    self.wait()
    if path:
      self._read(path)
      return path
    path, self.damaged = newest_whole(self._directory, self._read)
    return path

  def _check_finite(self, names: list[str]) -> None:
    """Refuses what no training can go on from, on all workers alike."""
    counts = workers.gather(self._strategy, [len(names)])
    if any(count for (count,) in counts):
      raise NonFiniteError(names)

  def _trust_the_chief(self) -> None:
    """Takes the last save for complete: the chief has waited for its files."""
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
    """Moves what is damaged out of the way, then writes a checkpoint."""
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
    The path, as `restore` takes it. The checkpoint may be damaged:
    `newest_whole` reads it.
  """
  return next(iter(checkpoint_files.ordered(directory)), None)


def newest_whole(
    directory: str, read: Callable[[str], object] | None = None
) -> tuple[str | None, Sequence[DamagedError]]:
  """Finds the newest checkpoint whose files are whole.

  Args:
    directory: The directory of a `Checkpointer`.
    read: Reads the checkpoint of a path, or raises DamagedError, as `restore`
      does. Default: all of it is read and compared with its hashes.

  Returns:
    The path, or None if there is no checkpoint, and the damaged checkpoints
    that are newer.

  Raises:
    CheckpointError: If there are checkpoints and none of them is whole.
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
        f'({damaged[0].reason}); bring one back from a copy.'
    )
  return None, ()
