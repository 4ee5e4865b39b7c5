"""Parses queries after the name of a data set: ``csv:FILE?label=COLUMN``."""

from __future__ import annotations

import difflib
import re
import urllib.parse
from collections.abc import Sequence

from .. import errors


def parse(
    name: str, keys: Sequence[str], single: Sequence[str] = ()
) -> tuple[str, dict[str, tuple[str, ...]]]:
  """Splits a name at the question mark before its query.

  This is the first one before a key and ``=``, or otherwise the last; others
  belong to the file name, which is not decoded. In values, ``,`` ``&`` and
  ``%`` must be written as %2C, %26 and %25; others may be encoded.

  Args:
    name: The name, with or without a query.
    keys: The allowed keys.
    single: The keys that have a single value.

  Returns:
    The part before the query, and the values of each given key.

  Raises:
    DataError: If a key is unknown, given twice or without a value.

  Example:
    >>> from pipelines.sources import queries
    >>> queries.parse('wine.csv?label=kind&ignore=a,b', ['label', 'ignore'])
    ('wine.csv', {'label': ('kind',), 'ignore': ('a', 'b')})
    >>> queries.parse('why?.csv?label=a=b?&ignore=c%2Cd', ['label', 'ignore'])
    ('why?.csv', {'label': ('a=b?',), 'ignore': ('c,d',)})
  """
  known = '|'.join(map(re.escape, keys))
  found = re.search(rf'\?(?=({known})=)', name)
  path, mark, text = (
      (name[: found.start()], '?', name[found.end() :])
      if found
      else name.rpartition('?')
  )
  if not mark or '=' not in text:
    return name, {}
  query: dict[str, tuple[str, ...]] = {}
  for item in filter(None, text.split('&')):
    key, _, value = item.partition('=')
    if key not in keys:
      close = difflib.get_close_matches(key, keys, n=1)
      meant = f'; did you mean {close[0]}?' if close else '.'
      raise errors.DataError(
          f'dataset: {name!r}: {key!r} is not one of {", ".join(keys)}{meant}'
      )
    if key in query:
      raise errors.DataError(
          f'dataset: {name!r}: {key}= is given twice; join values with commas.'
      )
    given = [value] if key in single else value.split(',')
    values = tuple(urllib.parse.unquote(each) for each in given if each)
    if not values:
      raise errors.DataError(f'dataset: {name!r}: {key}= has no value.')
    query[key] = values
  return path, query
