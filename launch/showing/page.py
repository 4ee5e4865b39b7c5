"""A page about a data set: contents, flaws, and examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import augmentation
from pipelines import spec as spec_lib
from pipelines import splits, streams

from .. import config as config_lib
from ..reporting import page, pictures
from ..training import augmenting, preparing
from . import copies, ranges

# The number of examples shown per split, and of augmented forms of each.
_SHOWN = 24
_FORMS = 2
# The number of examples inspected of a split that is not in memory.
_SAMPLE = 2_000
_MOST_LISTED = 20
_BLOCK = 1_024


@dataclasses.dataclass(frozen=True)
class _Seen:
  """The inspected part of a split.

  Attributes:
    num_examples: The number of examples of the split.
    arrays: The inspected examples: all, or a sample.
    is_all: Whether these are all examples.
  """

  num_examples: int
  arrays: copies.Arrays
  is_all: bool


def of(config: config_lib.Config) -> tuple[str, str]:
  """Makes a page about the data of a config.

  Args:
    config: The config; its model and optimizer do not matter.

  Returns:
    The page, and a one-line summary.

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
        f'deviation {data.std}; the page shows raw values.'
    )
  for name in seen:
    data_of = dataset.split(name)
    raw = _sample(data_of, config.seed, min(_SHOWN, data_of.num_examples))
    forms = []
    if augment and name == 'train':
      forms = [_augmented(augment, raw, form) for form in range(_FORMS)]
    note = f'{len(raw["index"])} at random, ordered by index'
    if forms:
      note += '; raw, then augmented as in training'
    sections[f'Examples of {name}'] = page.hint(f'{note}.') + _examples(
        spec, raw, forms
    )
  counts = ', '.join(f'{each.num_examples:,} {n}' for n, each in seen.items())
  return (
      page.whole(f'{dataset.name} {dataset.version}'.strip(), sections),
      f'{counts}; {copies.describe(groups) if whole else "a sample"}',
  )


def _augment(
    config: config_lib.Config, spec: spec_lib.Spec
) -> augmentation.Augmenter | None:
  """Returns the augmentations of a run as one function, or None."""
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
    augment: augmentation.Augmenter, raw: copies.Arrays, form: int
) -> copies.Arrays:
  """Augments examples as in the epoch of that number."""
  count = len(raw['index'])
  batch = {name: tf.constant(array) for name, array in raw.items()}
  batch['epoch'] = tf.fill([count], form)
  batch['weight'] = tf.ones([count])
  made = augment(batch, tf.constant([form, 1]))
  return {name: np.asarray(made[name]) for name in raw}


def _examples(
    spec: spec_lib.Spec, raw: copies.Arrays, augmented: Sequence[copies.Arrays]
) -> str:
  """Shows examples, each raw and then augmented."""
  features, targets = dict(spec), list(spec.targets)
  columns = {name: _seen(feature, raw[name]) for name, feature in spec.items()}
  for form, arrays in enumerate(augmented, 2):
    for name, feature in spec.items():
      seen = _seen(feature, arrays[name])
      if not np.array_equal(seen, columns[name]):
        columns[f'{name} {form}'] = seen
        features[f'{name} {form}'] = feature
        if name in targets:
          targets.append(f'{name} {form}')
  examples = [
      {'index': index, **{name: each[row] for name, each in columns.items()}}
      for row, index in enumerate(raw['index'])
  ]
  return pictures.shown(examples, spec_lib.Spec(features, tuple(targets)), ())


def _seen(feature: spec_lib.Feature, values: np.ndarray) -> np.ndarray:
  return pictures.pixels(values) if feature.kind == spec_lib.IMAGE else values


def _sample(data: splits.Split, seed: int, count: int) -> copies.Arrays:
  """Loads some random examples, in the order of their index."""
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
      ['split', 'examples', 'inspected'],
      [
          [
              name,
              each.num_examples,
              'all' if each.is_all else f'{_SAMPLE:,} at random',
          ]
          for name, each in seen.items()
      ],
  )
  return table + ''.join(map(page.hint, notes))


def _features(spec: spec_lib.Spec) -> str:
  return page.table(
      ['feature', 'kind', 'shape', 'dtype', 'role', 'classes or words'],
      [
          [
              name,
              each.kind,
              ' x '.join(map(str, each.shape)) or '1',
              each.dtype,
              'target' if name in spec.targets else 'input',
              f'{each.num_classes or sum(map(len, each.vocabularies)) or ""}',
          ]
          for name, each in spec.items()
      ],
  )


def _classes(spec: spec_lib.Spec, seen: Mapping[str, _Seen]) -> str:
  """Counts the examples, or pixels, of each class."""
  found = ''
  for name, feature in spec.items():
    if not feature.num_classes:
      continue
    counts = {
        split: _count(feature, each.arrays[name])
        for split, each in seen.items()
    }
    most = max(1, int(counts['train'].max()))
    rows = [
        [
            class_name,
            *(int(each[index]) for each in counts.values()),
            page.Markup(
                '<span class="bar" style="width: '
                f'{150 * int(counts["train"][index]) // most}px"></span>'
            ),
        ]
        for index, class_name in enumerate(feature.class_names)
    ]
    what = 'pixels of ' if feature.kind == spec_lib.MASK else ''
    found += page.table([f'{what}{name}', *counts, 'train'], rows)
  return found


def _count(feature: spec_lib.Feature, values: np.ndarray) -> np.ndarray:
  """Counts each class, a block of examples at a time."""
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


def _missing(spec: spec_lib.Spec, seen: Mapping[str, _Seen]) -> str:
  """Lists the examples without a target."""
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
        rows.append(
            [f'{name}: {what}', split, int(lacks.sum()), _listed(each, lacks)]
        )
  if not rows:
    return page.hint('Every inspected example has a label.')
  return page.table(['target', 'split', 'examples', 'index'], rows)


def _listed(seen: _Seen, chosen: np.ndarray) -> str:
  indices = np.flatnonzero(chosen)
  if 'index' in seen.arrays:
    indices = seen.arrays['index'][indices]
  shown = ', '.join(map(str, indices[:_MOST_LISTED].tolist()))
  return shown + (', ...' if len(indices) > _MOST_LISTED else '')
