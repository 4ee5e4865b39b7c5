"""Writes a sweep as a table, CSV, JSON, a plot and a page."""

from __future__ import annotations

import csv
import io
import pathlib
import shlex
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import tabulate
from matplotlib import figure

from ..comparing import significance
from ..files import json_files, whole_files
from ..hooks import monitor as monitor_lib
from ..reporting import page
from . import ranking
from . import space as space_lib

matplotlib.use('agg')
_MAX_CELL = 70  # Maximum characters of a printed cell.
_NEXT_LINE = ' \\\n  '
_CHOSEN = (
    'Trials are ordered by the validation split, with the final weights of '
    'each run. Intervals are 95 % confidence intervals over seeds, by '
    "Student's t. "
    '"The best is better" is tested in pairs of equal seeds; p is adjusted '
    '(Holm) for all pairs of trials, since the best was chosen by the same '
    'numbers.'
)


def write(
    folder: pathlib.Path,
    rows: Sequence[ranking.Row],
    space: space_lib.Space,
    program: str,
    flags: Sequence[str],
) -> str:
  """Writes sweep.json, sweep.csv, parallel_coordinates.png and report.html.

  Args:
    folder: The directory of the sweep.
    rows: The rows, best first. The best trial has a complete run.
    space: The space.
    program: The command that trains a run.
    flags: The flags of the best trial, without --workdir and --seed.

  Returns:
    The table, as text.
  """
  result = next(iter(rows[0].trial.results.values()))
  monitor = monitor_lib.of_result(result)
  header, cells = _cells(rows, monitor, space)
  command = _NEXT_LINE.join([program, *map(shlex.quote, flags)])
  shortened = [
      [textwrap.shorten(cell, _MAX_CELL, placeholder='...') for cell in row]
      for row in cells
  ]
  text = tabulate.tabulate(shortened, headers=header, disable_numparse=True)
  json_files.write(
      folder / 'sweep.json',
      {
          'monitor': monitor.metric,
          'direction': monitor.direction,
          'trials': [row.to_json() for row in rows],
      },
  )
  lines = io.StringIO()
  csv.writer(lines).writerows(_csv(rows, monitor, space))
  json_files.replace(folder / 'sweep.csv', lines.getvalue())
  picture = page.render(_plot(rows, monitor, space))
  path = folder / 'parallel_coordinates.png'
  with whole_files.replacing(path) as temporary:
    temporary.write_bytes(picture)
  json_files.replace(
      folder / 'report.html',
      _page(folder.name, header, cells, picture, command),
  )
  return text


def _names(space: space_lib.Space) -> list[str]:
  return [each.name for each in space.parameters]


def _cells(
    rows: Sequence[ranking.Row],
    monitor: monitor_lib.Monitor,
    space: space_lib.Space,
) -> tuple[list[str], list[list[str]]]:
  header = [
      'trial',
      *_names(space),
      'seeds',
      f'validation {monitor.metric}',
      'test',
      'best is better by',
      'p',
      'difference',
      'note',
  ]
  cells = []
  for row in rows:
    gap = row.to_best.difference if row.to_best else None
    cells.append([
        str(row.trial.number),
        *(_short(row.trial.values[name]) for name in _names(space)),
        str(len(row.trial.results)),
        str(row.validation or ''),
        str(row.test or ''),
        str(gap or ''),
        '' if row.p is None else significance.p_text(row.p).lstrip('= '),
        row.verdict,
        row.note,
    ])
  used = [
      index for index in range(len(header)) if any(row[index] for row in cells)
  ]
  return (
      [header[index] for index in used],
      [[row[index] for index in used] for row in cells],
  )


def _csv(
    rows: Sequence[ranking.Row],
    monitor: monitor_lib.Monitor,
    space: space_lib.Space,
) -> list[list[Any]]:
  splits = [f'validation_{monitor.metric}', f'test_{monitor.metric}']
  ends = ('', '_low', '_high')
  table: list[list[Any]] = [[
      'trial',
      *_names(space),
      'seeds',
      *(f'{split}{end}' for split in splits for end in ends),
      'p',
      'note',
  ]]
  for row in rows:
    told = row.to_json()
    table.append([
        told['trial'],
        *(row.trial.values[name] for name in _names(space)),
        len(row.trial.results),
        *(told['validation'] or [None] * 3),
        *(told['test'] or [None] * 3),
        told['p'],
        told['note'],
    ])
  return table


