"""How every program starts and ends: flags, help, errors, exit codes.

A user error is reported in one line on stderr with exit code 2, a failed run in
one line with exit code 1. An interrupted program ends with 128 + the signal's
number, as shells report it.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging as python_logging
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import app, flags, logging

from pipelines import errors

from . import about, interruption, notes
from .lookup import imports
from .settings import command_line, flag_names, flag_types

# Modules that TensorFlow imports if present, for uses that we do not need.
_NEEDLESS = ('keras.src.optimizers', 'jax')

# How messages begin that repeat a traceback.
_TRACEBACKS = ('in user code:', 'Graph execution error:')
_MAX_WORD = 500
_dropped: list[str] = []
_given: list[command_line.Token] = []
_positional: list[str] = []


class Failure(Exception):
  """Ends a program with one line, the message, and an exit code."""

  exit_code = 1


class UserError(Failure, ValueError):
  """An error that the user can fix."""

  exit_code = 2


def run(
    main: Callable[[], int | None], *, takes_arguments: bool = False
) -> None:
  """Parses the flags, runs a program and exits.

  Args:
    main: The program, see `call`.
    takes_arguments: Whether the program takes positional arguments, which
      `positional` returns.
  """

  def program(_: Sequence[str]) -> None:
    if not flags.FLAGS['verbosity'].present:
      logging.set_verbosity(logging.WARNING)
    # Matplotlib warns of the machine's fonts, which no plot depends on.
    python_logging.getLogger('matplotlib').setLevel(python_logging.ERROR)
    code = call(main)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)

  # The terminal may not be able to encode the names of classes.
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')

  try:
    app.run(
        program,
        flags_parser=lambda args: parse(
            args, takes_arguments=takes_arguments, module=main.__module__
        ),
    )
  except BrokenPipeError:  # As in `--help | head`.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


def call(main: Callable[[], int | None]) -> int:
  """Runs a program whose flags are parsed.

  Args:
    main: The program. It returns an exit code, or None for 0.

  Returns:
    The exit code. Failures, unusable data, errors of the operating system and
    in the user's code, and unexpected signals are reported in one line on
    stderr.
  """
  try:
    with interruption.leaving(), _not_world_writable():
      return main() or 0
  except Failure as error:
    return fail(str(error), error.exit_code)
  except errors.DataError as error:
    return fail(str(error), UserError.exit_code)
  except interruption.Interrupted as error:
    return fail(f'{error}.', 128 + error.number)
  except KeyboardInterrupt:
    return fail('interrupted.', 128 + signal.SIGINT)
  except BrokenPipeError:  # Handled by `run`.
    raise
  except ModuleNotFoundError as error:
    if not (remedy := about.how_to_get(error.name)):
      raise
    return fail(f'{error}{remedy}.', UserError.exit_code)
  except OSError as error:  # Such as a full disk.
    return fail(f'{reason(error)}.', Failure.exit_code)
  except Exception as error:
    # By name, since TensorFlow need not be imported.
    name = type(error).__name__
    if name not in ('MemoryError', 'ResourceExhaustedError'):
      # This function and the program itself are not the user's.
      if not (place := imports.place(error, skip=2)):
        raise  # A mistake of ours.
      message = f'{name}: {reason(error)} ({place}).'
      return fail(message, Failure.exit_code)
    return fail(
        f'out of memory ({reason(error)}); a smaller --global_batch_size or '
        'model takes less.',
        Failure.exit_code,
    )


@contextlib.contextmanager
def _not_world_writable() -> Iterator[None]:
  """Creates no file that every user may write, whatever the umask."""
  before = os.umask(0o077)
  os.umask(before | stat.S_IWOTH)
  try:
    yield
  finally:
    os.umask(before)


def reason(error: BaseException) -> str:
  """Returns the message of an error in one line, with its file."""
  # TensorFlow's errors start with the operation's name, and end with notes.
  text = str(error).strip()
  if text.startswith(_TRACEBACKS):  # TensorFlow's own.
    text = text.partition('\n\t [[')[0].rpartition('\n')[2].strip()
    text = text.removeprefix(f'{type(error).__name__}: ')
  text = re.sub(r'^\{\{.*?\}\} |\n(.|\n)*| \[Op:.*', '', text)
  text = text.rstrip('.') or type(error).__name__
  if not isinstance(error, OSError) or not error.strerror:
    return text
  return ': '.join(
      str(part) for part in (error.filename, error.strerror) if part
  )


def import_tensorflow() -> Any:
  """Imports TensorFlow without the messages that its libraries print.

  They print before TensorFlow's log level takes effect. If the import fails,
  everything is shown.

  Returns:
    The module.
  """
  with notes.withheld(), contextlib.ExitStack() as stack:
    if 'tensorflow' not in sys.modules:
      stack.enter_context(_quick_import())
      # Its threads must leave signals to the main thread.
      stack.enter_context(interruption.withheld())
    import tensorflow as tf
  return tf


@contextlib.contextmanager
def _quick_import() -> Iterator[None]:
  """Halves the time of TensorFlow's import, and saves 0.2 GB of memory.

  TensorFlow would import Keras (and with it matplotlib) for SavedModels with
  Keras optimizers, and JAX for conversion to TF Lite. A module set to None
  counts as not installed; `tf.keras` is still imported on first use. Garbage
  collection is off, since imports leave almost no garbage.
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
    gc.freeze()  # Exempts the imported objects from later collections.
    gc.enable()


