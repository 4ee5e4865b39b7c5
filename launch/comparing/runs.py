"""Compares the settings and the results of two runs.

Settings (flags, code, packages, data, history) may differ without any effect.
Two runs are equal if what they computed is equal: the rows of metrics.jsonl,
including hashes of the weights, and result.json.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import config as config_lib
from .. import programs, workdir
from ..files import checksums
from ..files import starts as starts_lib
from ..lookup import code_files
from ..settings import options
from . import differences

# The split whose rows are means since the previous row.
_OF_A_WHILE = 'train'
_KINDS = {
    'identity': 'decides the weights',
    'length': 'decides the length',
    'free': 'may change',
    'place': 'where',
}
# Parts of a result that repeat rows, and the flag that chooses the best row.
_OF_A_ROW = ('last_validation', 'best_validation', 'monitor')
WEIGHTS = 'weights_sha256'


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The comparison of two runs.

  Attributes:
    settings: The differences in settings.
    computed: The differences in computed values, in the order of steps.
    without_rows: The work directories whose run has no row of metrics yet.
    num_rows: The number of rows of metrics that were compared.
    num_hashes: The number of hashes of weights that were compared.
    largest: The largest relative difference of two numbers in rows, and where.
  """

  settings: Sequence[differences.Difference]
  computed: Sequence[differences.Difference]
  without_rows: Sequence[str]
  num_rows: int
  num_hashes: int
  largest: tuple[float, str]

  @property
  def is_equal(self) -> bool:
    """Whether all computed values are bitwise equal."""
    return not self.computed and bool(self.num_rows or self.num_hashes)


def compare(one: workdir.Workdir, other: workdir.Workdir) -> Comparison:
  """Compares two runs, given their work directories.

  Raises:
    UserError: If one of them is not a run, or damaged.
  """
  found = [*settings(one, other)]
  computed: list[differences.Difference] = []
  num_rows, num_hashes, largest = 0, 0, (0.0, '')
  both = {str(each.path): each.read_metrics() for each in (one, other)}
  without_rows = [path for path, rows in both.items() if not rows]
  theirs = dict(_keyed(both[str(other.path)]))
  for key, row in _keyed(both[str(one.path)]):
    if key not in theirs:  # Of other steps.
      continue
    where = f'step {row["step"]}, {row["split"]}'
    num_rows += WEIGHTS not in row
    num_hashes += WEIGHTS in row
    for difference in differences.of(where, row, theirs[key], only_common=True):
      computed.append(difference)
      gap = _relative(*difference.values)
      if gap is not None and gap > largest[0]:
        largest = (gap, f'{difference.name} at {where}')
  results = one.read_result(), other.read_result()
  if results[0] and results[1]:
    computed += _results(results[0], results[1])
    num_hashes += WEIGHTS in results[0] and WEIGHTS in results[1]
  else:
    computed += _ends(one, other, results)
  return Comparison(
      found, computed, without_rows, num_rows, num_hashes, largest
  )


