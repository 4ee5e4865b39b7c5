"""Runs a program as several workers on this machine.

  python -m launch.cluster.local --num_workers=2 -- --workdir=runs/first

What follows -- are the flags of launch.train. Each worker is a process with an
equal part of the GPUs; its lines begin with [0], [1] and so on. After a loss
all are started again and go on from the last checkpoint; not after exit code 2,
which is a mistake, nor after two failures at the same step. A signal is passed
on: all save the same step and leave. A second one kills them.
"""

from __future__ import annotations

import os
import sys

from absl import flags

from .. import programs
from . import gpus, here, passed_on, restarts, supervising

_NUM_WORKERS = flags.DEFINE_integer(
    'num_workers', None, 'How many workers to start.', lower_bound=1,
    upper_bound=1000)
_MAX_RESTARTS = flags.DEFINE_integer(
    'max_restarts', 3, 'How often all workers are started again after a loss.',
    lower_bound=0, upper_bound=10**6)
_MIN_WORKERS = flags.DEFINE_integer(
    'min_workers', None,
    'Go on with fewer workers, as few as that: one that was the first to go '
    'twice at the same step is left out. Default: --num_workers.',
    lower_bound=1, upper_bound=1000)
_LEAVE_SECS = flags.DEFINE_float(
    'leave_secs', 30.0,
    'After a loss the others end by themselves. Those that have not after so '
    'many seconds are killed.', lower_bound=0, upper_bound=1e6)
_PROGRAM = flags.DEFINE_enum(
    'program', 'train', passed_on.PROGRAMS, 'The program to run.')


def main() -> int:
  """Runs the launcher; returns its exit code."""
  number = _NUM_WORKERS.value
  if number is None:
    raise programs.UserError('--num_workers is missing: how many to start?')
  least = _MIN_WORKERS.value or number
  if least > number:
    raise programs.UserError(
        f'--min_workers={least}: expected at most --num_workers={number}.'
    )
  given = passed_on.parse(_PROGRAM.value)
  command = [
      sys.executable, '-m', passed_on.module_of(_PROGRAM.value), *given
  ]
  own = gpus.split(gpus.visible(os.environ), number)
  return supervising.run(
      here.Here(command, own, _LEAVE_SECS.value),
      restarts.Policy(number, least, _MAX_RESTARTS.value),
      workdir=passed_on.workdir(),
  )


def program() -> None:
  """Runs the launcher as a command: it ends the process."""
  passed_on.run(main)


if __name__ == '__main__':
  program()
