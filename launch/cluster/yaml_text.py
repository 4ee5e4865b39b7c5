"""Writes YAML: mappings and lists in blocks, scripts as they are, else JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What needs no quotes: not a word that YAML reads as something else.
_PLAIN = re.compile(
    r'(?!(?:true|false|yes|no|on|off|null|y|n)$)[a-z/][\w./-]*',
    re.ASCII | re.IGNORECASE,
)
# Lines of ASCII, the first and the last of which begin with a character.
_SCRIPT = re.compile(r'[!-~][ -~]*\n([ -~]*\n)*[!-~][ -~]*\n')


def dump(documents: Sequence[Mapping[str, Any]]) -> str:
  """Writes documents.

  Args:
    documents: Mappings, which may hold mappings and lists, and strings,
      numbers, booleans and None.

  Returns:
    The text of them all, with `---` between them.
  """
  texts = ['\n'.join(_block(each)) + '\n' for each in documents]
  return '---\n'.join(texts)


def _block(value: Any) -> Iterator[str]:
  """Yields the lines of a mapping or a list that is not empty."""
  if isinstance(value, Mapping):
    items = [(f'{_scalar(key)}:', each) for key, each in value.items()]
  else:
    items = [('-', each) for each in value]
  for head, each in items:
    if isinstance(each, str) and _SCRIPT.fullmatch(each):
      yield f'{head} |'
      yield from (f'  {line}' for line in each.splitlines())
    elif not isinstance(each, (Mapping, list)) or not each:
      yield f'{head} {_scalar(each)}'
    elif head == '-':
      lines = list(_block(each))
      yield f'- {lines[0]}'
      yield from (f'  {line}' for line in lines[1:])
    else:
      yield head
      yield from (f'  {line}' for line in _block(each))


def _scalar(value: Any) -> str:
  if isinstance(value, str) and _PLAIN.fullmatch(value):
    return value
  text = json.dumps(value, ensure_ascii=False)
  return ''.join(c if c.isprintable() else f'\\U{ord(c):08x}' for c in text)
