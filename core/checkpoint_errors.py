"""The errors raised for checkpoints."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator

import tensorflow as tf

# Transient errors, which do not imply damage: the next read may succeed.
_NO_DAMAGE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)
_NO_DAMAGE_NUMBERS = (
    errno.EACCES,
    errno.EAGAIN,
    errno.EINTR,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EPERM,
    errno.ESTALE,
    errno.ETIMEDOUT,
)
# Raised for a full, missing or forbidden disk; others come from lost workers.
_DISK = (
    OSError,
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnknownError,
)


class CheckpointError(ValueError):
  """A checkpoint that is missing, unreadable, or does not fit the variables."""


class NonFiniteError(CheckpointError):
  """Nothing was saved because a variable holds a NaN or an infinity.

  Attributes:
    names: The names of the variables; empty if they belong to another worker.
  """

  def __init__(self, names: list[str]):
    """Creates the error for variables of these names."""
    super().__init__(
        'these variables are not finite: '
        f'{", ".join(names) or "those of another worker"}; nothing was saved.'
    )
    self.names = names


class DamagedError(CheckpointError):
  """A checkpoint whose files are missing, truncated, or fail their checksums.

  Attributes:
    path: The path of the checkpoint.
    reason: The damaged file and what is wrong with it.
  """

  def __init__(self, path: str, reason: str):
    """Creates the error for a checkpoint and the reason."""
    super().__init__(f'{path}: cannot be read ({reason}).')
    self.path = path
    self.reason = reason


class MissingError(DamagedError):
  """A checkpoint none of whose files exist.

  For a checkpoint that the list of a directory names, this is damage.
  """

  def __init__(self, path: str):
    """Creates the error for a path."""
    super().__init__(path, 'its files are missing')
    self.args = (f'{path}: there is no checkpoint.',)


class SaveError(OSError):
  """A checkpoint could not be written, for example because the disk is full."""


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
  """Converts errors from damaged files into one-line errors.

  Args:
    path: The path of the checkpoint that the block reads.

  Yields:
    Nothing.

  Raises:
    DamagedError: If a file is damaged.
    CheckpointError: If a file cannot be read now, which does not imply damage.
  """
  try:
    yield
  except CheckpointError:
    raise
  except _NO_DAMAGE as error:
    raise _not_now(path, error) from None
  except OSError as error:
    if error.errno in _NO_DAMAGE_NUMBERS:
      raise _not_now(path, error) from None
    raise DamagedError(path, _reason(error)) from None
  except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
    raise DamagedError(path, _reason(error)) from None


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
  """Converts errors from a full disk into one-line errors.

  Args:
    path: The path of the checkpoint that the block writes.

  Yields:
    Nothing.

  Raises:
    SaveError: If a file cannot be written.
  """
  try:
    yield
  except _DISK as error:
    # TensorFlow's message begins with the name of a temporary file.
    reason = _reason(error).rpartition('; ')[2]
    raise SaveError(f'{path}: {reason}') from None


def _not_now(path: str, error: Exception) -> CheckpointError:
  return CheckpointError(f'{path}: cannot be read now ({_reason(error)}).')


def _reason(error: Exception) -> str:
  """Returns the first line of an error, without TensorFlow's notes."""
  text = re.sub(r'^\{\{.*?\}\} |\n(.|\n)*| \[Op:.*', '', str(error).strip())
  return text or type(error).__name__
