"""Reads TFDS data sets with any features into arrays."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from .. import (
    autograph,
    datasets,
    errors,
    images,
    options,
    parts,
    records,
    spec,
)
from . import checks, kinds

KEYS = ('label', 'inputs')
_BATCH_SIZE = 256
_features = tfds.features


@dataclasses.dataclass(frozen=True)
class _Column:
  """A TFDS feature to read, and its role."""

  path: str
  feature: Any
  is_label: bool

  @property
  def class_names(self) -> tuple[str, ...]:
    """The names of the classes, if TFDS has any."""
    feature = self.feature
    if isinstance(feature, _features.Sequence):
      feature = feature.feature
    names = getattr(feature, 'names', None)
    return tuple(names) if names else ()

  @property
  def is_scalar(self) -> bool:
    """Whether it is one column of a table."""
    return not self.is_label and (
        self.feature.shape == ()
        and not isinstance(self.feature, _features.Text)
    )

  def prepare(
      self, value: Any, image_size: tuple[int, int] | None
  ) -> tf.Tensor:
    """Converts a value to the shape common to all examples."""
    if isinstance(self.feature, _features.Image) and image_size is not None:
      return images.resize(value, image_size, is_mask=self.is_label)
    if _is_set(self.feature):
      size = self.feature.feature.num_classes
      return tf.reduce_max(tf.one_hot(value, size, dtype=tf.uint8), axis=0)
    return tf.ensure_shape(value, self.feature.shape)


def is_needed(
    builder: tfds.core.DatasetBuilder, query: Mapping[str, Any]
) -> bool:
  """Returns whether a data set is more than byte images with one class each.

  Args:
    builder: The builder of the data set.
    query: The query of the user.
  """
  found = _flat(builder.info.features)
  image, label = found.get(spec.IMAGE), found.get(spec.LABEL)
  return bool(query) or not (
      isinstance(image, _features.Image)
      and image.np_dtype == np.uint8
      and label is not None
      and label.shape == ()
      and np.issubdtype(label.np_dtype, np.integer)
  )


def of_builder(
    builder: tfds.core.DatasetBuilder,
    name: str,
    query: Mapping[str, Sequence[str]],
    chosen: options.Options,
) -> datasets.Dataset:
  """Reads a prepared data set.

  Columns of numbers are joined into one feature `numbers`, columns of classes,
  integers and strings into `categories`; images, texts and arrays keep their
  names, nested ones as 'a/b'.

  Args:
    builder: The builder of the data set.
    name: The name under which it was opened.
    query: `label`, the feature to predict, by default 'label'; `inputs`, by
      default all other usable features.
    chosen: Options of splits, image size and the tokenization of texts.

  Returns:
    The data set, in memory.

  Raises:
    DataError: If a requested feature does not exist or cannot be used, a value
      is damaged, or the data set exceeds the memory budget.
  """
  notes: list[str] = []
  columns = _choose(builder, name, query, chosen, notes)
  found = parts.choose(
      builder,
      chosen.validation_examples,
      chosen.validation_split,
      chosen.test_split,
  )
  _check_budget(name, columns, found.values(), chosen)
  raw = {
      split: _read(builder, part, columns, chosen.image_size)
      for split, part in found.items()
  }
  place = lambda split, index: (
      f'example {found[split].start + index} of {found[split].split}'
  )
  values = {}
  with errors.prefixed(f'dataset: {name}'):
    for key, joined, column in _grouped(columns):
      if column is None:
        array = {
            split: _stack([rows[each.path] for each in joined])
            for split, rows in raw.items()
        }
        headings = tuple(each.path for each in joined)
        if key == spec.CATEGORIES:
          values[key] = kinds.categories(key, array, headings)
        else:
          inferred = kinds.infer(key, array, (), chosen, place)
          values[key] = inferred._replace(
              feature=dataclasses.replace(inferred.feature, columns=headings)
          )
        continue
      array = {split: rows[column.path] for split, rows in raw.items()}
      values[key] = kinds.infer(key, array, column.class_names, chosen, place)
  return _joined(name, str(builder.version), values, notes)


def _joined(
    name: str,
    version: str,
    values: Mapping[str, checks.Values],
    notes: Sequence[str],
) -> datasets.Dataset:
  features = {
      _named(key, each.feature): each.feature for key, each in values.items()
  }
  arrays: dict[str, dict[str, np.ndarray]] = {}
  for key, each in values.items():
    for split, array in each.arrays.items():
      arrays.setdefault(split, {})[_named(key, each.feature)] = array
  made = spec.Spec(features)
  told = [*notes, *(note for each in values.values() for note in each.notes)]
  return datasets.Dataset(
      name,
      made,
      {split: datasets.in_memory(some, made) for split, some in arrays.items()},
      notes=told,
      version=version,
  )


def _named(key: str, feature: spec.Feature) -> str:
  """Returns the name of a feature; for a text `tokens`, as in models."""
  return 'tokens' if feature.kind == spec.TEXT and key == 'text' else key


def _flat(features: Any, prefix: str = '') -> dict[str, Any]:
  """Lists the features of a data set, nested ones as 'a/b', sorted by name."""
  if not isinstance(features, _features.FeaturesDict):
    return {prefix or 'value': features}
  found = {}
  # TFDS stores them in a protocol buffer map, which is unordered.
  for name, feature in sorted(features.items()):
    found.update(_flat(feature, f'{prefix}/{name}' if prefix else name))
  return found


def _choose(
    builder: tfds.core.DatasetBuilder,
    name: str,
    query: Mapping[str, Sequence[str]],
    chosen: options.Options,
    notes: list[str],
) -> list[_Column]:
  found = _flat(builder.info.features)
  listed = ', '.join(f'{n} ({type(f).__name__})' for n, f in found.items())
  label = ''.join(query.get('label', (spec.LABEL,)))
  asked = query.get('inputs', ())
  for each in (label, *asked):
    if each not in found:
      raise errors.DataError(
          f'dataset: {name} has no {each!r}; it has {listed}. Name the feature '
          f'to predict, as in tfds:{name}?label=NAME.'
      )
  columns = [_Column(label, found[label], is_label=True)]
  for path in asked or [path for path in found if path != label]:
    column = _Column(path, found[path], is_label=False)
    why = _why_useless(column, chosen.image_size)
    if why and asked:
      raise errors.DataError(f'dataset: {name}: {path} {why}.')
    if why:
      notes.append(f'{name}: {path} is left out: it {why}.')
    else:
      columns.append(column)
  if why := _why_useless(columns[0], chosen.image_size):
    raise errors.DataError(
        f'dataset: {name}: {label} cannot be predicted: it {why}; it has '
        f'{listed}. Name another, as in tfds:{name}?label=NAME.'
    )
  if len(columns) == 1:
    raise errors.DataError(
        f'dataset: {name} has nothing to predict {label} from; it has {listed}'
        f'{"".join(f"; {note}" for note in notes).rstrip(".")}.'
    )
  return columns


def _why_useless(
    column: _Column, image_size: tuple[int, int] | None
) -> str | None:
  """Returns why a feature cannot be an array, or None if it can."""
  feature = column.feature
  if _is_set(feature):
    return None if column.is_label else 'is a list of variable length'
  if isinstance(feature, _features.Image):
    if feature.np_dtype != np.uint8:
      dtype = getattr(feature.np_dtype, '__name__', feature.np_dtype)
      return f'is an image of {dtype}, not uint8'
    if image_size is None and None in feature.shape:
      return 'differs in size; pass image_size'
    return None if feature.shape[-1] else 'has a variable number of channels'
  if isinstance(feature, _features.Text):
    return None
  if not isinstance(feature, _features.Tensor | _features.ClassLabel):
    return f'is a {type(feature).__name__}, which is not supported'
  return 'differs in shape' if None in feature.shape else None


def _is_set(feature: Any) -> bool:
  return isinstance(feature, _features.Sequence) and isinstance(
      feature.feature, _features.ClassLabel
  )


def _check_budget(
    name: str,
    columns: Sequence[_Column],
    chosen_parts: Iterable[parts.Part],
    chosen: options.Options,
) -> None:
  """Raises if the data set exceeds memory; only images are streamed."""
  num_examples = sum(part.num_examples for part in chosen_parts)
  num_bytes = num_examples * sum(
      _num_bytes(column, chosen.image_size) for column in columns
  )
  if num_bytes > chosen.memory_budget_gb * 1e9:
    raise errors.DataError(
        f'dataset: {name}: {num_examples:,} examples take '
        f'{num_bytes / 1e9:.1f} * 10^9 bytes, more than the memory budget of '
        f'{chosen.memory_budget_gb:g}; increase it, choose a smaller '
        'image_size, or read fewer features, as in ?inputs=A,B.'
    )


def _num_bytes(column: _Column, image_size: tuple[int, int] | None) -> int:
  shape = column.feature.shape
  if image_size is not None and isinstance(column.feature, _features.Image):
    shape = (*image_size, shape[-1])
  sizes = [size or 1 for size in shape]
  return int(np.prod(sizes)) * np.dtype(column.feature.np_dtype).itemsize


def _read(
    builder: tfds.core.DatasetBuilder,
    part: parts.Part,
    columns: Sequence[_Column],
    image_size: tuple[int, int] | None,
) -> dict[str, np.ndarray]:
  @autograph.off
  def prepare(example: Any) -> dict[str, tf.Tensor]:
    flat = {
        column.path: functools.reduce(
            lambda nest, key: nest[key], column.path.split('/'), example
        )
        for column in columns
    }
    return {
        column.path: column.prepare(flat[column.path], image_size)
        for column in columns
    }

  dataset = records.decoded(
      builder,
      f'{part.split}[{part.start}:{part.stop}]',
      [column.path for column in columns],
  )
  dataset = dataset.map(
      prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  try:
    batches = list(dataset.batch(_BATCH_SIZE).as_numpy_iterator())
  except tf.errors.OpError as error:
    raise errors.DataError(
        f'dataset: {builder.name}, split {part.split}: an example cannot be '
        f'read: {errors.one_line(error)}; prepare the set again.'
    ) from error
  return {
      column.path: _decoded(
          np.concatenate([batch[column.path] for batch in batches]), column
      )
      for column in columns
  }


def _decoded(array: np.ndarray, column: _Column) -> np.ndarray:
  """Converts texts to strings, and classes of inputs to their names."""
  if array.dtype == object:
    strings = [item.decode('utf-8', 'replace') for item in array.ravel()]
    return checks.stripped(np.array(strings, dtype=str)).reshape(array.shape)
  if column.is_scalar and column.class_names:
    return np.array(('', *column.class_names))[array + 1]
  return array


def _grouped(
    columns: Sequence[_Column],
) -> Iterable[tuple[str, list[_Column], _Column | None]]:
  """Yields the features to make, and the column or columns of each."""
  scalars: dict[str, list[_Column]] = {spec.NUMBERS: [], spec.CATEGORIES: []}
  for column in columns:
    if column.is_scalar:
      is_number = np.issubdtype(column.feature.np_dtype, np.floating)
      scalars[spec.NUMBERS if is_number else spec.CATEGORIES].append(column)
    else:
      yield spec.LABEL if column.is_label else column.path, [], column
  for key, joined in scalars.items():
    if joined:
      yield key, joined, None


def _stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
  """Joins scalars to ``[num_examples, num_columns]``; strings if any is one."""
  if any(array.dtype.kind == 'U' for array in arrays):
    arrays = [array.astype(str) for array in arrays]
  return np.stack(arrays, axis=1)
