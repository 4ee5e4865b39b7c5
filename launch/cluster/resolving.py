"""Finds the workers of a run, if there are several."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from .. import programs
from . import members as members_lib
from . import slurm

# The values of --strategy that use all workers found.
_OF_SEVERAL = ('auto', 'multi_worker')


def resolve(
    strategy: str,
    num_virtual_devices: int | None = None,
    environment: MutableMapping[str, str] | None = None,
) -> members_lib.Members | None:
  """Finds the workers of a run in TF_CONFIG, or else in Slurm's variables.

  Workers found in Slurm's variables are written to TF_CONFIG for TensorFlow.

  Args:
    strategy: The value of --strategy.
    num_virtual_devices: The value of --num_virtual_devices.
    environment: The environment variables. Default: those of this process.

  Returns:
    The workers, or None if this process runs alone. A cluster of one counts as
    alone unless --strategy=multi_worker.

  Raises:
    UserError: If the description is missing or wrong, or does not match the
      flags.
  """
  if environment is None:
    environment = os.environ
  members, source = None, members_lib.VARIABLE
  if text := environment.get(members_lib.VARIABLE):
    members = members_lib.of_tf_config(text)
  elif members := slurm.find(environment):
    source = 'Slurm'
    environment[members_lib.VARIABLE] = members.to_tf_config()
  if strategy == 'multi_worker' and members is None:
    raise programs.UserError(
        '--strategy=multi_worker: the environment variable TF_CONFIG is to '
        'name the workers, and which of them this is; or start the program by '
        '`srun` with several tasks.'
    )
  is_alone = members is None or members.size == 1
  if is_alone and strategy != 'multi_worker':
    return None
  assert members is not None
  if strategy not in _OF_SEVERAL:
    raise programs.UserError(
        f'{source} has {members.size} workers, but {strategy} is the strategy '
        'of a program that runs alone: take --strategy=auto, or start it once, '
        f'without {source}{" tasks" if source == "Slurm" else ""}.'
    )
  if num_virtual_devices:
    raise programs.UserError(
        f'--num_virtual_devices={num_virtual_devices}: with several workers '
        'TensorFlow takes one CPU device of each; start more workers instead.'
    )
  return members
