"""The manifest of a checkpoint: the size and SHA-256 of each of its files.

`ckpt-STEP.manifest.json` lists the suffixes of the files, so that a checkpoint
can be copied and renamed. It is written after all other files. Checkpoints of
older versions have no manifest; only TensorFlow's checksums protect them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

SUFFIX = '.manifest.json'
_CHUNK = 2**20


def write(path: str, files: Sequence[str]) -> None:
  """Writes the manifest of a checkpoint and flushes all its files to disk.

  Args:
    path: The path of the checkpoint, not yet visible to other processes.
    files: The paths of its files.

  Raises:
    OSError: If a file cannot be read or written.
  """
  entries = {}
  for file in sorted(files):
    flush(file)
    entries[file.removeprefix(path)] = _describe(file)
  name = path + SUFFIX
  with open(name, 'w') as manifest:
    manifest.write(_text({'files': entries}))
  flush(name)


def find_damage(path: str) -> str | None:
  """Compares the files of a checkpoint with its manifest.

  Args:
    path: The path of the checkpoint.

  Returns:
    A description of the first damaged file, or None if all files are intact or
    there is no manifest.

  Raises:
    OSError: If a file cannot be read.
  """
  name = path + SUFFIX
  try:
    with open(name, 'rb') as file:
      text = file.read()
  except FileNotFoundError:
    return None
  entries = _entries(text)
  if entries is None:
    return f'{os.path.basename(name)} is damaged'
  for suffix, expected in entries.items():
    file_name = os.path.basename(path) + suffix
    try:
      size = os.path.getsize(path + suffix)
      if size != expected['bytes']:
        return f'{file_name} has {size} bytes, not {expected["bytes"]}'
      if _describe(path + suffix) != expected:
        return f'{file_name} does not have the SHA-256 of its manifest'
    except FileNotFoundError:
      return f'{file_name} is missing'
  return None


def has(path: str) -> bool:
  """Returns whether a checkpoint has a manifest.

  Args:
    path: The path of the checkpoint.

  Returns:
    Whether the manifest exists; False for checkpoints of older versions.
  """
  return os.path.exists(path + SUFFIX)


def flush(path: str) -> None:
  """Flushes a file, or the entries of a directory, to disk.

  Args:
    path: The path of the file or directory.

  Raises:
    OSError: If it cannot be written.
  """
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def _entries(text: bytes) -> dict[str, dict[str, Any]] | None:
  """Parses a manifest; returns None unless `write` could have written it."""
  try:
    value = json.loads(text)
    if _text(value).encode() != text:
      return None
    entries = dict(value['files'])
    is_whole = bool(entries) and all(
        suffix.startswith('.')
        and '/' not in suffix
        and entry.keys() == {'bytes', 'sha256'}
        for suffix, entry in entries.items()
    )
  except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
    return None
  return entries if is_whole else None


def _text(value: Any) -> str:
  return json.dumps(value, indent=2, sort_keys=True) + '\n'


def _describe(path: str) -> dict[str, Any]:
  sha, size = hashlib.sha256(), 0
  with open(path, 'rb') as file:
    while chunk := file.read(_CHUNK):
      sha.update(chunk)
      size += len(chunk)
  return {'bytes': size, 'sha256': sha.hexdigest()}
