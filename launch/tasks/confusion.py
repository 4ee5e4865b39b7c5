"""Confusion matrices for files, tables and plots."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import inspection

# With more classes, nearly all of the cells are 0 (10,000 classes have 10^8
# cells), and a plot has too few pixels.
_MAX_DENSE_CLASSES = 1_000
_MAX_NAMED_CLASSES = 30
_MAX_LETTERS = 40
# With more classes, a table starts with those of the lowest value.
_MAX_IN_ORDER = 50
_MAX_PAIRS = 20


def to_json(counts: Any) -> list[list[int]]:
  """Returns a matrix in JSON form.

  Args:
    counts: Integers ``[num_classes, num_classes]``, with a row per true class.

  Returns:
    The rows; with more than 1,000 classes, ``[true, predicted, count]`` for
    each cell that is not 0.
  """
  matrix = np.asarray(counts)
  if len(matrix) <= _MAX_DENSE_CLASSES:
    return matrix.astype(np.int64).tolist()
  cells = np.argwhere(matrix)
  values = matrix[tuple(cells.T)].astype(np.int64)
  return np.column_stack([cells, values]).tolist()


def from_json(rows: Sequence[Sequence[int]], num_classes: int) -> np.ndarray:
  """Inverts `to_json`, with at most 1,000 rows and columns.

  Args:
    rows: The result of `to_json`.
    num_classes: The number of classes.

  Returns:
    The counts, float64. With more than 1,000 classes, neighboring rows and
    columns are summed in groups of equal size, except for the last.
  """
  if num_classes <= _MAX_DENSE_CLASSES:
    return np.asarray(rows, np.float64)
  width = -(-num_classes // _MAX_DENSE_CLASSES)
  size = -(-num_classes // width)
  matrix = np.zeros([size, size])
  true, predicted, counts = np.reshape(np.asarray(rows), [-1, 3]).T
  np.add.at(matrix, (true // width, predicted // width), counts)
  return matrix


def figures(
    counts: Sequence[Sequence[int]], names: Sequence[str]
) -> dict[str, Any]:
  """Returns the figure of a report, drawn lazily, by file name."""
  return {'confusion.png': functools.partial(figure, counts, list(names))}


def sections(
    counts: Sequence[Sequence[int]],
    per_class: Mapping[str, Mapping[str, float]],
    what: str = 'examples',
) -> list[inspection.Section]:
  """Returns the tables of a report: by class, and the most confused pairs.

  Args:
    counts: The result of `to_json`.
    per_class: Values by name, the most important one last, by class.
    what: The name of the items counted.

  Returns:
    The sections of the page.
  """
  names = list(per_class)
  true, predicted, count = _cells(counts, len(names))
  support = np.bincount(true, count, len(names)).astype(int)
  measures = list(next(iter(per_class.values())))
  rows: list[list[Any]] = [
      [name, *values.values(), int(number)]
      for (name, values), number in zip(per_class.items(), support, strict=True)
  ]
  text = ''
  if len(rows) > _MAX_IN_ORDER:
    text = f'Classes with the lowest {measures[-1]} come first.'
    rows.sort(key=lambda row: row[-2])
  is_wrong = true != predicted
  true, predicted, count = true[is_wrong], predicted[is_wrong], count[is_wrong]
  largest = np.argsort(-count, kind='stable')[:_MAX_PAIRS]
  pairs = [
      [names[i], names[j], int(n), f'{n / support[i]:.1%}']
      for i, j, n in zip(
          true[largest], predicted[largest], count[largest], strict=True
      )
  ]
  found = [
      inspection.Section(
          'By class', text, ('class', *measures, f'support ({what})'), rows
      )
  ]
  if pairs:
    found.append(
        inspection.Section(
            'Most confused classes',
            f'The first {len(pairs)} of {is_wrong.sum():,} pairs.'
            if is_wrong.sum() > len(pairs)
            else '',
            ('true', 'predicted', what, 'of the true class'),
            pairs,
        )
    )
  return found


def _cells(
    rows: Sequence[Sequence[int]], num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the nonzero cells: true class, predicted class, and count."""
  if num_classes > _MAX_DENSE_CLASSES:
    true, predicted, counts = np.reshape(np.asarray(rows, int), [-1, 3]).T
    return true, predicted, counts
  matrix = np.asarray(rows)
  true, predicted = np.nonzero(matrix)
  return true, predicted, matrix[true, predicted]


def figure(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Any:
  """Plots, for each true class, the share predicted as each class.

  Args:
    counts: The result of `to_json`.
    names: The name of each class.

  Returns:
    A matplotlib Figure.
  """
  from matplotlib import figure as figure_lib  # Imported late: it is slow.

  matrix = from_json(counts, len(names))
  shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
  size = min(3 + 0.5 * len(names), 14)
  plot = figure_lib.Figure(figsize=(size + 1, size), layout='constrained')
  panel = plot.subplots()
  end = len(names) - 0.5
  image = panel.imshow(
      shares, cmap='Blues', vmin=0, vmax=1, extent=(-0.5, end, end, -0.5)
  )
  plot.colorbar(image, label='share of the true class')
  panel.set(xlabel='predicted', ylabel='true', title='test')
  if len(names) <= _MAX_NAMED_CLASSES:
    ticks = range(len(names))
    shown = [shortened(name, '…') for name in names]
    # Do not parse a dollar sign in a name as math.
    panel.set_xticks(ticks, shown, rotation=60, ha='right', parse_math=False)
    panel.set_yticks(ticks, shown, parse_math=False)
    for i, j in np.argwhere(matrix):
      color = 'white' if shares[i, j] > 0.5 else 'black'
      panel.text(
          j,
          i,
          f'{matrix[i, j]:.0f}',
          ha='center',
          va='center',
          color=color,
          fontsize=7,
      )
  return plot


def shortened(name: str, dots: str = '...') -> str:
  """Shortens a name that would take up too much space."""
  line = ' '.join(name.split())
  if len(line) > _MAX_LETTERS:
    line = f'{line[: _MAX_LETTERS - len(dots)]}{dots}'
  return line
