"""The GPUs of this machine, and their assignment to workers.

They are counted without TensorFlow, which would reserve all of them.
"""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Mapping

from .. import programs

_VARIABLE = 'CUDA_VISIBLE_DEVICES'


def visible(environment: Mapping[str, str], root: str = '/') -> list[str]:
  """Lists the GPUs visible to programs started from here.

  Args:
    environment: The environment variables.
    root: The root of the file system.

  Returns:
    Their names in the format of CUDA_VISIBLE_DEVICES.
  """
  given = environment.get(_VARIABLE)
  if given is None:
    return [str(index) for index in range(_count(root))]
  names = []
  for name in given.split(','):
    if name.strip() in ('', '-1'):  # CUDA reads no further.
      break
    names.append(name.strip())
  return names


def _count(root: str) -> int:
  try:
    said = subprocess.run(
        ['nvidia-smi', '-L'], capture_output=True, text=True, timeout=60
    )
  except (OSError, subprocess.TimeoutExpired):
    folder = pathlib.Path(root, 'proc/driver/nvidia/gpus')
    return len(list(folder.iterdir())) if folder.is_dir() else 0
  lines = said.stdout.splitlines() if said.returncode == 0 else []
  return sum(line.startswith('GPU ') for line in lines)


def split(
    names: list[str], num_workers: int, flag: str = 'num_workers'
) -> list[dict[str, str]]:
  """Splits GPUs equally among workers, by local rank.

  Args:
    names: The GPUs.
    num_workers: The number of workers that share them.
    flag: The name of the flag with that number.

  Returns:
    The environment variables of each worker; empty if there are no GPUs.

  Raises:
    UserError: If there are fewer GPUs than workers.
  """
  if not names:
    return [{} for _ in range(num_workers)]
  size, left = divmod(len(names), num_workers)
  if not size:
    raise programs.UserError(
        f'--{flag}={num_workers}: there are {len(names)} GPUs; give at '
        f'most {len(names)}, or set {_VARIABLE}=-1 to train on the CPU.'
    )
  if left:
    programs.note(
        f'{size} of {len(names)} GPUs for each of {num_workers} workers, since '
        f'all have as many; {left} not used.'
    )
  return [
      {_VARIABLE: ','.join(names[rank * size : (rank + 1) * size])}
      for rank in range(num_workers)
  ]
