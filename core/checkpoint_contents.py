"""Reads what a checkpoint holds, and restores variables by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import tensorflow as tf

from . import checkpoint_errors, checkpoint_files, checkpoint_manifests


def contents(path: str) -> dict[str, tf.TensorSpec]:
  """Reads what a checkpoint holds.

  Args:
    path: The path of a checkpoint, as `Checkpointer.save` returns it.

  Returns:
    Shape and type of each variable by name.

  Raises:
    CheckpointError: If there is no checkpoint, or it is damaged.
  """
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
    variables: What to restore, by name.
    prefix: Names in the checkpoint that do not begin with it, or with one of
      several, are not looked at; `model/` reads a model out of a train state's
      checkpoint.
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
  # All is read, and its checksums compared, before anything is assigned.
  with checkpoint_errors.reading(path):
    reader = tf.train.load_checkpoint(path)
    values = {
        name: reader.get_tensor(checkpoint_files.key_of(name))
        for name in common
    }
  for name, value in values.items():
    variables[name].assign(value)
  return common


def _check_manifest(path: str) -> None:
  with checkpoint_errors.reading(path):
    if damage := checkpoint_manifests.find_damage(path):
      raise checkpoint_errors.DamagedError(path, damage)


def read(path: str) -> None:
  """Reads all of a checkpoint and compares the hashes of its manifest.

  Without a manifest, TensorFlow's checksums of the values are compared.

  Args:
    path: The path of the checkpoint.

  Raises:
    DamagedError: If a file of it is damaged.
    CheckpointError: If one cannot be read now.
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
