"""How every program starts and ends: flags, help, errors, exit codes.

A mistake of the user costs one line on stderr and exit code 2. An interrupted
run ends with 128 + the signal's number, as a shell reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import os
import sys
import tempfile
from typing import Any

from absl import app
from absl import flags
from absl import logging


class UserError(Exception):
  """A mistake that the user can mend; the message is one line."""


def run(main: Callable[[], int | None]) -> None:
  """Parses the flags, runs a program and exits.

  Args:
    main: The program. It returns an exit code, or None for 0. A UserError that
      it raises becomes one line and exit code 2.
  """

  def guarded(_: Sequence[str]) -> None:
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    try:
      code = main()
    except UserError as error:
      code = fail(str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code or 0)

  app.run(guarded, flags_parser=_parse)


def import_tensorflow() -> Any:
  """Imports TensorFlow without the notes that its libraries print meanwhile.

  They are printed before its own log level counts. If the import fails, all
  that was printed is shown.

  Returns:
    The module.
  """
  with contextlib.ExitStack() as stack:
    kept = os.dup(2)
    stack.callback(os.close, kept)
    notes = stack.enter_context(tempfile.TemporaryFile())
    os.dup2(notes.fileno(), 2)
    try:
      import tensorflow as tf
    except BaseException:
      notes.seek(0)
      os.write(kept, notes.read())
      raise
    finally:
      os.dup2(kept, 2)
  return tf


def fail(message: str) -> int:
  """Prints a user's mistake as one line and returns the exit code for it."""
  line = ' '.join(message.split())
  print(f'{_program()}: {line}', file=sys.stderr)
  return 2


def _program() -> str:
  """Returns the program's name as a user calls it, such as `launch.train`."""
  spec = sys.modules['__main__'].__spec__
  return spec.name if spec else os.path.basename(sys.argv[0])


def _parse(args: Sequence[str]) -> list[str]:
  if any(arg in ('--help', '-help', '-h', '--h') for arg in args[1:]):
    print(_help())
    sys.exit(0)
  try:
    rest = flags.FLAGS(args)
  except flags.Error as error:
    sys.exit(fail(str(error)))
  if len(rest) > 1:
    sys.exit(fail(f'unexpected argument {rest[1]!r}; flags begin with --.'))
  return rest


def _help() -> str:
  """Lists the program's own flags below its docstring."""
  document = (sys.modules['__main__'].__doc__ or '').strip()
  own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
  lines = [document, '', 'Flags (and --flagfile=FILE, with one on each line):']
  for flag in own:
    default = flag.default_as_str if flag.default is not None else 'none'
    lines += _wrap(f'--{flag.name}', f'{flag.help} (default: {default})')
  return '\n'.join(lines)


def _wrap(name: str, text: str) -> list[str]:
  return [f'  {name}', *flags.text_wrap(text, 78, '      ').splitlines()]
