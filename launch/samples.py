"""Examples of a data set as a page shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines import spec as spec_lib
from pipelines import texts

from .reporting import pictures

_MOST_NUMBERS = 8
Arrays = Mapping[str, np.ndarray]


def show(
    spec: spec_lib.Spec, raw: Arrays, augmented: Sequence[Arrays] = ()
) -> str:
  """Shows examples, each as it is and then augmented.

  Args:
    spec: Their features.
    raw: An array ``[num_examples, ...]`` for each feature, and `index`.
    augmented: The same, each augmented in another way.

  Returns:
    HTML.
  """
  features, targets = dict(spec), list(spec.targets)
  columns = {name: _seen(feature, raw[name]) for name, feature in spec.items()}
  for form, arrays in enumerate(augmented, 1):
    for name, feature in spec.items():
      seen = _seen(feature, arrays[name])
      if not np.array_equal(seen, columns[name]):
        columns[f'{name} {form + 1}'] = seen
        features[f'{name} {form + 1}'] = feature
        if name in targets:
          targets.append(f'{name} {form + 1}')
  examples = [
      {'index': index, **{name: each[row] for name, each in columns.items()}}
      for row, index in enumerate(raw['index'])
  ]
  return pictures.shown(examples, spec_lib.Spec(features, tuple(targets)), ())


def _seen(feature: spec_lib.Feature, values: np.ndarray) -> np.ndarray:
  return pixels(values) if feature.kind == spec_lib.IMAGE else values


def split(
    name: str, feature: spec_lib.Feature, values: np.ndarray
) -> list[tuple[str, spec_lib.Feature, np.ndarray]]:
  """Splits a feature into its columns, if it has several.

  Args:
    name: Its name.
    feature: The feature.
    values: Its values, ``[num_examples, ...]``.

  Returns:
    The name, the feature and the values of each column.
  """
  kinds = (spec_lib.NUMBERS, spec_lib.CATEGORIES)
  is_table = feature.kind in kinds and feature.shape == (len(feature.columns),)
  if not is_table:
    return [(name, feature, values)]
  return [
      (
          column,
          dataclasses.replace(
              feature,
              shape=(1,),
              columns=(column,),
              vocabularies=feature.vocabularies[index : index + 1],
          ),
          values[:, index : index + 1],
      )
      for index, column in enumerate(feature.columns)
  ]


def pixels(array: np.ndarray) -> np.ndarray:
  """Returns images as uint8 ``[..., H, W, 1]`` or ``[..., H, W, 3]``."""
  if array.dtype != np.uint8:  # Of an augmentation: up to 1, or up to 255.
    scale = 255 if array.max() <= 1 else 1
    array = np.clip(array.astype(np.float32) * scale, 0, 255).astype(np.uint8)
  return array[..., :3] if array.shape[-1] >= 3 else array[..., :1]


def value(feature: spec_lib.Feature, array: np.ndarray) -> str:
  """Returns the value of one example, in words where there are any."""
  names = feature.class_names
  if feature.kind == spec_lib.CLASS:
    index = int(array)
    known = 0 <= index < len(names)
    return names[index] if known else f'none ({index})'
  if feature.kind == spec_lib.CLASSES:
    found = [names[index] for index in np.flatnonzero(array)]
    return ', '.join(found) or 'none'
  if feature.kind == spec_lib.TEXT:
    [words] = feature.vocabularies
    return texts.decode(array.tolist(), words, feature.tokenizer)
  if feature.kind == spec_lib.CATEGORIES:
    found = [
        words[index] if 0 <= index < len(words) else '?'
        for words, index in zip(
            feature.vocabularies, array.tolist(), strict=True
        )
    ]
    return ', '.join(found)
  numbers = np.ravel(array)
  shown = [
      f'{number:.5g}' if number == number else 'missing'
      for number in numbers[:_MOST_NUMBERS].tolist()
  ]
  more = len(numbers) - len(shown)
  return ', '.join(shown) + (f', {more} more' if more else '')
