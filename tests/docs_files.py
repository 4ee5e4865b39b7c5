"""The Markdown files, as tests look at them: blocks, links, tables."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = ROOT / 'README.md'
# Written by programs that measure: what they say is not run again by a test.
MEASURED = (
    'export_formats.md',
    'performance.md',
    'performance_avx2.md',
    'performance_floor.md',
    'reliability.md',
)
GUIDES = sorted(
    path
    for path in (ROOT / 'docs').glob('*.md')
    if path.name not in (*MEASURED, 'index.md')
)
ALL = [
    README,
    ROOT / 'CHANGELOG.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted((ROOT / 'docs').glob('*.md')),
]
_FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'(?<!!)\[[^\]]*\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#+ (.+)$', re.MULTILINE)


class Block(NamedTuple):
  """A fenced block of a file."""

  language: str
  text: str


def blocks(path: pathlib.Path) -> list[Block]:
  """Lists the fenced blocks of a file, in order."""
  return [Block(*groups) for groups in _FENCE.findall(path.read_text())]


def links(path: pathlib.Path) -> Iterator[str]:
  """Yields the targets of the links of a file, those in code left out."""
  text = _FENCE.sub('', path.read_text())
  yield from _LINK.findall(re.sub(r'`[^`\n]*`', 'code', text))


def _anchor(heading: str) -> str:
  """Returns the address of a heading on its page, as code hosts make it."""
  return re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


def anchors(path: pathlib.Path) -> list[str]:
  """Lists the addresses of the headings of a file."""
  headings = _HEADING.findall(_FENCE.sub('', path.read_text()))
  return [_anchor(heading) for heading in headings]


def fields(path: pathlib.Path, heading: str) -> list[str]:
  """Lists the first column of the table below a heading."""
  _, _, rest = path.read_text().partition(f'### {heading}\n')
  table = rest.strip().split('\n\n')[0]
  return re.findall(r'^\| `(\w+)` \|', table, re.MULTILINE)
