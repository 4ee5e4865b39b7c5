"""The GPUs of this machine, and which worker gets which.

They are counted without TensorFlow, which would take all of them.
"""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Mapping

from .. import programs

_VARIABLE = 'CUDA_VISIBLE_DEVICES'


def visible(environment: Mapping[str, str], root: str = '/') -> list[str]:
  """Lists the GPUs that programs started from here would see.

  Args:
    environment: The environment variables.
    root: Where the file system begins.

  Returns:
    Their names, as CUDA_VISIBLE_DEVICES has them.
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
  """Splits GPUs into equal parts, by the local rank of the workers.

  Args:
    names: The GPUs.
    num_workers: How many workers share them.
    flag: The flag that says so.

  Returns:
    The environment variables of each worker; none where there is no GPU.

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
