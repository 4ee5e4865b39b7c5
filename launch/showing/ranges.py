"""Summaries of the values of features: ranges, means, frequent values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipelines import spec as spec_lib

from ..reporting import page

_BLOCK = 4_096


def show(
    spec: spec_lib.Spec, arrays: Mapping[str, Mapping[str, np.ndarray]]
) -> str:
  """Summarizes numbers, categories and lengths of texts.

  Args:
    spec: The features.
    arrays: The examples of each split.

  Returns:
    HTML, with a row per column of each split.
  """
  rows: list[list[Any]] = []
  for name, feature in spec.items():
    for split, each in arrays.items():
      for column, part, values in _columns(name, feature, each[name]):
        if part.kind not in (spec_lib.CLASS, spec_lib.CLASSES, spec_lib.MASK):
          rows.append([column, split, *_summary(part, values)])
  order = list(dict.fromkeys(row[0] for row in rows))
  rows.sort(key=lambda row: order.index(row[0]))
  if not rows:
    return ''
  headers = [
      'feature',
      'split',
      'minimum',
      'mean',
      'maximum',
      'deviation',
      'missing',
      'values',
  ]
  rows = [headers, *rows]
  filled = [i for i in range(len(headers)) if any(row[i] for row in rows[1:])]
  head, *body = [[row[index] for index in filled] for row in rows]
  return page.table(head, body)


def _columns(
    name: str, feature: spec_lib.Feature, values: np.ndarray
) -> Iterator[tuple[str, spec_lib.Feature, np.ndarray]]:
  """Yields the columns of a feature, or the feature if it is a single one."""
  kinds = (spec_lib.NUMBERS, spec_lib.CATEGORIES)
  if feature.kind not in kinds or feature.shape != (len(feature.columns),):
    yield name, feature, values
    return
  for index, column in enumerate(feature.columns):
    part = dataclasses.replace(
        feature,
        shape=(1,),
        columns=(column,),
        vocabularies=feature.vocabularies[index : index + 1],
    )
    yield column, part, values[:, index : index + 1]


def _summary(feature: spec_lib.Feature, values: np.ndarray) -> list[str]:
  """Summarizes a column: range, missing values, frequent ones."""
  if feature.kind == spec_lib.CATEGORIES:
    [words] = feature.vocabularies
    counts = np.bincount(np.maximum(values.ravel(), 0), minlength=len(words))
    frequent = ', '.join(
        f'{words[index] or "(none)"} {counts[index] / len(values):.0%}'
        for index in np.argsort(-counts)[:3]
        if counts[index]
    )
    return ['', '', '', '', '', frequent]
  frequent = ''
  if feature.kind == spec_lib.TEXT:
    lengths = np.count_nonzero(values, axis=1)
    unknown = np.count_nonzero(values == 1) / max(int(lengths.sum()), 1)
    frequent = f'tokens per text, {unknown:.1%} unknown'
    values = lengths
  if not len(values) or values.dtype.kind not in 'biuf':
    return [''] * 6
  # In blocks: float64 copies of all values could exceed the memory.
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
  ends = [
      end
      for block in known
      if len(block)
      for end in (float(block.min()), float(block.max()))
  ]
  return [
      f'{min(ends):.5g}',
      f'{mean:.5g}',
      f'{max(ends):.5g}',
      f'{square**0.5:.5g}',
      missing,
      frequent,
  ]
