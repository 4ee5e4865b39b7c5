"""Tables that programs write into pages of docs/, between marks."""

from __future__ import annotations

import os
import pathlib
import platform
from collections.abc import Sequence

END = '<!-- The end of what is written. -->'


def mark(command: str) -> str:
  """Returns the mark before what a command writes; `END` is the one after."""
  return f'<!-- Written by `{command}`. -->'


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Returns a table as Markdown."""
  return '\n'.join(map(_row, (header, ['---'] * len(header), *rows)))


def write(path: pathlib.Path, begin: str, text: str) -> None:
  """Writes what stands between a mark and the end that follows it.

  Args:
    path: The page.
    begin: The mark.
    text: What is to stand there.

  Raises:
    ValueError: If the page has no such marks.
  """
  before, found, rest = path.read_text().partition(begin)
  _, end, after = rest.partition(END)
  if not found or not end:
    raise ValueError(f'{path.name}: there is no {begin} with an end.')
  path.write_text(f'{before}{begin}\n\n{text}\n\n{END}{after}')


def machine() -> str:
  """Describes the machine in general words."""
  cores = len(os.sched_getaffinity(0))
  return (
      f'The machine: {cores} {"core" if cores == 1 else "cores"} of a '
      f'{platform.machine()} CPU, {platform.system()}, Python '
      f'{platform.python_version()}.'
  )


def _row(cells: Sequence[str]) -> str:
  return f'| {" | ".join(cell.replace("|", "/") for cell in cells)} |'
