"""JSON files of a work directory: read with care, written as a whole."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from . import programs, whole_files

COPY = 'restore it from a backup, or name another --workdir'
# What programs compute with, wherever it is in a file.
_NUMBERS = (
    'step',
    'epoch',
    'loss',
    'accuracy',
    'num_examples',
    'num_steps',
    'validation_accuracy',
    'test_accuracy',
)


def read(path: pathlib.Path) -> str | None:
  """Reads a file.

  Args:
    path: Its path.

  Returns:
    The text; None if there is no such file.

  Raises:
    UserError: If it cannot be read.
  """
  try:
    return path.read_text()
  except FileNotFoundError:
    return None
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise programs.UserError(
        f'{path} cannot be read ({reason}); mend that, or {COPY}.'
    ) from None


def decode(path: pathlib.Path, text: str, **required: type) -> dict[str, Any]:
  """Decodes an object of a file.

  Args:
    path: The path of the file.
    text: The object.
    **required: The types of what it must have, by name.

  Returns:
    The object.

  Raises:
    UserError: If that is none, or something in it is of another type than the
      programs expect.
  """
  try:
    value = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise _damaged(path, str(error)) from None
  if not isinstance(value, dict):
    raise _damaged(path, f'it is {text[:40]!r}')
  kinds: dict[str, Any] = {
      name: (int, float) for name in _NUMBERS if name in value
  }
  for name, kind in {**kinds, **required}.items():
    if not isinstance(value.get(name), kind):
      raise _damaged(path, f'its {name} is {value.get(name)!r}')
  return value


def write(path: pathlib.Path, value: Any) -> None:
  """Writes a JSON file as a whole.

  Args:
    path: Its path.
    value: What it holds.

  Raises:
    OSError: If it cannot be written; what was there before stays.
  """
  replace(path, json.dumps(value, indent=2) + '\n')


def replace(path: pathlib.Path, text: str) -> None:
  """Writes a file as a whole.

  Args:
    path: Its path.
    text: What it holds.

  Raises:
    OSError: If it cannot be written; what was there before stays.
  """
  with whole_files.replacing(path) as temporary:
    temporary.write_text(text)


def _damaged(path: pathlib.Path, reason: str) -> programs.UserError:
  return programs.UserError(f'{path} is damaged ({reason}); {COPY}.')