def _results(
    one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[differences.Difference]:
  """Yields differences of two results, except in which metrics were chosen."""
  for difference in differences.of('result', one, other):
    name = difference.name
    is_of_a_row = name.partition('.')[0] in _OF_A_ROW
    is_measured = None not in difference.values or not (
        name.startswith(('test', 'validation_'))
    )
    if is_measured and not is_of_a_row:
      yield difference


def _relative(one: Any, other: Any) -> float | None:
  """Returns the relative difference of two numbers; None for other values."""
  if not all(type(each) in (int, float) for each in (one, other)):
    return None
  return abs(one - other) / max(abs(one), abs(other), 1e-300)


def _keyed(
    rows: Sequence[dict[str, Any]],
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
  """Yields rows by split, step, and (for means) the step that they start from.

  Hashes of weights belong to a single step, so they become rows of their own.
  """
  before = 0
  for row in rows:
    step, split = row['step'], row['split']
    values = {name: row[name] for name in row if name != WEIGHTS}
    if split != _OF_A_WHILE:
      yield (split, step), values
    else:
      yield (split, before, step), values
      before = step
    if WEIGHTS in row:
      kept = ('step', 'split', WEIGHTS)
      yield (WEIGHTS, step), {name: row[name] for name in kept}


def _ends(
    one: workdir.Workdir,
    other: workdir.Workdir,
    results: tuple[dict[str, Any] | None, dict[str, Any] | None],
) -> Iterator[differences.Difference]:
  """Yields the difference of the ends of two runs, one of them incomplete."""
  last = [
      rows[-1]['step'] if rows else 0
      for rows in (one.read_metrics(), other.read_metrics())
  ]
  shown = [
      f'complete at step {result["num_steps"]}'
      if result
      else f'not complete, at step {step}'
      for result, step in zip(results, last, strict=True)
  ]
  if shown[0] != shown[1]:
    yield differences.Difference('result', 'end', (shown[0], shown[1]))


def settings(
    one: workdir.Workdir, other: workdir.Workdir
) -> Iterator[differences.Difference]:
  """Yields the differences in flags, code, packages, data and history.

  Raises:
    UserError: If one of them is not a run, or damaged.
  """
  starts = one.read_start(), other.read_start()
  for name, spec in options.declared(config_lib.Config).items():
    pair = [
        {**start.config.to_json(), **start.config.place()}.get(name)
        for start in starts
    ]
    if name != 'workdir' and not code_files.is_same(
        pair[0], pair[1], starts[0].code, starts[1].code
    ):
      kind = _KINDS.get(spec.kind, spec.kind)
      if spec.kind == 'length' and not starts[0].config.is_free(name):
        kind = _KINDS['identity']
      yield differences.Difference(
          f'flag, {kind}', f'--{name}', (pair[0], pair[1])
      )
  shapes = ['; '.join(map(_shape, start.shapes)) for start in starts]
  if shapes[0] != shapes[1]:
    yield differences.Difference('where', 'replicas', (shapes[0], shapes[1]))
  yield from _files(*starts)
  environments = [dict(start.environment) for start in starts]
  yield from differences.of('environment', environments[0], environments[1])
  of_data = starts[1].data.differences(starts[0].data)
  if of_data.pop('fingerprint', None):
    prints = [{'fingerprint': start.data.fingerprint} for start in starts]
    yield from differences.of('data', prints[0], prints[1])
    if first := _first_example(one, other):
      yield differences.Difference(
          'data', 'the first that differs', (first, first)
      )
  for name, (before, now) in of_data.items():
    yield differences.Difference('data', name, (before, now))
  loaded = [(start.initial or {}).get('sha256') for start in starts]
  if loaded[0] != loaded[1]:
    yield differences.Difference('init_from', 'sha256', (loaded[0], loaded[1]))
  told = ['; '.join(_history(start)) or 'no change' for start in starts]
  if told[0] != told[1]:
    yield differences.Difference('history', 'changes', (told[0], told[1]))


def _shape(shape: Mapping[str, Any]) -> str:
  return (
      f'{shape["num_replicas"]} on {shape["num_workers"]} worker(s) from step '
      f'{shape["step"]}'
  )


def _files(
    one: starts_lib.Start, other: starts_lib.Start
) -> Iterator[differences.Difference]:
  """Yields the files of the user's code that differ, ignoring moved files."""
  hashes, others = (
      {name: file['sha256'] for name, file in start.code.items()}
      for start in (one, other)
  )
  for name in {**hashes, **others}:
    mine, theirs = hashes.get(name), others.get(name)
    is_moved = (mine is None and theirs in hashes.values()) or (
        theirs is None and mine in others.values()
    )
    if mine != theirs and not is_moved:
      yield differences.Difference('code', name, (mine, theirs))


def _history(start: starts_lib.Start) -> Iterator[str]:
  """Yields the changes by later starts of a run."""
  for event in start.history:
    if event['changes']:
      changes = differences.describe(event['changes'], verb='')
      yield f'step {event["step"]}: {changes}'


def _first_example(one: workdir.Workdir, other: workdir.Workdir) -> str | None:
  """Names the first example that differs, if both runs have checksums."""
  before, now = checksums.read(one.path), checksums.read(other.path)
  if before is None or now is None:
    return None
  programs.import_tensorflow()
  from pipelines import datasets

  return datasets.first_difference(before, now)
