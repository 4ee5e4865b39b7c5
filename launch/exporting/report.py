"""Compares exports with their model, and reports the differences."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import tabulate

from core import export as export_lib
from pipelines import files as files_lib

from .. import finished_run, notes, programs, tasks
from . import formats as export_formats
from . import parity


def compare(
    run: finished_run.Run,
    described: tasks.Export,
    reference: parity.Reference,
    paths: Mapping[str, pathlib.Path],
    quantize: str | None,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """Runs all examples of a split through each export.

  Args:
    run: The run.
    described: The export of its task.
    reference: The model's outputs.
    paths: The exports, by the name of the format.
    quantize: How `tflite` is quantized.
    known: Sizes and hashes of the files when they were written, by name.

  Returns:
    The contents of parity.json.

  Raises:
    Failure: If an export cannot be loaded or run.
  """
  rows, files = [], {}
  for name, path in paths.items():
    each = export_formats.FORMATS[name]
    files[each.file] = {
        'bytes': export_formats.size_of(path),
        'sha256': _digest(path),
    }
    is_changed = known is not None and (
        known.get(each.file, files[each.file]) != files[each.file]
    )
    is_int8 = name == export_formats.INT8
    is_quantized = is_int8 or (quantize is not None and name == 'tflite')
    with notes.withheld(but=programs.Failure), _loaded(each, path) as runner:
      page = getattr(runner, 'result', None)
      for kind, convert in each.kinds(described).items():
        found = reference.compared(runner, convert)
        limits = {
            'limit': None if is_quantized else export_lib.PARITY_LIMIT,
            'metric_limit': reference.limit if is_int8 else None,
        }
        rows.append({
            'format': name,
            'path': each.file,
            'runtime': each.runtime(runner),
            'input': kind,
            **found,
            **limits,
            **({'page': page} if page else {}),
            'is_changed': is_changed,
            'agrees': (
                not is_changed
                and _is_within(found, reference, **limits)
                and (page is None or bool(re.match(r'(\d+) of \1 equal', page)))
            ),
        })
  return {
      'checkpoint': run.checkpoint,
      'step': run.step,
      'split': reference.split,
      'metric': reference.metric,
      'model': {
          'metric': reference.value,
          'milliseconds': reference.milliseconds(reference.model),
      },
      'quantize': quantize,
      'calibration': None,
      'files': files,
      'exports': rows,
  }


@contextlib.contextmanager
def _loaded(
    of: export_formats.Format, path: pathlib.Path
) -> Iterator[export_formats.Runner]:
  """Loads an export and closes it; raises Failure if it is damaged."""
  runner: Any = None
  try:
    runner = of.load(str(path))
    yield runner
  except programs.UserError:
    raise
  except Exception as error:
    raise programs.Failure(
        f'{path.name} cannot be run: {programs.reason(error)}.'
    ) from error
  finally:
    if hasattr(runner, 'close'):
      runner.close()


def _is_within(
    found: Mapping[str, Any],
    reference: parity.Reference,
    limit: float | None,
    metric_limit: float | None,
) -> bool:
  if limit is not None:
    return found['max_difference'] <= limit
  if metric_limit is None:
    return True
  # The relative rounding error of metrics is about one in a million.
  gap = abs(found['metric'] - (reference.value or 0))
  return gap <= metric_limit * (1 + 1e-6)


def wrong(report: Mapping[str, Any]) -> str:
  """Describes the exports that differ from the model; empty if none does."""
  found: dict[str, str] = {}
  metric, own = report['metric'], report['model']['metric']
  for row in report['exports']:
    if row['agrees']:
      continue
    why = f'{row["input"]}: off by {row["max_difference"]:.2g}'
    if row['metric_limit'] is not None:
      why = (
          f'{metric} {row["metric"]:.4f}, the model {own:.4f}, limit '
          f'{row["metric_limit"]:.2g}'
      )
    if row['is_changed']:
      why += '; the file was changed since it was compared'
    if 'page' in row:
      why += f'; the page says: {row["page"]}'
    found.setdefault(row['path'], f'{row["path"]} is not the model ({why})')
  return '; '.join(found.values())


def _digest(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file, or of the names and hashes in a folder."""
  if path.is_file():
    return files_lib.sha256(path)
  whole = hashlib.sha256()
  for each in export_formats.files_of(path):
    line = f'{files_lib.sha256(each)}  {each.relative_to(path).as_posix()}\n'
    whole.update(line.encode())
  return whole.hexdigest()


def show(report: Mapping[str, Any], reference: parity.Reference) -> None:
  """Prints the report as a table."""
  metric = report['metric'] or 'metric'

  def values(row: Mapping[str, Any]) -> list[str]:
    found = row['metric']
    times = row['milliseconds'].values()
    shown = '' if found is None else f'{found:.4f}'
    return [shown, *map('{:.2f}'.format, times)]

  shown, *times = values(report['model'])
  rows = [['the model', *[''] * 4, shown, '', *times, '']]
  for row in report['exports']:
    shown, *times = values(row)
    agrees = 'yes' if row['agrees'] else 'NO'
    rows.append([
        row['path'],
        row['runtime'],
        row['input'],
        f'{row["max_difference"]:.1e}',
        str(row['num_disagreements']),
        shown,
        f'{report["files"][row["path"]]["bytes"] / 1e3:,.1f}',
        *times,
        f'{agrees}, changed' if row['is_changed'] else agrees,
    ])
  print(
      tabulate.tabulate(
          rows,
          headers=[
              'export',
              'run by',
              'input',
              'largest difference',
              'other answer',
              metric,
              'kB',
              'ms',
              'ms of 32',
              'agrees',
          ],
          disable_numparse=True,
      )
  )
  limits = f'{export_lib.PARITY_LIMIT:g}'
  if any(row['format'] == export_formats.INT8 for row in report['exports']):
    limits += f', int8 {reference.limit:.2g} of the {metric}'
  print(
      f'{report["split"]} split, {reference.num_examples:,} examples; limits: '
      f'{limits}'
  )
  for row in report['exports']:
    if 'page' in row:
      print(f'{row["path"]}/index.html: {row["page"]}')
    elif row['format'] == 'web':
      programs.note(
          'the page was not verified in a browser: no Chromium is installed.'
      )
