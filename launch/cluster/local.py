"""Runs a program as several workers on this machine.

  python -m launch.cluster.local --num_workers=2 -- --workdir=runs/first

The flags after -- are those of launch.train. Each worker is a process with an
equal share of the GPUs; its lines start with [0], [1] and so on. After a loss,
all workers are restarted and resume from the last checkpoint, except after exit
code 2, a usage error, or a second failure at the same step. A signal is passed
on: all workers save the same step and exit. A second signal kills them.
"""

from __future__ import annotations

import os
import sys

from absl import flags

from . import gpus, here, passed_on, starting, supervising

flags.adopt_module_key_flags(starting)
_LEAVE_SECS = flags.DEFINE_float(
    'leave_secs',
    30.0,
    'After a loss the others end by themselves. Those that have not after so '
    'many seconds are killed.',
    lower_bound=0,
    upper_bound=1e6,
)


def main() -> int:
  """Runs the launcher; returns its exit code."""
  policy = starting.policy()
  module, given = starting.given()
  own = gpus.split(gpus.visible(os.environ), starting.num_workers())
  command = [sys.executable, '-m', module, *given]
  return supervising.run(
      here.Here(command, own, _LEAVE_SECS.value),
      policy,
      workdir=passed_on.workdir(),
  )


def program() -> None:
  """Runs the launcher as a command, which exits the process."""
  passed_on.run(main)


if __name__ == '__main__':
  program()
