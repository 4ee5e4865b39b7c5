"""How every program starts and ends: flags, help, errors, exit codes.

A mistake of the user costs one line on stderr and exit code 2, a run that can
not go on one line and exit code 1. An interrupted program ends with 128 + the
signal's number, as a shell reports it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import app, flags, logging

from . import interruption

# What TensorFlow imports, if it is there, for uses that are not ours.
_NEEDLESS = ('keras.src.optimizers', 'jax')


class Failure(Exception):
  """Ends a program with one line, the message, and an exit code."""

  exit_code = 1


class UserError(Failure):
  """A mistake that the user can mend."""

  exit_code = 2


def run(main: Callable[[], int | None]) -> None:
  """Parses the flags, runs a program and exits.

  Args:
    main: The program, see `call`.
  """

  def program(_: Sequence[str]) -> None:
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    code = call(main)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)

  app.run(program, flags_parser=parse)


def call(main: Callable[[], int | None]) -> int:
  """Runs a program whose flags are parsed.

  Args:
    main: The program. It returns an exit code, or None for 0.

  Returns:
    The exit code. A Failure that the program raises, what the machine refuses,
    or a signal where none is expected, is one line on stderr.
  """
  try:
    with interruption.leaving():
      return main() or 0
  except Failure as error:
    return fail(str(error), error.exit_code)
  except interruption.Interrupted as error:
    return fail(f'{error}.', 128 + error.number)
  except KeyboardInterrupt:
    return fail('interrupted.', 128 + signal.SIGINT)
  except OSError as error:  # As on a full disk.
    return fail(f'{reason(error)}.', Failure.exit_code)


def reason(error: BaseException) -> str:
  """Returns what an error says, in one line, with the file that it is about."""
  # TensorFlow's errors begin with the operation's name, and end with notes.
  text = re.sub(r'^\{\{.*?\}\} |\n(.|\n)*| \[Op:.*', '', str(error).strip())
  text = text.rstrip('.') or type(error).__name__
  if not isinstance(error, OSError) or not error.strerror:
    return text
  return ': '.join(
      str(part) for part in (error.filename, error.strerror) if part
  )


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
    if 'tensorflow' not in sys.modules:
      stack.enter_context(_quick_import())
    try:
      import tensorflow as tf
    except Exception:
      notes.seek(0)
      os.write(kept, notes.read())
      raise
    finally:
      os.dup2(kept, 2)
  return tf


@contextlib.contextmanager
def _quick_import() -> Iterator[None]:
  """Halves the time that TensorFlow's import takes, and saves 0.2 GB.

  It would import Keras, and that matplotlib and more, for the case that a
  SavedModel names one of Keras' optimizers, and JAX, to convert its functions
  to TF Lite. A module that is None counts as not installed; `tf.keras` is still
  imported by the first who asks for it. And since next to nothing of what is
  imported is garbage, none is looked for.
  """
  modules: dict[str, Any] = sys.modules
  needless = [name for name in _NEEDLESS if name not in modules]
  modules.update(dict.fromkeys(needless))
  gc.disable()
  try:
    yield
  finally:
    for name in needless:
      del modules[name]
    gc.freeze()  # Later collections leave out what has been imported.
    gc.enable()


def fail(message: str, exit_code: int) -> int:
  """Prints why a program ends, as one line, and returns the exit code."""
  line = ' '.join(message.split())
  print(f'{_program()}: {line}', file=sys.stderr)
  return exit_code


def warn(message: str) -> None:
  """Prints what a user should know, as one line on stderr."""
  fail(message, 0)


def _program() -> str:
  """Returns the program's name as a user calls it, such as `launch.train`."""
  spec = sys.modules['__main__'].__spec__
  return spec.name if spec else os.path.basename(sys.argv[0])


def parse(args: Sequence[str]) -> list[str]:
  """Parses the flags, or exits: for --help, and for what is no flag.

  Args:
    args: The command line, with the program first.

  Returns:
    The program alone.
  """
  if any(arg in ('--help', '-help', '-h', '--h') for arg in args[1:]):
    print(_help())
    sys.exit(0)
  try:
    rest = flags.FLAGS(args)
  except flags.Error as error:
    sys.exit(fail(str(error), UserError.exit_code))
  if len(rest) > 1:
    message = f'unexpected argument {rest[1]!r}; flags begin with --.'
    sys.exit(fail(message, UserError.exit_code))
  return rest


def _help() -> str:
  """Lists the program's own flags below its docstring."""
  document = (sys.modules['__main__'].__doc__ or '').strip()
  own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
  lines = [document, '', 'Flags (and --flagfile=FILE, with one on each line):']
  for flag in own:
    lines += _describe(flag)
  return '\n'.join(lines)


def _describe(flag: flags.Flag) -> list[str]:
  name, text = f'--{flag.name}', flag.help
  if isinstance(flag, flags.EnumFlag):  # absl writes <a|b>: before the help.
    values, _, text = text.partition(': ')
    name += f'={values.strip("<>")}'
  if isinstance(flag, flags.MultiFlag):
    text = f'{text.rpartition(";")[0]} May be repeated.'
  if flag.default not in (None, []):
    text += f' (default: {flag.default_as_str})'
  return [f'  {name}', *flags.text_wrap(text, 78, '      ').splitlines()]
