"""Examples on a page: cards with pictures and text, or rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import tensorflow as tf

from pipelines import spec as spec_lib
from pipelines import texts

from ..evaluating import predicting
from . import page

_MAX_PIXELS = 256
_MAX_NUMBERS = 12
MAX_SWATCHES = 40
_MIN_SIDE = 4
_OF_TABLES = (spec_lib.NUMBERS, spec_lib.CATEGORIES)
Example = Mapping[str, Any]
Parts = tuple[dict[str, np.ndarray], list[tuple[str, str]]]


def shown(
    examples: Sequence[Example], spec: spec_lib.Spec, columns: Sequence[str]
) -> str:
  """Shows examples: those of a table as its rows, others as cards.

  Args:
    examples: The features, the `index` and other columns of each, by name.
    spec: The features.
    columns: The other columns to show, if present.

  Returns:
    HTML.
  """
  found = [parts(each, spec, columns) for each in examples]
  if all(feature.kind in _OF_TABLES for feature in spec.inputs.values()):
    return page.table(*as_table(found, spec))
  # The pictures of an example are shown side by side.
  width = max(15, 6 * max((len(figures) for figures, _ in found), default=0))
  cards = ''.join(_card(*each) for each in found)
  return (
      f'{_swatches(spec)}<div class="cards" style="--card: {width}rem">'
      f'{cards}</div>\n'
  )


def as_table(
    found: Sequence[Parts], spec: spec_lib.Spec
) -> tuple[list[str], list[list[str]]]:
  """Returns headers and rows of the text of `parts`."""
  # Predictions come first: the rest may be wide.
  names = dict.fromkeys(n for _, lines in found for n, _ in lines)
  inputs = {n for f in spec.inputs for n in (f, *spec[f].columns)}
  headers = sorted(names, key=inputs.__contains__)
  rows = [[dict(lines).get(n, '') for n in headers] for _, lines in found]
  return headers, rows


def parts(
    example: Example, spec: spec_lib.Spec, columns: Sequence[str]
) -> Parts:
  """Returns the displayed parts of an example; see `shown`.

  Returns:
    Its pictures, uint8 ``[H, W, C]``, and its other values as text, by name.
  """
  figures: dict[str, np.ndarray] = {}
  lines = [('index', str(int(example['index'])))]
  # Inputs come first, then targets, then predictions.
  for name in (*spec.inputs, *spec.targets, *columns):
    if name not in example:
      continue
    value = np.asarray(example[name])
    feature = spec.get(name) or _like(value, spec)
    pixels = _pixels(value, feature)
    if pixels is None:
      lines += _lines(name, value, feature, name in spec.inputs)
    else:
      figures[name] = pixels
  return figures, lines


def _card(
    figures: Mapping[str, np.ndarray], lines: Sequence[tuple[str, str]]
) -> str:
  text = '<br>'.join(
      f'<b>{page.escape(name)}</b> {page.escape(page.cut(value))}'
      for name, value in lines
  )
  pictures = ''.join(
      f'<figure><img alt="{page.escape(name)}" src="{uri(pixels)}">'
      f'<figcaption>{page.escape(name) * (len(figures) > 1)}</figcaption>'
      '</figure>'
      for name, pixels in figures.items()
  )
  return f'<div class="card">{pictures}<div>{text}</div></div>\n'


def legend(spec: spec_lib.Spec) -> list[tuple[str, tuple[int, int, int]]]:
  """Returns the classes of masks and their colors, if a target is a mask."""
  names = [
      name
      for target in spec.targets
      if target in spec and spec[target].kind == spec_lib.MASK
      for name in spec[target].class_names
  ]
  colors = map(tuple, _colors(len(names)).tolist())
  return list(zip(names, colors, strict=False))


def _swatches(spec: spec_lib.Spec) -> str:
  """Names the colors of masks."""
  names = legend(spec)
  found = [
      f'<span><i class="swatch" style="background:rgb({r},{g},{b})"></i>'
      f'{page.escape(name)}</span>'
      for name, (r, g, b) in names[:MAX_SWATCHES]
  ]
  more = len(names) - MAX_SWATCHES
  note = f' and {more:,} more classes' if more > 0 else ''
  return f'<p class="swatches hint">{" ".join(found)}{note}</p>' * bool(found)


def _like(value: np.ndarray, spec: spec_lib.Spec) -> spec_lib.Feature | None:
  """Returns the target that a column resembles, such as a mask."""
  for name in spec.targets:
    feature = spec.get(name)
    if not feature or not value.ndim or value.shape != feature.shape:
      continue
    # Probabilities are floats; classes and masks are not.
    is_classes = feature.kind in (spec_lib.MASK, spec_lib.CLASSES)
    if not is_classes or value.dtype.kind in 'iub':
      return feature
  return None


def _pixels(
    value: np.ndarray, feature: spec_lib.Feature | None
) -> np.ndarray | None:
  """Returns a value as a picture, uint8 ``[H, W, C]``, if it is one."""
  kind = feature.kind if feature else None
  if feature and kind == spec_lib.MASK:
    colors = _colors(feature.num_classes)
    return colors[np.clip(value, 0, len(colors) - 1)]
  if kind == spec_lib.IMAGE:
    value = pixels(value)
  is_picture = value.ndim == 2 or (value.ndim == 3 and value.shape[-1] < 5)
  if not is_picture or min(value.shape[:2]) < _MIN_SIDE:
    return None
  value = value[..., np.newaxis] if value.ndim == 2 else value
  value = value[..., :1] if value.shape[-1] == 2 else value
  if kind == spec_lib.IMAGE:
    return value
  if kind != spec_lib.ARRAY or value.dtype.kind not in 'uif':
    return None
  numbers = np.where(np.isfinite(value), value, 0).astype(np.float64)
  scaled = (numbers - numbers.min()) / max(np.ptp(numbers), 1e-12)
  return (scaled * 255).astype(np.uint8)


def pixels(images: np.ndarray) -> np.ndarray:
  """Returns images as uint8 ``[..., H, W, 1]`` or ``[..., H, W, 3]``.

  Args:
    images: uint8, or numbers up to 1 or up to 255, ``[..., H, W, C]``.
  """
  if images.dtype != np.uint8:
    scale = 255 if images.max() <= 1 else 1
    images = np.clip(images.astype(np.float32) * scale, 0, 255).astype(np.uint8)
  return images[..., :3] if images.shape[-1] >= 3 else images[..., :1]


def uri(pixels: np.ndarray) -> str:
  """Returns a picture, uint8 ``[H, W, C]``, as a data URI.

  Large pictures are subsampled.
  """
  step = -(-max(pixels.shape[:2]) // _MAX_PIXELS)
  return page.data_uri(
      'x.png', tf.io.encode_png(pixels[::step, ::step]).numpy()
  )


def _colors(number: int) -> np.ndarray:
  """Returns a color per class, uint8 ``[number, 3]``; the first is black."""
  palette = [
      color
      for name in ('tab20', 'tab20b')
      for color in matplotlib.colormaps[name](range(20))[:, :3]
  ]
  colors = [palette[i % len(palette)] for i in range(max(number - 1, 0))]
  return (np.array([(0, 0, 0), *colors]) * 255).astype(np.uint8)


def text(value: np.ndarray, feature: spec_lib.Feature) -> str:
  """Returns a value of a feature as text, without the names of columns."""
  return ', '.join(words for _, words in _lines('', value, feature, True))


def _lines(
    name: str,
    value: np.ndarray,
    feature: spec_lib.Feature | None,
    is_input: bool,
) -> Iterator[tuple[str, str]]:
  """Yields a value as text, by name."""
  prefix = '' if is_input else f'{name} '
  kind = feature.kind if feature else None
  if feature and kind == spec_lib.TEXT:
    [words] = feature.vocabularies
    yield name, texts.decode(value.tolist(), words, feature.tokenizer)
  elif feature and kind == spec_lib.CLASSES:
    names = np.asarray(feature.class_names)[value > 0]
    yield name, ', '.join(names) or 'none'
  elif feature and kind == spec_lib.CLASS and feature.class_names:
    yield name, str(predicting.decoded(feature, value[np.newaxis])[0])
  elif feature and kind == spec_lib.CATEGORIES:
    found = [
        words[i]
        for words, i in zip(feature.vocabularies, value.ravel(), strict=True)
    ]
    yield from _columns(name, found, feature.columns, prefix)
  elif value.dtype.kind in 'OSU' and not value.ndim:
    text = value.item()
    is_bytes = isinstance(text, bytes)
    yield name, text.decode(errors='replace') if is_bytes else str(text)
  else:
    numbers = [
        f'{each:.4g}' if isinstance(each, float) else str(each)
        for each in value.ravel()[: _MAX_NUMBERS + 1].tolist()
    ]
    columns = feature.columns if feature else ()
    yield from _columns(name, numbers, columns, prefix)


def _columns(
    name: str, values: Sequence[str], columns: Sequence[str], prefix: str
) -> Iterator[tuple[str, str]]:
  """Yields the first of several values, by the names of their columns."""
  some = values[:_MAX_NUMBERS]
  more = ', …' * (len(values) > len(some))
  # The only column of a target has the name of its feature.
  if len(columns) >= len(values) > bool(prefix):
    for column, value in zip(columns, some, strict=False):
      yield f'{prefix}{column}', value
    if more:
      yield '…', f'{len(columns) - len(some):,} more columns'
  else:
    yield name, ', '.join(some) + more
