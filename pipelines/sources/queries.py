"""What may follow a data set's name, as in ``csv:FILE?label=COLUMN``."""

from __future__ import annotations

import difflib
import re
import urllib.parse
from collections.abc import Sequence

from .. import errors


def parse(
    name: str, keys: Sequence[str], single: Sequence[str] = ()
) -> tuple[str, dict[str, tuple[str, ...]]]:
  """Cuts a name at the question mark that a query follows.

  That is the first before a key and ``=``, or else the last: others belong to
  the name of the file, which is taken as it stands. In a value, ``,`` ``&``
  and ``%`` are written as %2C, %26 and %25, and any other character may be
  written like that.

  Args:
    name: The name, with a query or without.
    keys: The keys that a query may have.
    single: Those with one value each.

  Returns:
    What stands before the query, and the values of each key that is given.

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
          f'dataset: {name!r}: {key!r} is none of {", ".join(keys)}{meant}'
      )
    if key in query:
      raise errors.DataError(
          f'dataset: {name!r}: {key}= is given twice; join values by commas.'
      )
    given = [value] if key in single else value.split(',')
    values = tuple(urllib.parse.unquote(each) for each in given if each)
    if not values:
      raise errors.DataError(f'dataset: {name!r}: {key}= has no value.')
    query[key] = values
  return path, query
