"""A page about a data set: what it has, what is wrong, what a model gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import augmentation
from pipelines import spec as spec_lib
from pipelines import splits, streams

from . import augmenting, copies, preparing, ranges, samples
from . import config as config_lib
from .reporting import page

# How many examples of a split are shown, in how many forms if augmented.
_SHOWN = 24
_FORMS = 2
# How many examples of a split that is not in memory are looked at.
_SAMPLE = 2_000
_MOST_LISTED = 20
_BLOCK = 1_024


@dataclasses.dataclass(frozen=True)
class _Seen:
  """What was read of a split.

  Attributes:
    num_examples: How many examples it has.
    arrays: Those that are looked at: all in memory, or a sample.
    is_all: Whether these are all.
  """

  num_examples: int
  arrays: samples.Arrays
  is_all: bool


def of(config: config_lib.Config) -> tuple[str, str]:
  """Makes the page of a config's data.

  Args:
    config: The config; of its model and its optimizer nothing is looked at.

  Returns:
    The page, and a line that sums it up.

  Raises:
    UserError, DataError: If the flags or the data are not valid.
  """
  dataset, data = preparing.open_data(config)
  spec = dataset.spec
  augment = _augment(config, spec)
  seen = {
      name: _read(dataset.split(name), config.seed)
      for name in dataset.num_examples
  }
  arrays = {name: each.arrays for name, each in seen.items()}
  whole = {name: each.arrays for name, each in seen.items() if each.is_all}
  sampled = [name for name in seen if name not in whole]
  groups = copies.find(spec, whole)
  sections = {
      'Splits': _splits(seen, dataset.notes),
      'Features': _features(spec),
      'Values': ranges.show(spec, arrays),
      'Classes': _classes(spec, seen),
      'Missing': _missing(spec, seen),
      'Copies': copies.show(spec, whole, groups, sampled),
  }
  if data.mean:
    sections['Features'] += page.hint(
        f'Pixels in [0, 1] are normalized by the mean {data.mean} and the '
        f'deviation {data.std}; below they are shown without.'
    )
  for name in seen:
    data_of = dataset.split(name)
    raw = _sample(data_of, config.seed, min(_SHOWN, data_of.num_examples))
    forms = []
    if augment and name == 'train':
      forms = [_augmented(augment, raw, form) for form in range(_FORMS)]
    note = f'{len(raw["index"])} at random, by their index'
    if forms:
      note += ': as they are, then augmented as in training'
    sections[f'Examples of {name}'] = (
        page.hint(f'{note}.') + samples.show(spec, raw, forms)
    )
  counts = ', '.join(f'{each.num_examples:,} {n}' for n, each in seen.items())
  return (
      page.whole(f'{dataset.name} {dataset.version}'.strip(), sections),
      f'{counts}; {copies.describe(groups) if whole else "a sample"}',
  )


def _augment(
    config: config_lib.Config, spec: spec_lib.Spec
) -> augmentation.Augmenter | None:
  """Joins the augmentations of a run, in its order."""
  steps = [
      step
      for step in (augmenting.built_in(config, spec), augmenting.own(config))
      if step is not None
  ]

  def augment(batch: Any, seed: Any) -> Any:
    for step in steps:
      batch = step(batch, seed)
    return batch

  return augment if steps else None


def _augmented(
    augment: augmentation.Augmenter, raw: samples.Arrays, form: int
) -> samples.Arrays:
  """Augments examples as in some epoch."""
  count = len(raw['index'])
  batch = {name: tf.constant(array) for name, array in raw.items()}
  batch['epoch'] = tf.fill([count], form)
  batch['weight'] = tf.ones([count])
  made = augment(batch, tf.constant([form, 1]))
  return {name: np.asarray(made[name]) for name in raw}


def _sample(data: splits.Split, seed: int, count: int) -> samples.Arrays:
  """Loads some examples at random, in the order of their index."""
  [keys] = data.epochs(seed, 0, count).take(1)
  with streams.explained(data):
    raw = {name: each.numpy() for name, each in data.load(keys).items()}
  order = np.argsort(raw['index'])
  return {name: array[order] for name, array in raw.items()}


def _read(data: splits.Split, seed: int) -> _Seen:
  count = data.num_examples
  if data.is_resident:
    return _Seen(count, data.arrays, True)  # type: ignore[attr-defined]
  arrays = _sample(data, seed, min(_SAMPLE, count))
  return _Seen(count, arrays, count <= _SAMPLE)


def _splits(seen: Mapping[str, _Seen], notes: Iterable[str]) -> str:
  table = page.table(
      ['split', 'examples', 'looked at'],
      [
          [name, each.num_examples,
           'all' if each.is_all else f'{_SAMPLE:,} at random']
          for name, each in seen.items()
      ],
  )
  return table + ''.join(map(page.hint, notes))


def _features(spec: spec_lib.Spec) -> str:
  return page.table(
      ['feature', 'kind', 'shape', 'dtype', 'role', 'classes or words'],
      [
          [
              name, each.kind, ' x '.join(map(str, each.shape)) or '1',
              each.dtype, 'target' if name in spec.targets else 'input',
              f'{each.num_classes or sum(map(len, each.vocabularies)) or ""}',
          ]
          for name, each in spec.items()
      ],
  )


def _classes(
    spec: spec_lib.Spec, seen: Mapping[str, _Seen]
) -> str:
  """Counts the examples, or pixels, of each class."""
  found = ''
  for name, feature in spec.items():
    if not feature.num_classes:
      continue
    counts = {
        split: _count(feature, each.arrays[name])
        for split, each in seen.items()
    }
    most = max(1, *(int(each.max()) for each in counts.values()))
    rows = [
        [
            class_name,
            *(int(each[index]) for each in counts.values()),
            page.Markup(
                '<span class="bar" style="width: '
                f'{150 * int(next(iter(counts.values()))[index]) // most}px">'
                '</span>'
            ),
        ]
        for index, class_name in enumerate(feature.class_names)
    ]
    what = 'pixels of ' if feature.kind == spec_lib.MASK else ''
    found += page.table([f'{what}{name}', *counts, 'train'], rows)
  return found


def _count(feature: spec_lib.Feature, values: np.ndarray) -> np.ndarray:
  """Counts how often each class occurs, a block of examples at a time."""
  size = feature.num_classes
  total = np.zeros(size, np.int64)
  for start in range(0, len(values), _BLOCK):
    block = values[start : start + _BLOCK].astype(np.int64)
    if feature.kind == spec_lib.CLASSES:
      total += block.sum(axis=0)
    else:
      known = block[(block >= 0) & (block < size)]
      total += np.bincount(known, minlength=size)
  return total


def _missing(
    spec: spec_lib.Spec, seen: Mapping[str, _Seen]
) -> str:
  """Names the examples whose target says nothing."""
  rows = []
  for name in spec.targets:
    if name not in spec:
      continue
    feature = spec[name]
    for split, each in seen.items():
      values = each.arrays[name].reshape([len(each.arrays[name]), -1])
      lacks: Any
      if feature.kind == spec_lib.CLASSES:
        lacks = ~values.any(axis=1)
      elif values.dtype.kind == 'f':
        lacks = np.isnan(values).any(axis=1)
      elif values.dtype.kind == 'i':
        lacks = (values < 0).any(axis=1)
      else:
        continue
      if lacks.any():
        what = 'no class' if feature.kind == spec_lib.CLASSES else 'no label'
        rows.append([
            f'{name}: {what}', split, int(lacks.sum()), _listed(each, lacks)
        ])
  if not rows:
    text = 'Every example that was looked at has its label.'
    return page.hint(text)
  return page.table(['target', 'split', 'examples', 'index'], rows)


def _listed(seen: _Seen, chosen: np.ndarray) -> str:
  indices = np.flatnonzero(chosen)
  if 'index' in seen.arrays:
    indices = seen.arrays['index'][indices]
  shown = ', '.join(map(str, indices[:_MOST_LISTED].tolist()))
  return shown + (', ...' if len(indices) > _MOST_LISTED else '')
