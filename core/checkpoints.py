"""Checkpoints by variable name, which refuse what does not fit.

A checkpoint is a mapping of names to variables and nothing else, in
TensorFlow's format. Names, shapes and types are compared before anything is
read: there is no silent partial restore.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping

import tensorflow as tf

from . import distribution
from . import variables as variables_lib

_KEY = re.compile(r'^variables/(.*)/\.ATTRIBUTES/VARIABLE_VALUE$')


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


class Checkpointer:
  """Saves named variables step by step and keeps the last few checkpoints.

  With several workers each of them must make the same calls: all take part in
  reading the variables, the chief's files are kept, the others' are scratch.

  What is saved is finite: training cannot go on from anything else. A variable
  that stands for "no value yet" begins with the least finite number of its
  type, or with an integer, not with an infinity.
  """

  def __init__(
      self,
      directory: str,
      variables: Mapping[str, tf.Variable],
      *,
      max_to_keep: int = 3,
      strategy: tf.distribute.Strategy | None = None,
      optional: Collection[str] = (),
  ):
    """Opens, or starts, a directory of checkpoints.

    Args:
      directory: Where the checkpoints are. It is made by the first save.
      variables: What is saved, by name.
      max_to_keep: How many checkpoints are kept, the oldest going first; at
        least 1.
      strategy: The strategy that the variables were made under.
      optional: As for `restore`.

    Raises:
      ValueError: If max_to_keep is not positive.
      CheckpointError: If the list of checkpoints is damaged.
    """
    if max_to_keep < 1:
      raise ValueError(f'max_to_keep: expected at least 1, got {max_to_keep}.')
    self._directory = directory
    self._variables = dict(variables)
    self._optional = frozenset(optional)
    strategy = strategy or tf.distribute.get_strategy()
    self._strategy = strategy
    self._is_chief = distribution.is_chief(strategy)
    if not self._is_chief:
      worker = strategy.cluster_resolver.task_id
      directory = os.path.join(directory, f'scratch_of_worker_{worker}')
    self._scratch = directory
    latest(self._directory)  # The manager would take a damaged list for none.
    self._manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(variables=self._variables),
        directory,
        max_to_keep=max_to_keep,
    )

  def latest(self) -> str | None:
    """Returns the path of the newest checkpoint that was saved, or None.

    Raises:
      CheckpointError: If the list of checkpoints is damaged.
    """
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
    """
    _check_finite(self._variables, self._strategy)
    path = self._manager.save(checkpoint_number=step)
    if not self._is_chief:
      shutil.rmtree(self._scratch, ignore_errors=True)
    return path

  def restore(self, path: str | None = None) -> str | None:
    """Restores all variables, from the newest checkpoint or a given one.

    Args:
      path: The path of a checkpoint, by default the newest one.

    Returns:
      The path of what was restored; None if there is no checkpoint.

    Raises:
      CheckpointError: If a name, shape or type differs; nothing is read then.
    """
    path = path or self.latest()
    if path:
      restore(path, self._variables, optional=self._optional)
    return path


def latest(directory: str) -> str | None:
  """Returns the path of the newest checkpoint in a directory, or None.

  Args:
    directory: The directory of a `Checkpointer`.

  Returns:
    The path, as `restore` takes it.

  Raises:
    CheckpointError: If the list of checkpoints is damaged.
  """
  # Not tf.train.latest_checkpoint: it takes a checkpoint whose files are gone,
  # or whose list can not be read, for none, and the run would start anew
  # without a word.
  try:
    state = tf.train.get_checkpoint_state(directory)
  except UnicodeDecodeError:
    state = None
  listed = os.path.join(directory, 'checkpoint')
  if state is None and os.path.exists(listed):
    raise CheckpointError(f'{listed}: not a readable list of checkpoints.')
  return state.model_checkpoint_path if state else None


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
      _name_of(match[1]): tf.TensorSpec(shape, dtypes[key])
      for key, shape in reader.get_variable_to_shape_map().items()
      if (match := _KEY.match(key))
  }


def restore(
    path: str,
    variables: Mapping[str, tf.Variable],
    *,
    prefix: str = '',
    partial: bool = False,
    optional: Collection[str] = (),
) -> list[str]:
  """Restores variables by name.

  Args:
    path: The path of a checkpoint.
    variables: What to restore, by name.
    prefix: Names in the checkpoint that do not begin with it are not looked at;
      `model/` reads a model out of a train state's checkpoint.
    partial: Whether names that are on one side only are left alone. The shapes
      and types of those on both must agree in any case.
    optional: Names that the checkpoint may lack, as those of an older version
      do: these variables stay as they are then.

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
    ]
  if differences:
    raise CheckpointError(
        f'{path} does not fit the variables: {"; ".join(differences)}.'
    )
  if partial and not common:
    theirs = min(saved or contents(path), default='nothing')
    ours = min(variables, default='nothing')
    raise CheckpointError(
        f'{path} has none of the {len(variables)} variables: it names them '
        f'like {theirs}, not like {ours}.'
    )
  # All is read, and its checksums compared, before anything is assigned.
  with _damage_of(path):
    reader = tf.train.load_checkpoint(path)
    values = {name: reader.get_tensor(_key_of(name)) for name in common}
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
  except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
    reason = str(error).partition('\n')[0]
    raise CheckpointError(f'{path}: can not be read ({reason}).') from None


def _describe(spec: tf.TensorSpec | tf.Variable) -> str:
  return f'{spec.dtype.name} {spec.shape.as_list()}'


def _key_of(name: str) -> str:
  """Returns TensorFlow's key: `/` and `.` are escaped in those of mappings."""
  escaped = name.replace('.', '..').replace('/', '.S')
  return f'variables/{escaped}/.ATTRIBUTES/VARIABLE_VALUE'


def _name_of(key: str) -> str:
  """Undoes the escape of `_key_of`."""
  return re.sub(r'\.([S.])', lambda m: '/' if m[1] == 'S' else '.', key)
