"""Workers for tests: processes of a program on this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from launch import config as config_lib
from tests.launch import runs


def start(
    workdir: Any,
    config: config_lib.Config,
    program: str = 'train',
    *,
    own: Sequence[Sequence[str]] = ((), ()),
) -> list[subprocess.Popen]:
  """Starts two workers, a process each.

  Args:
    workdir: The work directory.
    config: The config of `launch.train`; other programs take none.
    program: The program.
    own: Further flags of each worker.

  Returns:
    Their processes, the chief's first.
  """
  arguments = runs.arguments(config) if program == 'train' else []
  addresses = [f'localhost:{port}' for port in runs.free_ports(2)]
  return [
      runs.start(
          program,
          *arguments,
          f'--workdir={workdir}',
          *own[index],
          environment={'TF_CONFIG': json.dumps({
              'cluster': {'worker': addresses},
              'task': {'type': 'worker', 'index': index},
          })},
      )
      for index in range(2)
  ]
