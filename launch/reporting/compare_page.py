"""A page that compares runs: curves, differing flags, results."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from .. import config as config_lib
from .. import workdir as workdir_lib
from ..files import starts
from ..hooks import monitor as monitor_lib
from ..lookup import code_files
from ..settings import options, typed_json
from . import curves, page

# With more runs, each is a row rather than a column.
_MAX_COLUMNS = 5
_MAX_MONITORED = 2
_COSTS = {
    'seconds of the last start': 'seconds',
    'seconds in training': 'train_seconds',
    'examples per second': 'examples_per_second',
    'steps': 'num_steps',
    'parameters': 'num_parameters',
}


def text(directories: Sequence[workdir_lib.Workdir]) -> str:
  """Compares runs, using only their files.

  Args:
    directories: Their work directories.

  Returns:
    The page.

  Raises:
    UserError: If one is not a run, or is damaged.
  """
  names = _names([str(each.path) for each in directories])
  runs = dict(zip(names, directories, strict=True))
  begun = {name: run.read_start() for name, run in runs.items()}
  rows = {name: run.read_metrics() for name, run in runs.items()}
  results = {name: run.read_result() or {} for name, run in runs.items()}
  monitored = dict.fromkeys(
      result['monitor'] for result in results.values() if 'monitor' in result
  )
  plot = page.render(curves.draw(rows, list(monitored)[:_MAX_MONITORED]))
  return page.whole(
      f'{len(names)} runs',
      {
          'Curves': (
              page.plot('curves.png', plot)
              + page.hint(
                  'Faint lines show training, lines with dots validation.'
              )
          ),
          'Flags that differ': _flags(begun),
          'Final values': _values(results),
          'Time and size': _costs(results, rows),
          'Runs': page.table(
              ('run', 'directory', 'weights'),
              [
                  [name, str(run.path), results[name].get('weights_sha256')]
                  for name, run in runs.items()
              ],
          ),
      },
  )


def _names(paths: Sequence[str]) -> list[str]:
  """Names runs by the parts of their paths that differ."""
  whole = [os.path.abspath(path) for path in paths]
  if len(set(whole)) < len(whole):  # A path is given twice.
    return [f'{i + 1}: {path}' for i, path in enumerate(paths)]
  above = os.path.commonpath([os.path.dirname(path) for path in whole])
  return [os.path.relpath(path, above) for path in whole]


def _flags(begun: Mapping[str, starts.Start]) -> str:
  """Returns a table of the flags that differ between runs."""
  values = {
      name: {**start.config.to_json(), **start.config.place()}
      for name, start in begun.items()
  }
  first = next(iter(begun))
  differing = {}
  for flag in options.declared(config_lib.Config):
    each = {name: of[flag] for name, of in values.items() if flag in of}
    if flag != 'workdir' and not all(
        code_files.is_same(
            each.get(first),
            each.get(name),
            begun[first].code,
            begun[name].code,
        )
        for name in begun
    ):
      differing[f'--{flag}'] = {n: _shown(v) for n, v in each.items()}
  if not differing:
    return page.paragraphs('None.')
  return _table('flag', differing, list(begun))


def _shown(value: Any) -> str | None:
  value = typed_json.lists(value)
  if isinstance(value, dict):
    return ', '.join(f'{key}={each}' for key, each in value.items()) or None
  if isinstance(value, list):
    return ','.join(map(str, value)) or None
  return None if value is None else str(value)


def _values(results: Mapping[str, Mapping[str, Any]]) -> str:
  """Returns a table of test and validation values, with the best marked."""
  values: dict[str, dict[str, Any]] = {}
  directions = {}
  for run, result in results.items():
    named = {
        'test': result.get('test', {}).get('values', {}),
        'best validation': result.get('best_validation', {}),
    }
    judged_by = monitor_lib.of_result(result)
    directions[judged_by.metric] = judged_by.direction
    for split, found in named.items():
      for name, value in found.items():
        is_shown = split == 'test' or name in ('loss', judged_by.metric)
        if is_shown and isinstance(value, int | float):
          values.setdefault(f'{split} {name}', {})[run] = value
  if not values:
    return page.paragraphs('No run is complete.')
  best = {}
  for key, found in values.items():
    name = key.rpartition(' ')[2]
    direction = directions.get(name) or monitor_lib.by_name(name).direction
    judge = monitor_lib.Monitor(name, direction)
    top = judge.worst()
    for value in found.values():
      top = value if judge.is_better(value, top) else top
    is_mark = len(found) > 1 and not name.startswith('baseline')
    best[key] = {run for run, v in found.items() if is_mark and v == top}
  return page.hint('The best of each value is marked.') + _table(
      'value', values, list(results), best
  )


def _costs(
    results: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, curves.Rows],
) -> str:
  """Returns a table of times and sizes."""
  costs: dict[str, dict[str, Any]] = {
      name: {run: result.get(key) for run, result in results.items()}
      for name, key in _COSTS.items()
  }
  costs['weights in float32, MB'] = {
      run: 4e-6 * result['num_parameters']
      for run, result in results.items()
      if 'num_parameters' in result
  }
  costs['computed on'] = {
      run: ', '.join(result.get('machine', {}).get('devices', []))
      for run, result in results.items()
  }
  costs['end'] = {
      run: _end(result, rows[run]) for run, result in results.items()
  }
  return _table('', costs, list(results))


def _end(result: Mapping[str, Any], rows: curves.Rows) -> str:
  if not result:
    return f'not complete, at step {rows[-1]["step"] if rows else 0}'
  stopped = result.get('stopped')
  return f'{stopped["hook"]}: {stopped["reason"]}' if stopped else 'complete'


def _table(
    what: str,
    values: Mapping[str, Mapping[str, Any]],
    runs: Sequence[str],
    best: Mapping[str, set[str]] | None = None,
) -> str:
  """Returns an HTML table, with a column per run if there are few.

  Args:
    what: The header of the names.
    values: Values by run, by name.
    runs: The runs.
    best: The runs to mark, by name.
  """
  names = list(values)
  cells = [[values[name].get(run) for run in runs] for name in names]
  marks = [
      [run in (best or {}).get(name, ()) for run in runs] for name in names
  ]
  heads, firsts, corner = runs, names, what
  if len(runs) > _MAX_COLUMNS:
    cells, marks = (
        [list(column) for column in zip(*rows, strict=True)]
        for rows in (cells, marks)
    )
    heads, firsts, corner = names, list(runs), 'run'
  return page.table(
      (corner, *heads),
      [[first, *row] for first, row in zip(firsts, cells, strict=True)],
      {
          place: {i + 1 for i, mark in enumerate(row) if mark}
          for place, row in enumerate(marks)
      },
  )
