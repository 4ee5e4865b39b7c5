"""How every program starts and ends: flags, help, errors, exit codes.

A mistake of the user costs one line on stderr and exit code 2, a run that can
not go on one line and exit code 1. An interrupted program ends with 128 + the
signal's number, as a shell reports it.
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

from . import (
    about,
    command_line,
    flag_names,
    flag_types,
    interruption,
    notes,
)

# What TensorFlow imports, if it is there, for uses that are not ours.
_NEEDLESS = ('keras.src.optimizers', 'jax')

_MAX_WORD = 500
_dropped: list[str] = []
_given: list[command_line.Token] = []
_positional: list[str] = []


class Failure(Exception):
  """Ends a program with one line, the message, and an exit code."""

  exit_code = 1


class UserError(Failure, ValueError):
  """A mistake that the user can mend."""

  exit_code = 2


def run(
    main: Callable[[], int | None], *, takes_arguments: bool = False
) -> None:
  """Parses the flags, runs a program and exits.

  Args:
    main: The program, see `call`.
    takes_arguments: Whether there may be arguments besides flags, which are
      what `positional` returns.
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

  # The names of classes may be in letters that a terminal has not.
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
  except BrokenPipeError:  # As of `--help | head`.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


def call(main: Callable[[], int | None]) -> int:
  """Runs a program whose flags are parsed.

  Args:
    main: The program. It returns an exit code, or None for 0.

  Returns:
    The exit code. A Failure that the program raises, data that cannot be used,
    what the machine refuses, or a signal where none is expected, is one line on
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
  except BrokenPipeError:  # `run` ends as other programs do.
    raise
  except ModuleNotFoundError as error:
    if not (remedy := about.how_to_get(error.name)):
      raise
    return fail(f'{error}{remedy}.', UserError.exit_code)
  except OSError as error:  # As on a full disk.
    return fail(f'{reason(error)}.', Failure.exit_code)
  except Exception as error:
    # By name, since TensorFlow need not be imported.
    if type(error).__name__ not in ('MemoryError', 'ResourceExhaustedError'):
      raise
    return fail(
        f'out of memory ({reason(error)}); a smaller --global_batch_size or '
        'model takes less.',
        Failure.exit_code,
    )


@contextlib.contextmanager
def _not_world_writable() -> Iterator[None]:
  """Makes no file that every user may write, whatever the umask is."""
  before = os.umask(0o077)
  os.umask(before | stat.S_IWOTH)
  try:
    yield
  finally:
    os.umask(before)


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
  with notes.withheld(), contextlib.ExitStack() as stack:
    if 'tensorflow' not in sys.modules:
      stack.enter_context(_quick_import())
      # Its threads are to leave signals to the main one for good.
      stack.enter_context(interruption.withheld())
    import tensorflow as tf
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


def note(message: str) -> None:
  """Prints one line about how a program goes on."""
  print(f'{about.name()}: {" ".join(message.split())}', flush=True)


def fail(message: str, exit_code: int) -> int:
  """Prints why a program ends, as one line, and returns the exit code."""
  line = ' '.join(map(_shortened, message.split()))
  print(f'{about.name()}: {line}', file=sys.stderr)
  return exit_code


def warn(message: str) -> None:
  """Prints what a user should know, as one line on stderr."""
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
  """Parses the flags, or exits: for --help, and for what is no flag.

  Arguments of another model, loss, optimizer or schedule than the one that
  counts are dropped; `say_what_was_dropped` says which.

  Args:
    args: The command line, with the program first.
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
    What is no flag, the program included.

  Raises:
    flags.Error, ValueError: If a flag is unknown, or a value does not fit.
  """
  given = command_line.tokens(args[1:])
  defaults = {kind: flags.FLAGS[kind].default for kind in command_line.kinds()}
  given, replaced = command_line.drop_replaced(given, defaults)
  flag_names.check_known(given)
  flags.FLAGS.set_gnu_getopt(takes_arguments)  # In any order.
  rest = flags.FLAGS([args[0], *(token.text for token in given)])
  flag_types.check_finite()
  _given[:] = given
  line = command_line.describe(given, replaced)
  _dropped[:] = [line] if line else []
  return rest


def given() -> list[command_line.Token]:
  """Returns the flags that were given, with those of flag files in place."""
  return list(_given)


def positional() -> list[str]:
  """Returns the arguments besides flags that `parse` was given."""
  return list(_positional)


def say_what_was_dropped() -> None:
  """Says what `parse` dropped, once it is known that the rest is right."""
  for line in _dropped:
    note(line)
