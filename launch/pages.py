"""Pages of HTML that stand alone: no other file, no script, no network."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2em auto;
  max-width: 75em; padding: 0 1.5em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em;
  border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1em 0; font-size: 0.92em; }
th, td { padding: 0.2em 0.8em; text-align: right; vertical-align: top; }
th { background: #f3f3f3; } tr + tr td { border-top: 1px solid #eee; }
th.left, td.left { text-align: left; }
.wide { overflow-x: auto; } .note { color: #666; }
figure { display: inline-block; margin: 0 0.9em 1em 0; vertical-align: top;
  font-size: 0.82em; }
figcaption { max-width: 15em; overflow-wrap: anywhere; }
img.pixels { image-rendering: pixelated; margin-right: 3px; }
.bar { display: inline-block; height: 0.7em; background: #4c8bc9; }
.token { background: #eef3f8; border-radius: 3px; padding: 0 0.25em;
  margin-right: 0.25em; white-space: pre-wrap; }
"""


class Markup(str):
  """Text that is HTML already."""


def escape(value: object) -> Markup:
  """Returns a value as HTML shows it; markup stays as it is."""
  return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def page(title: str, sections: Mapping[str, Iterable[Markup]]) -> str:
  """Returns a page of sections, each a heading and what comes below it."""
  parts = [f'<h1>{escape(title)}</h1>']
  for heading, blocks in sections.items():
    parts += [f'<h2>{escape(heading)}</h2>', *blocks]
  return (
      '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
      f'<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>'
      + '\n'.join(parts)
      + '</body></html>\n'
  )


def paragraph(text: object, kind: str = '') -> Markup:
  """Returns a paragraph, of a class of the style such as `note`."""
  return Markup(f'<p class="{kind}">{escape(text)}</p>')


def table(
    headers: Sequence[object], rows: Iterable[Sequence[object]]
) -> Markup:
  """Returns a table; the first column and markup are on the left."""
  rows = list(rows)
  left = {0} | {
      index
      for row in rows
      for index, cell in enumerate(row)
      if isinstance(cell, Markup)
  }

  def line(tag: str, cells: Sequence[object]) -> str:
    inner = ''.join(
        f'<{tag}{" class=left" if index in left else ""}>{escape(cell)}</{tag}>'
        for index, cell in enumerate(cells)
    )
    return f'<tr>{inner}</tr>'

  lines = [line('th', headers), *(line('td', row) for row in rows)]
  return Markup(f'<div class="wide"><table>{"".join(lines)}</table></div>')


def image(pixels: np.ndarray, width: int) -> Markup:
  """Returns an image, uint8 ``[H, W]`` or ``[H, W, 3]``, of a width."""
  return Markup(f'<img class="pixels" width="{width}" src="{_data(pixels)}">')


def _data(pixels: np.ndarray) -> str:
  """Returns an image as the address of a PNG that it contains."""
  height, width = pixels.shape[:2]
  rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
  # Each row of a PNG begins with how it is filtered: not at all.
  raw = np.pad(rows, [[0, 0], [1, 0]]).tobytes()
  kind = 2 if pixels.ndim == 3 else 0
  parts = (
      (b'IHDR', struct.pack('>IIBBBBB', width, height, 8, kind, 0, 0, 0)),
      (b'IDAT', zlib.compress(raw)),
      (b'IEND', b''),
  )
  png = b'\x89PNG\r\n\x1a\n' + b''.join(
      struct.pack('>I', len(body))
      + name + body
      + struct.pack('>I', zlib.crc32(name + body))
      for name, body in parts
  )
  return f'data:image/png;base64,{base64.b64encode(png).decode()}'
