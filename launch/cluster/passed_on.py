"""The flags after `--`, which a launcher passes on to a program.

They are parsed before anything is started, so that a mistake is reported once,
in one line, with exit code 2.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from .. import about, programs

PROGRAMS = ('train', 'evaluate')
_PACKAGE = __name__.rpartition('.cluster.')[0]
_given: list[str] = []
_own: list[flags.Flag[Any]] = []  # The flags of the launcher.


def run(main: Callable[[], int | None]) -> None:
  """Runs a launcher, as `programs.run` does, with the flags before `--`."""
  at = sys.argv.index('--') if '--' in sys.argv else len(sys.argv)
  _given[:] = sys.argv[at + 1 :]
  del sys.argv[at:]
  _own[:] = about.own_flags(main.__module__)
  for argument in sys.argv[1:] if not _given else ():
    name = argument.removeprefix('--').partition('=')[0]
    if argument.startswith('--') and name not in flags.FLAGS:
      sys.exit(
          programs.fail(
              f'--{name} is not a flag of this program; those of the'
              ' program that it starts go after --, as in `--num_workers=2 --'
              ' --workdir=DIR`.',
              programs.UserError.exit_code,
          )
      )
  programs.run(main)


def module_of(program: str) -> str:
  """Returns the module of a program, in a checkout or a wheel."""
  return f'{_PACKAGE}.{program}'


def parse(program: str) -> list[str]:
  """Parses the flags as the program does, or exits as it would.

  Args:
    program: One of `PROGRAMS`.

  Returns:
    The flags, unchanged.

  Raises:
    UserError: If a value is invalid.
  """
  for flag in _own:  # The program does not define them.
    delattr(flags.FLAGS, flag.name)
  importlib.import_module(module_of(program))  # Defines its flags.
  programs.parse([program, *_given], module=module_of(program))
  for flag in _own:
    flags.FLAGS[flag.name] = flag
  if program == 'train':
    from .. import config

    config.Config.from_flags()
  if not flags.FLAGS.workdir:
    raise programs.UserError(
        '--workdir is missing after --: name that of the run.'
    )
  return list(_given)


def workdir() -> str:
  """Returns the value of --workdir, after `parse` has read it."""
  return flags.FLAGS.workdir
