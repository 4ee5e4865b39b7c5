"""Reads a page as a browser does, and as a person does."""

from __future__ import annotations

import html.parser
import pathlib
import re

_ALONE = {'meta', 'link', 'img', 'br'}


class Reader(html.parser.HTMLParser):
  """Collects tags, what they name, and text; refuses what is not nested."""

  def __init__(self, text: str):
    """Reads a page."""
    super().__init__()
    self.tags: list[str] = []
    self.named: list[str | None] = []
    self.open: list[str] = []
    self.parts: list[str] = []
    self.raw = text
    self.feed(text)
    if self.open != []:
      raise AssertionError(self.open)

  def handle_starttag(
      self, tag: str, attrs: list[tuple[str, str | None]]
  ) -> None:
    """Takes a tag."""
    self.tags.append(tag)
    self.named += [v for n, v in attrs if n in ('src', 'href')]
    if tag not in _ALONE:
      self.open.append(tag)

  def handle_endtag(self, tag: str) -> None:
    """Takes the end of one."""
    if self.open.pop() != tag:
      raise AssertionError(tag)

  def handle_data(self, data: str) -> None:
    """Takes text."""
    if 'style' not in self.open:
      self.parts.append(data)

  @property
  def text(self) -> str:
    """The text of the page, without its style."""
    return ' '.join(' '.join(self.parts).split())


def read(path: pathlib.Path | str) -> Reader:
  """Reads a page, and checks that it needs nothing but itself."""
  text = pathlib.Path(path).read_text()
  found = Reader(text)
  for name in found.named:
    if not (name or '').startswith(('#', 'data:image/')):
      raise AssertionError(name)
  if {'script', 'link', 'iframe'} & set(found.tags) or '@import' in text:
    raise AssertionError(found.tags)
  return found


def indices(found: Reader) -> list[int]:
  """Returns the indices of the examples that a page shows."""
  rows = r'<b>index</b> (\d+)<br>|<tr><td>(\d+)</td>'
  heading = '<h2>(?:Most confident|Examples with|Largest|Worst)'
  sections = re.findall(f'{heading}(.*?)</section>', found.raw, re.DOTALL)
  return [int(a or b) for a, b in re.findall(rows, ''.join(sections))]
