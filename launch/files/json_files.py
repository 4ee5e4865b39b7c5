"""Reads and checks JSON files of a work directory, and writes them atomically.

A function that writes raises OSError if it fails. A previous file then stays.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from .. import programs
from . import whole_files

COPY = 'restore it from a backup, or use another work directory'
# Fields that must be numbers in any file, because programs compute with them.
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
  """Returns the text of a file, or None if it does not exist.

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
        f'{path} cannot be read ({reason}); fix that, or {COPY}.'
    ) from None


def decode(path: pathlib.Path, text: str, **required: type) -> dict[str, Any]:
  """Decodes a JSON object.

  Args:
    path: The path of the file, for messages.
    text: The text of the object.
    **required: The types of required fields, by name.

  Returns:
    The object.

  Raises:
    UserError: If the text is not a JSON object, or a field is missing or of the
      wrong type.
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
  """Writes a value to a JSON file."""
  replace(path, json.dumps(value, indent=2) + '\n')


def replace(path: pathlib.Path, text: str) -> None:
  """Writes a text to a file."""
  with whole_files.replacing(path) as temporary:
    temporary.write_text(text)


def _damaged(path: pathlib.Path, reason: str) -> programs.UserError:
  return programs.UserError(f'{path} is damaged ({reason}); {COPY}.')
