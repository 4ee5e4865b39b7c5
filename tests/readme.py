"""The program in README.md, for the tests that run it."""

from __future__ import annotations

import pathlib
import re

PATH = pathlib.Path(__file__).resolve().parent.parent / 'README.md'


def program() -> str:
  """Returns README's program: its first fenced block of Python."""
  block = re.search(r'^```python\n(.*?)^```$', PATH.read_text(), re.M | re.S)
  if not block:
    raise ValueError(f'{PATH} has no block that starts with ```python.')
  return block.group(1)
