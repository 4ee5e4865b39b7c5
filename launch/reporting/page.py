"""A self-contained HTML page. Each part escapes its own text.

Nothing is loaded from elsewhere: the style is inline, pictures are data URIs.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import math
import pathlib
import re
import string
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Maximum rows of a table, and characters of a cell.
MAX_ROWS = 50
MAX_LETTERS = 300
# Minimum width of a plot, in pixels; a narrower screen scrolls.
_MIN_PLOT = 640
_DPI = 120
_TYPES = {'png': 'image/png', 'svg': 'image/svg+xml', 'jpg': 'image/jpeg'}
_PAGE = string.Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8885; --soft: #8882; --hint: #777;
  --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --hint: #aaa; --good: #3fb950; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto;
  padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem;
  border-bottom: 1px solid var(--line); }
nav { font-size: .9rem; } nav a { margin-right: .9rem; white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  margin: .5rem 0; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top;
  max-width: 28rem; overflow-wrap: break-word; }
.facts td { overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; }
tr { border-bottom: 1px solid var(--soft); }
td.n, th.n { text-align: right; white-space: nowrap; }
td.best { color: var(--good); font-weight: 700; }
.facts td:first-child { min-width: 7rem; }
img.plot { max-width: 100%; height: auto; background: #fff; padding: 4px;
  box-sizing: border-box; border-radius: 4px; }
pre { overflow-x: auto; background: var(--soft); padding: .6rem;
  border-radius: 4px; font-size: .85rem; }
.hint { color: var(--hint); font-size: .9rem; }
.cards { display: grid; gap: .7rem; font-size: .82rem; line-height: 1.35;
  grid-template-columns:
    repeat(auto-fill, minmax(min(100%, var(--card)), 1fr)); }
.card { border: 1px solid var(--line); border-radius: 6px; padding: .5rem;
  overflow-wrap: anywhere; min-width: 0; display: flex; flex-wrap: wrap;
  gap: .3rem .6rem; }
.card figure { margin: 0; }
.card img { height: 84px; max-width: 100%; image-rendering: pixelated;
  display: block; background: #888; }
.card div { flex: 1 1 7rem; min-width: 0; }
.card figcaption { color: var(--hint); }
.card b { font-weight: 600; }
.swatch { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 0;
  border: 1px solid var(--line); }
.swatches span { margin-right: 1em; white-space: nowrap; }
.bar { display: inline-block; height: .7em; background: #4c8bc9; }
img.small { height: 48px; image-rendering: pixelated; margin-right: 3px; }
</style>
<h1>$title</h1>
$body
</html>
""")


class Markup(str):
  """Text that is already HTML."""


def whole(title: str, sections: Mapping[str, str]) -> str:
  """Returns a page.

  Args:
    title: Its title.
    sections: The HTML of each section, by heading; empty ones are omitted.

  Returns:
    The file, in ASCII.
  """
  there = {name: part for name, part in sections.items() if part}
  links = ''.join(
      f'<a href="#s{i}">{escape(name)}</a> ' for i, name in enumerate(there)
  )
  body = f'<nav>{links}</nav>' + ''.join(
      f'<section id="s{i}"><h2>{escape(name)}</h2>\n{part}</section>\n'
      for i, (name, part) in enumerate(there.items())
  )
  text = _PAGE.substitute(title=escape(title), body=body)
  return text.encode('ascii', 'xmlcharrefreplace').decode()


def escape(value: Any) -> str:
  """Escapes text for HTML; markup is unchanged."""
  return value if isinstance(value, Markup) else html.escape(str(value))


def part(value: Any) -> str:
  """Returns the name of a part of a run. None stands for the task's part."""
  return "the task's own" if value is None else str(value)


def cut(text: str, most: int = MAX_LETTERS) -> str:
  """Shortens a long text, and notes how much is omitted."""
  if len(text) <= most:
    return text
  return f'{text[:most]}… ({len(text) - most:,} more letters)'


def paragraphs(text: str) -> str:
  """Converts text to HTML paragraphs, separated by empty lines."""
  return ''.join(
      f'<p>{escape(part)}</p>\n' for part in text.split('\n\n') if part
  )


