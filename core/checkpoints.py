"""Checkpoints by variable name, which refuse what does not fit.

A checkpoint is a mapping of names to variables and nothing else, in
TensorFlow's format. Names, shapes and types are compared before anything is
read: there is no silent partial restore.

The files decide which checkpoints there are; the list that TensorFlow keeps
beside them, `checkpoint`, may be lost or damaged.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from . import checkpoint_files, distribution
from . import variables as variables_lib

# Where a checkpoint is written before it gets its name.
_UNFINISHED = 'unfinished'
# These say nothing about the files: reading them may succeed the next time.
_NO_DAMAGE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)
# What a full, missing or forbidden disk raises. Other errors are those of
# workers that were lost.
_DISK = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnknownError,
)


class CheckpointError(ValueError):
  """A checkpoint that is missing, unreadable, or does not fit the variables."""


class NonFiniteError(CheckpointError):
  """Nothing was saved, because a variable holds a NaN or an infinity.

  Attributes:
    names: The names of the variables; none if they are another worker's.
  """

  def __init__(self, names: list[str]):
    """Names the variables."""
    super().__init__(
        'these variables are not finite: '
        f'{", ".join(names) or "those of another worker"}; nothing was saved.'
    )
    self.names = names


class DamagedError(CheckpointError):
  """A checkpoint whose files are missing, cut off, or fail their checksums.

  Attributes:
    path: The path of the checkpoint.
    reason: What TensorFlow says of it.
  """

  def __init__(self, path: str, reason: str):
    """Names the checkpoint and what is wrong with it."""
    super().__init__(f'{path}: cannot be read ({reason}).')
    self.path = path
    self.reason = reason


class SaveError(OSError):
  """A checkpoint could not be written, as on a full disk."""


class Checkpointer:
  """Saves named variables step by step and keeps the last few checkpoints.

  Nothing in the directory is changed before the first `save`. That one moves
  the checkpoints that `restore` found damaged aside, to names that begin with
  `damaged-`, and clears what a process that was killed left unfinished.

  With several workers each of them must make the same calls: all take part in
  reading the variables, the chief's files are kept, the others' are scratch.

  What is saved is finite: training cannot go on from anything else. A variable
  that stands for "no value yet" begins with the least finite number of its
  type, or with an integer, not with an infinity.

  Attributes:
    damaged: The damaged checkpoints that the last `restore` passed over, from
      the newest on.
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

    Raises:
      ValueError: If max_to_keep is not positive.
    """
    if max_to_keep < 1:
      raise ValueError(f'max_to_keep: expected at least 1, got {max_to_keep}.')
    self._directory = directory
    self._variables = dict(variables)
    self._allowed: dict[str, Any] = {'optional': optional, 'ignored': ignored}
    self._max_to_keep = max_to_keep
    strategy = strategy or tf.distribute.get_strategy()
    self._strategy = strategy
    self._is_chief = distribution.is_chief(strategy)
    name = _UNFINISHED
    if not self._is_chief:
      name = f'scratch_of_worker_{strategy.cluster_resolver.task_id}'
    self._scratch = os.path.join(directory, name)
    self._checkpoint = tf.train.Checkpoint(variables=self._variables)
    self.damaged: Sequence[DamagedError] = ()

  def latest(self) -> str | None:
    """Returns the path of the newest checkpoint that was saved, or None."""
    return latest(self._directory)

  def save(self, step: int) -> str:
    """Saves the variables; a reader sees the whole checkpoint or none of it.

    Args:
      step: The number in the checkpoint's name.

    Returns:
      The path of the checkpoint.

    Raises:
      NonFiniteError: If a floating-point variable is not finite, on any worker.
        Nothing is written then.
      SaveError: If the files cannot be written; those before are untouched.
    """
    _check_finite(self._variables, self._strategy)
    path = os.path.join(self._directory, f'ckpt-{step}')
    try:
      self._clear()
      os.makedirs(self._scratch, exist_ok=True)
      written = self._checkpoint.write(
          os.path.join(self._scratch, os.path.basename(path))
      )
      if self._is_chief:
        checkpoint_files.publish(written, path, self._max_to_keep)
    except (*_DISK, OSError) as error:
      # TensorFlow names a temporary file first.
      reason = _reason(error).rpartition('; ')[2]
      raise SaveError(f'{path}: {reason}') from None
    finally:
      shutil.rmtree(self._scratch, ignore_errors=True)
    return path

  def restore(self, path: str | None = None) -> str | None:
    """Restores all variables, from the newest whole checkpoint or a given one.

    Args:
      path: The path of a checkpoint. Default: the newest whole one.

    Returns:
      The path of what was restored; None if there is no checkpoint.

    Raises:
      CheckpointError: If a name, shape or type differs, or no checkpoint can be
        read; nothing is assigned then.
    """
    if path:
      self._read(path)
      return path
    path, self.damaged = newest_whole(self._directory, self._read)
    return path

  def _read(self, path: str) -> None:
    restore(path, self._variables, **self._allowed)

  def _clear(self) -> None:
    """Removes what is unfinished, and moves what is damaged out of the way."""
    shutil.rmtree(self._scratch, ignore_errors=True)
    if self._is_chief:
      checkpoint_files.remove_temporary(self._directory)
      for each in self.damaged:
        checkpoint_files.set_aside(each.path)
    self.damaged = ()


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
    read: Reads the checkpoint of a path, and raises DamagedError. Default: all
      of it is read and its checksums are compared.

  Returns:
    The path, or None if there is no checkpoint, and the damaged checkpoints
    that are newer.

  Raises:
    CheckpointError: If there are checkpoints and none of them is whole.
  """
  damaged: list[DamagedError] = []
  for path in checkpoint_files.ordered(directory):
    try:
      (read or _read_all)(path)
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


