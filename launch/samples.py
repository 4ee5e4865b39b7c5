"""Examples of a data set as blocks of a page: images, rows, texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines import spec as spec_lib

from . import pages

_WIDTH = 112
# What a cell has room for.
_MOST_NUMBERS = 8
_MOST_TOKENS = 60
# Of masks, one a class; the first class, often the background, is left clear.
_COLORS = np.array([
    [230, 25, 75], [60, 180, 75], [0, 130, 200], [255, 225, 25],
    [145, 30, 180], [245, 130, 48], [70, 240, 240], [240, 50, 230],
    [170, 110, 40],
], np.float32)
Arrays = Mapping[str, np.ndarray]


def blocks(
    spec: spec_lib.Spec, raw: Arrays, augmented: Sequence[Arrays] = ()
) -> list[pages.Markup]:
  """Shows examples.

  Args:
    spec: Their features.
    raw: An array ``[num_examples, ...]`` for each feature, and `index`.
    augmented: The same, each augmented in another way.

  Returns:
    What goes onto a page: a figure for each example if there are images, else
    a table with a row for each.
  """
  images = spec.of_kind(spec_lib.IMAGE)
  count = len(raw['index'])
  if images:
    return [
        _figure(spec, list(images), row, raw, augmented) for row in range(count)
    ]
  tables = [_table(spec, raw)]
  for each in augmented[:1]:
    tables += [pages.paragraph('Augmented:'), _table(spec, each)]
  return tables


def _table(spec: spec_lib.Spec, arrays: Arrays) -> pages.Markup:
  """Shows a row for each example; columns of the data are columns here."""
  headers = ['index']
  columns = [[str(int(index)) for index in arrays['index']]]
  for name, feature in spec.items():
    for header, part, values in split(name, feature, arrays[name]):
      headers.append(header)
      columns.append([value(part, each) for each in values])
  return pages.table(headers, zip(*columns, strict=True))


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


def _figure(
    spec: spec_lib.Spec,
    names: list[str],
    row: int,
    raw: Arrays,
    augmented: Sequence[Arrays],
) -> pages.Markup:
  """Shows one example with images, each raw, with its masks, and augmented."""
  masks = [n for n, f in spec.items() if f.kind == spec_lib.MASK]
  shown = []
  for arrays in (raw, *augmented):
    for name in names:
      picture = pixels(arrays[name][row])
      shown.append(pages.image(picture, _WIDTH))
      shown += [
          pages.image(overlaid(picture, arrays[mask][row]), _WIDTH)
          for mask in masks
          if arrays[mask].shape[1:3] == arrays[name].shape[1:3]
      ]
  rest = [n for n in spec if n not in (*names, *masks)]
  said = [str(int(raw['index'][row]))]
  for name in rest:
    before = '' if name == spec_lib.LABEL else f'{name}: '
    said.append(before + pages.escape(value(spec[name], raw[name][row])))
  return pages.Markup(
      f'<figure>{"".join(shown)}<figcaption>{" · ".join(said)}</figcaption>'
      '</figure>'
  )


def pixels(array: np.ndarray) -> np.ndarray:
  """Returns an image as uint8 ``[H, W]`` or ``[H, W, 3]``, to be seen."""
  if array.dtype != np.uint8:  # Of an augmentation: up to 1, or up to 255.
    scale = 255 if array.max() <= 1 else 1
    array = np.clip(array.astype(np.float32) * scale, 0, 255).astype(np.uint8)
  return array[..., :3] if array.shape[-1] >= 3 else array[..., 0]


def overlaid(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Paints the classes of a mask over an image without its own colors."""
  gray = picture if picture.ndim == 2 else picture.mean(axis=-1)
  colors = _COLORS[(mask.astype(np.int64) - 1) % len(_COLORS)]
  painted = np.where((mask > 0)[..., None], colors, gray[..., None])
  return (0.4 * gray[..., None] + 0.6 * painted).astype(np.uint8)


def legend(feature: spec_lib.Feature) -> pages.Markup:
  """Names the colors of a mask."""
  return pages.Markup(' '.join(
      f'<span style="color: rgb{tuple(map(int, color))}">■</span> '
      f'{pages.escape(name)}'
      for name, color in zip(feature.class_names[1:], _COLORS, strict=False)
  ))


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
    return _text(feature, array)
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


def _text(feature: spec_lib.Feature, array: np.ndarray) -> pages.Markup:
  """Returns a text as far as its tokens keep it, and the tokens below it."""
  [words] = feature.vocabularies
  ids = [index for index in array.tolist() if index]
  tokens = [words[i] if 0 <= i < len(words) else '?' for i in ids]
  if feature.tokenizer == 'bytes':
    numbers = [index - 2 for index in ids if index >= 2]
    text = bytes(numbers).decode('utf-8', 'replace')
  else:
    text = (' ' if feature.tokenizer == 'words' else '').join(
        token for token in tokens
        if feature.tokenizer != 'trigrams' or len(token) == 1
    )
  cut = f' ... ({len(tokens)} tokens)' if len(tokens) > _MOST_TOKENS else ''
  marked = ''.join(
      f'<span class="token" title="{index}">{pages.escape(token)}</span>'
      for token, index in list(zip(tokens, ids, strict=True))[:_MOST_TOKENS]
  )
  shown = text if len(text) < 400 else f'{text[:400]}...'
  return pages.Markup(f'{pages.escape(shown)}<br>{marked}{cut}')