def _short(value: Any) -> str:
  if isinstance(value, list):
    return ','.join(map(str, value))
  return f'{value:.4g}' if isinstance(value, float) else str(value)


def _plot(
    rows: Sequence[ranking.Row],
    monitor: monitor_lib.Monitor,
    space: space_lib.Space,
) -> figure.Figure:
  """Draws a line per trial across an axis per parameter."""
  rows = [row for row in rows if row.validation]
  axes = [
      _axis(parameter, [row.trial.values[parameter.name] for row in rows])
      for parameter in space.parameters
  ]
  scores = np.array([row.validation.mean for row in rows if row.validation])
  label, places, ticks = _linear(f'validation\n{monitor.metric}', scores)
  if monitor.direction == 'min':  # The best is at the top.
    places = [1 - place for place in places]
    ticks = [(1 - place, text) for place, text in ticks]
  axes.append((label, places, ticks))
  plot = figure.Figure(
      figsize=(max(6.0, 1.8 * len(axes)), 4.2), layout='constrained'
  )
  panel = plot.subplots()
  colors = matplotlib.colormaps['viridis_r']
  best_first = list(enumerate(rows))
  for rank, _ in reversed(best_first):
    panel.plot(
        [at[rank] for _, at, _ in axes],
        color=colors(0.2 + 0.8 * places[rank]),
        linewidth=3 if rank == 0 else 1.2,
        alpha=1 if rank == 0 else 0.7,
    )
  for at, (_, _, ticks) in enumerate(axes):
    panel.axvline(at, color='0.4', linewidth=0.8)
    for place, label in ticks:
      panel.annotate(
          label,
          (at, place),
          xytext=(4, 7),
          textcoords='offset points',
          fontsize=8,
          va='center',
          bbox={
              'boxstyle': 'square,pad=0.1',
              'fc': 'white',
              'ec': 'none',
              'alpha': 0.8,
          },
      )
  panel.set_xticks(range(len(axes)), [name for name, _, _ in axes], fontsize=9)
  panel.set_xlim(-0.1, len(axes) - 0.6)
  panel.set_yticks([])
  for side in panel.spines.values():
    side.set_visible(False)
  panel.set_title(f'{len(rows)} trials, the best in bold', fontsize=10)
  return plot


_Axis = tuple[str, list[float], list[tuple[float, str]]]


def _axis(parameter: space_lib.Parameter, values: Sequence[Any]) -> _Axis:
  """Returns the name of an axis, positions from 0 to 1, and ticks."""
  label = parameter.name.replace('.', '\n')
  if not parameter.choices:
    return _linear(label, values, parameter.log)
  choices = list(parameter.choices)
  if all(isinstance(choice, (int, float)) for choice in choices):
    choices.sort()
  places = [index / max(len(choices) - 1, 1) for index in range(len(choices))]
  return (
      label,
      [places[choices.index(value)] for value in values],
      list(zip(places, map(_short, choices), strict=True)),
  )


def _linear(label: str, values: Any, log: bool = False) -> _Axis:
  numbers = np.asarray(values, np.float64)
  scaled = np.log(numbers) if log else numbers
  low, high = (scaled.min(), scaled.max()) if len(scaled) else (0.0, 1.0)
  ends = np.linspace(low, high, 3 if high > low else 1)
  width = (high - low) or 1.0
  return (
      label,
      [float(each) for each in (scaled - low) / width],
      [
          (float((end - low) / width), f'{np.exp(end) if log else end:.3g}')
          for end in ends
      ],
  )


def _page(
    name: str,
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    picture: bytes,
    command: str,
) -> str:
  """Makes a self-contained page."""
  table = page.table(header, cells, {0: set(range(len(header)))})
  return page.whole(
      f'Sweep {name}',
      {
          'Trials': table + page.paragraphs(_CHOSEN),
          'All trials': page.plot('parallel_coordinates.png', picture),
          'The best trial again': page.pre(command),
      },
  )
