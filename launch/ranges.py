"""The values of the features of a data set: ranges, means, what is frequent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines import spec as spec_lib

from . import samples
from .reporting import page

_BLOCK = 4_096


def show(
    spec: spec_lib.Spec, arrays: Mapping[str, samples.Arrays]
) -> str:
  """Sums up numbers, categories and lengths of texts on a page.

  Args:
    spec: The features.
    arrays: What is looked at of each split.

  Returns:
    HTML, a row for each column of each split.
  """
  rows: list[list[Any]] = []
  for name, feature in spec.items():
    for split, each in arrays.items():
      for column, part, values in samples.split(
          name, feature, each[name]
      ):
        if part.kind not in (spec_lib.CLASS, spec_lib.CLASSES, spec_lib.MASK):
          rows.append([column, split, *_summary(part, values)])
  order = list(dict.fromkeys(row[0] for row in rows))
  rows.sort(key=lambda row: order.index(row[0]))
  if not rows:
    return ''
  headers = [
      'feature', 'split', 'minimum', 'mean', 'maximum', 'deviation', 'missing',
      'values',
  ]
  rows = [headers, *rows]
  filled = [i for i in range(len(headers)) if any(row[i] for row in rows[1:])]
  head, *body = [[row[index] for index in filled] for row in rows]
  return page.table(head, body)


def _summary(feature: spec_lib.Feature, values: np.ndarray) -> list[str]:
  """Sums up one column: its range, what is missing, what is frequent."""
  if feature.kind == spec_lib.CATEGORIES:
    [words] = feature.vocabularies
    counts = np.bincount(np.maximum(values.ravel(), 0), minlength=len(words))
    frequent = ', '.join(
        f'{words[index] or "(none)"} {counts[index] / len(values):.0%}'
        for index in np.argsort(-counts)[:3] if counts[index]
    )
    return ['', '', '', '', '', frequent]
  frequent = ''
  if feature.kind == spec_lib.TEXT:
    lengths = np.count_nonzero(values, axis=1)
    unknown = np.count_nonzero(values == 1) / max(int(lengths.sum()), 1)
    frequent = f'tokens of a text, {unknown:.1%} unknown'
    values = lengths
  if not len(values) or values.dtype.kind not in 'biuf':
    return [''] * 6
  # In blocks, which spare the memory of all values as float64.
  blocks = [
      values[start : start + _BLOCK].astype(np.float64)
      for start in range(0, len(values), _BLOCK)
  ]
  known = [block[~np.isnan(block)] for block in blocks]
  total = sum(map(len, known))
  missing = f'{values.size - total:,}'
  if not total:
    return ['', '', '', '', missing, frequent]
  mean = sum(float(block.sum()) for block in known) / total
  square = sum(float(((block - mean) ** 2).sum()) for block in known) / total
  ends = [end for block in known if len(block)
          for end in (float(block.min()), float(block.max()))]
  return [
      f'{min(ends):.5g}', f'{mean:.5g}', f'{max(ends):.5g}',
      f'{square**0.5:.5g}', missing, frequent,
  ]
