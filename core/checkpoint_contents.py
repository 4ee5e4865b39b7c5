"""Lists the variables in a checkpoint, and restores variables by name."""

from __future__ import annotations

import glob
from collections.abc import Collection, Mapping

import tensorflow as tf

from . import checkpoint_errors, checkpoint_files, checkpoint_manifests


def contents(path: str) -> dict[str, tf.TensorSpec]:
  """Lists the variables in a checkpoint.

  Args:
    path: The path of a checkpoint, as `Checkpointer.save` returns it.

  Returns:
    The shape and dtype of each variable by name.

  Raises:
    CheckpointError: If the checkpoint does not exist or is damaged.
  """
  _check_exists(path)
  with checkpoint_errors.reading(path):
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
    prefix: str | tuple[str, ...] = '',
    partial: bool = False,
    optional: Collection[str] = (),
    ignored: tuple[str, ...] = (),
) -> list[str]:
  """Restores variables by name.

  Args:
    path: The path of a checkpoint.
    variables: The variables to restore, by name.
    prefix: Only names in the checkpoint with this prefix, or one of several,
      are considered; `model/` reads the model from a train state's checkpoint.
    partial: Whether to leave alone names that exist on only one side. Shapes
      and dtypes of the common names must still agree, and at least one name
      must be common.
    optional: Names that the checkpoint may lack, such as those that older
      versions did not save. Their variables keep their values.
    ignored: Prefixes of names that may exist only in the checkpoint, such as
      those of a part that the run no longer has. They are not restored.

  Returns:
    The names that were restored.

  Raises:
    CheckpointError: If the checkpoint does not fit the variables, with a list
      of the differences, or if `partial` leaves nothing to restore.
  """
  _check_manifest(path)
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
    raise checkpoint_errors.CheckpointError(
        f'{path} does not fit the variables: {"; ".join(differences)}.'
    )
  # Read everything and verify its checksums before assigning anything.
  with checkpoint_errors.reading(path):
    reader = tf.train.load_checkpoint(path)
    values = {
        name: reader.get_tensor(checkpoint_files.key_of(name))
        for name in common
    }
  for name, value in values.items():
    variables[name].assign(value)
  return common


def _check_exists(path: str) -> None:
  if not glob.glob(f'{glob.escape(path)}.*'):
    raise checkpoint_errors.MissingError(path)


def _check_manifest(path: str) -> None:
  _check_exists(path)
  with checkpoint_errors.reading(path):
    if damage := checkpoint_manifests.find_damage(path):
      raise checkpoint_errors.DamagedError(path, damage)


def read(path: str) -> None:
  """Reads a whole checkpoint and compares it with the hashes of its manifest.

  Without a manifest, TensorFlow's checksums of the values are verified.

  Args:
    path: The path of the checkpoint.

  Raises:
    DamagedError: If a file is damaged or missing.
    CheckpointError: If a file cannot be read at the moment.
  """
  _check_manifest(path)
  names = contents(path)
  if checkpoint_manifests.has(path):
    return
  with checkpoint_errors.reading(path):
    reader = tf.train.load_checkpoint(path)
    for name in names:
      reader.get_tensor(checkpoint_files.key_of(name))


def _some(names: Mapping[str, object]) -> str:
  return next(iter(sorted(names)), 'nothing')


def _describe(spec: tf.TensorSpec | tf.Variable) -> str:
  return f'{spec.dtype.name} {spec.shape.as_list()}'