def number(value: Any) -> str:
  """Formats the value of a cell."""
  if value is None:
    return '-'
  if isinstance(value, Markup):
    return value
  if isinstance(value, bool) or not isinstance(value, int | float):
    return cut(str(value))
  if isinstance(value, int):
    return f'{value:,}'
  if not math.isfinite(value) or value == 0:
    return f'{value:g}'
  if not 1e-3 <= abs(value) < 1e15:
    return f'{value:.4g}'
  # Five significant digits, at most four after the decimal point.
  return f'{value:,.{min(max(4 - int(math.log10(abs(value))), 0), 4)}f}'


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Any]],
    best: Mapping[int, set[int]] | None = None,
) -> str:
  """Returns an HTML table of the first rows, and the number of omitted ones.

  Args:
    headers: The headers; if all are empty, the table has none.
    rows: The rows.
    best: The columns to mark, by the position of the row.
  """
  if not rows:
    return ''
  is_number = [
      all(isinstance(row[i], int | float | None) for row in rows)
      for i in range(len(headers))
  ]

  def cell(tag: str, column: int, value: Any, marked: bool = False) -> str:
    names = 'n ' * is_number[column] + 'best' * marked
    kind = f' class="{names.strip()}"' if names else ''
    return f'<{tag}{kind}>{escape(number(value))}</{tag}>'

  lines = [''.join(cell('th', i, name) for i, name in enumerate(headers))]
  kind = ''
  if not any(headers):
    lines, kind = [], ' class="facts"'
  lines += [
      ''.join(
          cell('td', i, value, i in (best or {}).get(place, ()))
          for i, value in enumerate(row)
      )
      for place, row in enumerate(rows[:MAX_ROWS])
  ]
  text = ''.join(f'<tr>{line}</tr>\n' for line in lines)
  more = len(rows) - MAX_ROWS
  note = hint(f'{more:,} more rows are left out.') * (more > 0)
  return f'<div class="scroll"><table{kind}>\n{text}</table></div>{note}\n'


def data_uri(name: str, data: bytes) -> str:
  """Returns a file as a data URI, with the type of its name's extension."""
  kind = _TYPES[name.rpartition('.')[2].lower()]
  return f'data:{kind};base64,{base64.b64encode(data).decode()}'


@contextlib.contextmanager
def any_glyphs() -> Iterator[None]:
  """Draws characters that no installed font has as boxes, quietly."""
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', r'Glyph .* missing from')
    yield


def render(figure: Any, name: str = 'plot.png') -> bytes:
  """Renders a matplotlib Figure in the format of a file name.

  Args:
    figure: The figure, or a function that draws it.
    name: The name of the file.
  """
  buffer = io.BytesIO()
  with any_glyphs():
    (figure() if callable(figure) else figure).savefig(
        buffer, dpi=_DPI, format=pathlib.PurePath(name).suffix[1:] or None
    )
  return buffer.getvalue()


def plot(name: str, data: bytes) -> str:
  """Shows the file of a figure, or links to it if browsers cannot show it."""
  if name.rpartition('.')[2].lower() not in _TYPES:
    return f'<p>{escape(name)} is in the same folder.</p>'
  width = ''
  if data[:4] == b'\x89PNG':  # CSS has 96 pixels per inch.
    size = int.from_bytes(data[16:20], 'big') * 96 // _DPI
    width = f'width="{size}" style="min-width:{min(size, _MIN_PLOT)}px" '
  return (
      f'<div class="scroll"><img class="plot" {width}'
      f'alt="{escape(heading(name))}" src="{data_uri(name, data)}"></div>\n'
  )


def heading(name: str) -> str:
  """Returns a heading for the file of a figure."""
  return re.sub('[_-]+', ' ', name.rpartition('.')[0]).capitalize()


def hint(text: str) -> str:
  """Returns a paragraph in a fainter color."""
  return f'<p class="hint">{escape(text)}</p>\n'


def pre(text: str) -> str:
  """Returns text in a monospaced font."""
  return f'<pre>{escape(text)}</pre>\n'
