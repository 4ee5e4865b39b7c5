"""Data that a run has not seen, converted to its features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines import datasets
from pipelines import spec as spec_lib

from .. import finished_run, programs, reading
from ..settings import options

ALL = 'all'


@dataclasses.dataclass(frozen=True)
class Chosen:
  """A split to score.

  Attributes:
    dataset: The data set, with the features of the run.
    split: The name of the split.
    name: Its name in file names.
  """

  dataset: datasets.Dataset
  split: str
  name: str


def chosen(
    run: finished_run.Run,
    dataset: options.Part | None,
    split: str,
    *,
    needs_targets: bool = True,
) -> Chosen:
  """Opens a split to score or to predict.

  Args:
    run: The run.
    dataset: A name, or a function that returns the data set. Default: that of
      the run.
    split: The name of a split, or `all` for another data set.
    needs_targets: Whether another data set must have the targets as well.

  Returns:
    The split.

  Raises:
    UserError: If there is no such split, or a feature does not fit.
  """
  if dataset is None:
    if split == ALL:
      raise programs.UserError(
          f'--split={ALL}: it is for another --dataset; the run has trained on '
          'a part of its own.'
      )
    run.check_split(split)
    return Chosen(run.dataset, split, split)
  whole: dict[str, Any] = {
      'validation_examples': None,
      'validation_split': 'none',
      'test_split': 'none',
  }
  changes = whole if split == ALL else {}
  config = dataclasses.replace(
      run.config, dataset=dataset, dataset_arg={}, **changes
  )
  other = reading.open_dataset(config, run.experiment.data.spec)
  splits = list(other.num_examples) if split == ALL else [split]
  if splits[0] not in other.num_examples:
    raise programs.UserError(
        f'--split={split}: {other.name} has '
        f'{", ".join(other.num_examples)}; or give {ALL}.'
    )
  before = run.experiment.data.spec
  if not needs_targets:
    targets = tuple(name for name in before.targets if name in other.spec)
    known = {name: before[name] for name in (*before.inputs, *targets)}
    before = spec_lib.Spec(known, targets)
  return Chosen(_adapted(before, other, splits), 'train', split)


def _adapted(
    before: spec_lib.Spec,
    dataset: datasets.Dataset,
    splits: Sequence[str],
) -> datasets.Dataset:
  """Returns splits as one, with integers encoded as in training.

  Raises:
    UserError: If a feature does not fit.
  """
  translate: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
  for name, feature in before.items():
    if name not in dataset.spec:
      raise programs.UserError(
          f'--dataset: {dataset.name} has no {name!r}, which the run was '
          f'trained on; it has {", ".join(dataset.spec)}.'
      )
    translate[name] = _translation(name, feature, dataset.spec[name])
  opened: list[Any] = [dataset.split(name) for name in splits]
  if dataset.spec == before and len(opened) == 1:
    return datasets.Dataset(dataset.name, before, {'train': opened[0]})
  if not all(data.is_resident for data in opened):
    raise programs.UserError(
        f'--dataset: {dataset.name} is too large for --resident_gb, and its '
        'features differ from those of the run; name one of its splits that '
        'has the same.'
    )
  arrays = {
      name: function(np.concatenate([d.arrays[name] for d in opened]))
      for name, function in translate.items()
  }
  return datasets.of_arrays(dataset.name, {'train': arrays}, before)


def _translation(
    name: str, before: spec_lib.Feature, now: spec_lib.Feature
) -> Callable[[np.ndarray], np.ndarray]:
  """Returns a function from values to their encoding in training.

  Raises:
    UserError: If there is none.
  """
  if now == before:
    return lambda values: values

  def refuse(what: str) -> None:
    old, new = getattr(before, what), getattr(now, what)
    raise programs.UserError(
        f'--dataset: {what.replace("_", " ")} of {name}: {_shown(new)}, and '
        f'the run was trained on {_shown(old)}.'
    )

  for what in ('kind', 'columns', 'shape', 'tokenizer'):
    if getattr(before, what) != getattr(now, what):
      refuse(what)
  if now.kind == spec_lib.CATEGORIES and now.vocabularies:
    return _by_column(before.vocabularies, now.vocabularies)
  if before.vocabularies != now.vocabularies:
    refuse('vocabularies')
  if before.class_names != now.class_names:
    if set(now.class_names) - set(before.class_names):
      refuse('class_names')
    if now.kind == spec_lib.CLASSES:
      refuse('class_names')
    places = np.array([before.class_names.index(n) for n in now.class_names])
    return lambda values: places[values].astype(before.dtype)
  return lambda values: values.astype(before.dtype)


def _by_column(
    before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]
) -> Callable[[np.ndarray], np.ndarray]:
  """Translates integers of categories; those unseen in training become 0."""
  known: list[Mapping[str, int]] = [
      {value: index for index, value in enumerate(each)} for each in before
  ]
  places = [
      np.array([old.get(value, 0) for value in new])
      for old, new in zip(known, now, strict=True)
  ]

  def translate(values: np.ndarray) -> np.ndarray:
    columns = [places[i][values[:, i]] for i in range(values.shape[1])]
    return np.stack(columns, axis=1).astype(values.dtype)

  return translate


def _shown(value: object) -> str:
  text = ', '.join(map(str, value)) if isinstance(value, tuple) else str(value)
  return f'{text[:77]}...' if len(text) > 80 else text or 'none'
