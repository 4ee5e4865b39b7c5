"""What two runs that should be equal differ in, counted in bits."""

from __future__ import annotations

import itertools
import json
import pathlib
import struct
from collections.abc import Set
from typing import Any

from core import checkpoint_files
from launch.comparing import differences
from tests.faults import watching

# Names of values that are paths.
_PLACE = ('checkpoint', 'path')


class Differences:
  """What two runs differ in.

  Attributes:
    bits: How many bits, of weights and states, rows and results.
    where: Where they are.
  """

  def __init__(self) -> None:
    """Begins with nothing."""
    self.bits = 0
    self.where: list[str] = []

  def add(self, where: str, one: Any, other: Any) -> None:
    """Compares two values of JSON, or two strings of bytes."""
    bits = _bits(one, other)
    if bits:
      self.bits += bits
      self.where.append(f'{where}: {bits} bits')


def runs(
    reference: pathlib.Path, run: pathlib.Path, removed: Set[str] = frozenset()
) -> Differences:
  """Compares two finished runs.

  Args:
    reference: The work directory of the unbroken one.
    run: That of the other.
    removed: Names of files that the other may lack.

  Returns:
    What differs: the last and the best checkpoint, the rows of metrics, the
    result with what the test split came to.
  """
  found = Differences()
  for folder in ('checkpoints', 'checkpoints/best'):
    one, other = newest(reference / folder), newest(run / folder)
    names = [name for name in one if name in other or name not in removed]
    found.add(f'{folder}, names', names, list(other))
    for name in one.keys() & other.keys():
      if '.data-' in name:
        found.add(
            f'{folder}/{name}', one[name].read_bytes(), other[name].read_bytes()
        )
  found.add('metrics.jsonl', rows(reference), rows(run))
  one, other = (_json(each / 'result.json') for each in (reference, run))
  for name in {**one, **other}:
    pair = ({name: each.get(name)} for each in (one, other))
    found.add(f'result.json, {name}', *pair)
  return found


def newest(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Returns the files of the newest checkpoint of a folder, by name."""
  found = checkpoint_files.ordered(str(folder))
  paths = map(pathlib.Path, checkpoint_files.files(found[0]) if found else ())
  return {path.name: path for path in sorted(paths)}


def rows(run: pathlib.Path) -> list[Any]:
  """Reads metrics.jsonl."""
  try:
    text = (run / 'metrics.jsonl').read_text()
  except OSError:
    return []
  return [json.loads(line) for line in text.splitlines()]


def targets(
    program: str, reference: pathlib.Path, folder: pathlib.Path
) -> Differences:
  """Compares what a program wrote with what an unbroken one did.

  Args:
    program: evaluate, predict or export.
    reference: The folder of the unbroken one.
    folder: The folder of the other.

  Returns:
    What differs. What is not there at all is no difference, unless a part of
    it is there.
  """
  found = Differences()
  if program == 'evaluate':
    _add_json(found, reference, folder, 'run/evaluation_test.json')
  elif program == 'predict':
    _add_file(found, reference, folder, 'out/predictions.jsonl')
  else:
    _add_json(
        found,
        reference,
        folder,
        'run/exports/parity.json',
        # A SavedModel has another hash each time.
        without=('milliseconds', 'sha256'),
    )
    _add_file(found, reference, folder, 'run/exports/model.tflite')
    model = 'run/exports/saved_model'
    if (folder / model).exists():
      one, other = (
          [
              path
              for path in sorted(watching.look(each / model))
              if path != 'fingerprint.pb'
          ]
          for each in (reference, folder)
      )
      found.add(f'{model}, names', one, other)
      for name in one:
        if 'variables.data' in name:
          _add_file(found, reference, folder, f'{model}/{name}')
  return found


def _add_json(
    found: Differences,
    reference: pathlib.Path,
    folder: pathlib.Path,
    name: str,
    without: tuple[str, ...] = (),
) -> None:
  if (folder / name).exists():
    one, other = (
        _without(_json(each / name), without) for each in (reference, folder)
    )
    found.add(name, one, other)


def _without(value: Any, names: tuple[str, ...]) -> Any:
  """Leaves out entries of a nest by their names."""
  if isinstance(value, dict):
    return {
        name: _without(each, names)
        for name, each in value.items()
        if name not in names
    }
  return (
      [_without(each, names) for each in value]
      if isinstance(value, list)
      else value
  )


def _add_file(
    found: Differences, reference: pathlib.Path, folder: pathlib.Path, name: str
) -> None:
  if (folder / name).exists():
    found.add(
        name, (reference / name).read_bytes(), (folder / name).read_bytes()
    )


def _json(path: pathlib.Path) -> dict[str, Any]:
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError):
    return {}


def _bits(one: Any, other: Any) -> int:
  """Counts the bits in which two values differ."""
  if isinstance(one, dict) and isinstance(other, dict):
    return sum(
        _bits(*each.values)
        for each in differences.of('', one, other)
        if each.name.rpartition('.')[2] not in _PLACE
    )
  if isinstance(one, list) and isinstance(other, list):
    return sum(itertools.starmap(_bits, itertools.zip_longest(one, other)))
  if one == other:
    return 0
  return (_integer(one) ^ _integer(other)).bit_count() or 1


def _integer(value: Any) -> int:
  """Returns the bits of a value."""
  if isinstance(value, (int, float)):
    return int.from_bytes(struct.pack('<d', value), 'little')
  if isinstance(value, bytes):
    return int.from_bytes(value, 'little')
  return int.from_bytes(json.dumps(value).encode(), 'little')