def note(message: str) -> None:
  """Prints one line about the progress of a program."""
  print(f'{about.name()}: {" ".join(message.split())}', flush=True)


def fail(message: str, exit_code: int) -> int:
  """Prints why a program ends, in one line, and returns the exit code."""
  line = ' '.join(map(_shortened, message.split()))
  print(f'{about.name()}: {line}', file=sys.stderr)
  return exit_code


def warn(message: str) -> None:
  """Prints a warning in one line on stderr."""
  fail(message, 0)


def _shortened(word: str) -> str:
  """Shortens what a message need not repeat in full."""
  return word if len(word) <= _MAX_WORD else f'{word[:_MAX_WORD]}...'


def parse(
    args: Sequence[str],
    *,
    takes_arguments: bool = False,
    module: str = '__main__',
) -> list[str]:
  """Parses the flags, or exits: for --help, and for invalid flags.

  Arguments of a replaced model, loss, optimizer or schedule are dropped;
  `say_what_was_dropped` reports them.

  Args:
    args: The command line, starting with the program.
    takes_arguments: As for `run`.
    module: The name of the program's module.

  Returns:
    The program alone.
  """
  if any(arg in ('--help', '-help', '-h', '--h') for arg in args[1:]):
    print(about.help_text(module))
    sys.exit(0)
  if any(arg in ('--version', '-version') for arg in args[1:]):
    print(f'{about.name()} of Quatrain {about.version()}')
    sys.exit(0)
  try:
    rest = read_flags(args, takes_arguments=takes_arguments)
  except (flags.Error, ValueError) as error:
    sys.exit(fail(str(error), UserError.exit_code))
  _positional[:] = rest[1:] if takes_arguments else []
  if len(rest) > 1 and not takes_arguments:
    message = f'unexpected argument {rest[1]!r}; flags begin with --.'
    sys.exit(fail(message, UserError.exit_code))
  return rest[:1]


def read_flags(
    args: Sequence[str], *, takes_arguments: bool = False
) -> list[str]:
  """Parses the flags; see `parse`.

  Args:
    args: As for `parse`.
    takes_arguments: As for `run`.

  Returns:
    The program and its positional arguments.

  Raises:
    flags.Error, ValueError: If a flag is unknown, or a value is not valid.
  """
  given = command_line.tokens(args[1:])
  defaults = {kind: flags.FLAGS[kind].default for kind in command_line.kinds()}
  given, replaced = command_line.drop_replaced(given, defaults)
  flag_names.check_known(given)
  flags.FLAGS.set_gnu_getopt(takes_arguments)  # Allows any order.
  try:
    rest = flags.FLAGS([args[0], *(token.text for token in given)])
  except flags.IllegalFlagValueError as error:
    raise flags.IllegalFlagValueError(flag_types.plain(str(error))) from None
  flag_types.check_finite()
  _given[:] = given
  line = command_line.describe(given, replaced)
  _dropped[:] = [line] if line else []
  return rest


def given() -> list[command_line.Token]:
  """Returns the given flags, with flag files expanded in place."""
  return list(_given)


def positional() -> list[str]:
  """Returns the positional arguments given to `parse`."""
  return list(_positional)


def say_what_was_dropped() -> None:
  """Reports what `parse` dropped, after the other flags were checked."""
  for line in _dropped:
    note(line)
