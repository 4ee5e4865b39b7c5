"""The flags of launchers that start and restart workers."""

from __future__ import annotations

from absl import flags

from .. import programs
from . import passed_on, restarts

_NUM_WORKERS = flags.DEFINE_integer(
    'num_workers',
    None,
    'The number of workers.',
    lower_bound=1,
    upper_bound=1000,
)
_MAX_RESTARTS = flags.DEFINE_integer(
    'max_restarts',
    3,
    'How often all workers are restarted after a loss.',
    lower_bound=0,
    upper_bound=10**6,
)
_MIN_WORKERS = flags.DEFINE_integer(
    'min_workers',
    None,
    'The minimum number of workers to continue with: a worker that fails first '
    'twice at the same step is left out. Default: --num_workers.',
    lower_bound=1,
    upper_bound=1000,
)
_PROGRAM = flags.DEFINE_enum(
    'program', 'train', passed_on.PROGRAMS, 'The program to run.'
)


def num_workers() -> int:
  """Returns the number of workers to start.

  Raises:
    UserError: If --num_workers is missing.
  """
  if _NUM_WORKERS.value is None:
    raise programs.UserError('--num_workers is missing: how many workers?')
  return _NUM_WORKERS.value


def policy() -> restarts.Policy:
  """Returns the restart policy.

  Raises:
    UserError: If the flags contradict each other.
  """
  number = num_workers()
  least = _MIN_WORKERS.value or number
  if least > number:
    raise programs.UserError(
        f'--min_workers={least}: expected at most --num_workers={number}.'
    )
  return restarts.Policy(number, least, _MAX_RESTARTS.value)


def given() -> tuple[str, list[str]]:
  """Returns the module of the program, and its checked flags."""
  program = _PROGRAM.value
  return passed_on.module_of(program), passed_on.parse(program)