def contents(path: str) -> dict[str, tf.TensorSpec]:
  """Reads what a checkpoint holds.

  Args:
    path: The path of a checkpoint, as `Checkpointer.save` returns it.

  Returns:
    Shape and type of each variable by name.

  Raises:
    CheckpointError: If there is no checkpoint, or it is damaged.
  """
  with _damage_of(path):
    reader = tf.train.load_checkpoint(path)
    dtypes = reader.get_variable_to_dtype_map()
    return {
        name: tf.TensorSpec(shape, dtypes[key])
        for key, shape in reader.get_variable_to_shape_map().items()
        if (name := checkpoint_files.name_of(key)) is not None
    }


def restore(
    path: str,
    variables: Mapping[str, tf.Variable],
    *,
    prefix: str = '',
    partial: bool = False,
    optional: Collection[str] = (),
    ignored: tuple[str, ...] = (),
) -> list[str]:
  """Restores variables by name.

  Args:
    path: The path of a checkpoint.
    variables: What to restore, by name.
    prefix: Names in the checkpoint that do not begin with it are not looked at;
      `model/` reads a model out of a train state's checkpoint.
    partial: Whether names that are on one side only are left alone. The shapes
      and types of those on both must agree in any case, and there must be
      some.
    optional: Names that the checkpoint may lack, as those of an older version
      do: these variables stay as they are then.
    ignored: What the names begin with that may be in the checkpoint alone, as
      those of a part that a run has no more: they are left alone then.

  Returns:
    The names that were restored.

  Raises:
    CheckpointError: If the checkpoint does not fit; it lists what differs. Also
      if `partial` leaves nothing to restore.
  """
  saved = {
      name: spec
      for name, spec in contents(path).items()
      if name.startswith(prefix)
  }
  common = sorted(saved.keys() & variables.keys())
  differences = [
      f'{name} is {_describe(saved[name])} in the checkpoint and '
      f'{_describe(variables[name])} here'
      for name in common
      if _describe(saved[name]) != _describe(variables[name])
  ]
  if not partial:
    differences += [
        f'{name} is not in the checkpoint'
        for name in sorted(variables.keys() - saved.keys() - set(optional))
    ]
    differences += [
        f'{name} is only in the checkpoint'
        for name in sorted(saved.keys() - variables.keys())
        if not name.startswith(ignored)
    ]
  if not common and not differences:
    differences = [
        f'no name is on both sides; the checkpoint has {_some(saved)} and '
        f'here is {_some(variables)}'
    ]
  if differences:
    raise CheckpointError(
        f'{path} does not fit the variables: {"; ".join(differences)}.'
    )
  # All is read, and its checksums compared, before anything is assigned.
  with _damage_of(path):
    reader = tf.train.load_checkpoint(path)
    values = {
        name: reader.get_tensor(checkpoint_files.key_of(name))
        for name in common
    }
  for name, value in values.items():
    variables[name].assign(value)
  return common


def _check_finite(
    variables: Mapping[str, tf.Variable], strategy: tf.distribute.Strategy
) -> None:
  """Refuses what no training can go on from, on all workers alike."""
  names = variables_lib.non_finite(variables)
  (share,) = distribution.mean_over_workers(strategy, [float(bool(names))])
  if share:
    raise NonFiniteError(names)


@contextlib.contextmanager
def _damage_of(path: str) -> Iterator[None]:
  """Turns what TensorFlow raises for a damaged file into one line."""
  try:
    yield
  except _NO_DAMAGE as error:
    raise CheckpointError(
        f'{path}: cannot be read now ({_reason(error)}).'
    ) from None
  except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
    raise DamagedError(path, _reason(error)) from None


def _reason(error: Exception) -> str:
  """Returns what an error says, in one line without TensorFlow's notes."""
  text = re.sub(r'^\{\{.*?\}\} |\n(.|\n)*| \[Op:.*', '', str(error).strip())
  return text or type(error).__name__


def _read_all(path: str) -> None:
  """Reads all variables of a checkpoint, which compares their checksums."""
  names = contents(path)
  with _damage_of(path):
    reader = tf.train.load_checkpoint(path)
    for name in names:
      reader.get_tensor(checkpoint_files.key_of(name))


def _some(names: Mapping[str, object]) -> str:
  return next(iter(sorted(names)), 'nothing')


def _describe(spec: tf.TensorSpec | tf.Variable) -> str:
  return f'{spec.dtype.name} {spec.shape.as_list()}'
