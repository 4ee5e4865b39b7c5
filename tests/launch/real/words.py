"""Words of five languages, from the word lists of Debian."""

from __future__ import annotations

import collections
import functools
import hashlib
import pathlib
import subprocess

from tests.launch import runs
from tests.launch.real import sets

# The package of each language, its list, and the list's SHA-256.
_LISTS = {
    'english': (
        'wamerican',
        'american-english',
        '9f513f1ceadb6a01c5485b7dbdfd5118dc66cd70b59cae2851292112d4066a32',
    ),
    'french': (
        'wfrench',
        'french',
        '33b3a15b7c47c4b85aaafa7c8b41d3fee9c7ca1383381bb8f710372ce7474f06',
    ),
    'german': (
        'wngerman',
        'ngerman',
        '4864ca7300aae638c611114092ed566ba232b35e42280fcfb5509c5d121b307d',
    ),
    'italian': (
        'witalian',
        'italian',
        '096f728b7b63073f32604dfaa7c5dbf5b2d32123880f0b05fe462670630f6218',
    ),
    'spanish': (
        'wspanish',
        'spanish',
        '6b26adc955ec682e41e98d626d0ed1f778511065ee1f7f19c28e8b3cb574b9b6',
    ),
}
# Kept from one run of the tests to the next, as Fashion-MNIST is.
_KEPT = runs.ROOT / '.data' / 'words'
_DICTIONARIES = pathlib.Path('usr') / 'share' / 'dict'
_PER_LANGUAGE = 2_000
_SHORTEST = 4


class UnavailableError(Exception):
  """The lists cannot be had on this machine."""


@functools.cache
def write() -> None:
  """Writes words and their languages: `words.csv`.

  They are in lower case, of four letters or more, of one list alone, and evenly
  spaced in its order.

  Raises:
    UnavailableError: If the lists cannot be had, or are other versions.
  """
  found = {
      language: {
          word
          for word in map(str.lower, _read(*where).split())
          if word.isalpha() and len(word) >= _SHORTEST
      }
      for language, where in _LISTS.items()
  }
  lists = collections.Counter(word for each in found.values() for word in each)
  rows = []
  for language, each in found.items():
    own = sorted(word for word in each if lists[word] == 1)
    spaced = own[:: len(own) // _PER_LANGUAGE][:_PER_LANGUAGE]
    rows += [(word, language) for word in spaced]
  sets.write_csv('words.csv', ('word', 'language'), rows)


def _read(package: str, name: str, expected: str) -> str:
  """Reads a list that is the one whose figures are told.

  Raises:
    UnavailableError: If there is none, or another.
  """
  for root in (pathlib.Path('/'), _unpacked()):
    path = root / _DICTIONARIES / name
    content = path.read_bytes() if path.is_file() else b''
    if hashlib.sha256(content).hexdigest() == expected:
      return content.decode()
  raise UnavailableError(
      f'the word list {name} is not the expected version, or cannot be had '
      f'from the Debian package {package}.'
  )


@functools.cache
def _unpacked() -> pathlib.Path:
  """Returns a folder with the packages' files, as far as they can be had."""
  kept = _KEPT / 'unpacked'
  if not kept.exists():
    _KEPT.mkdir(parents=True, exist_ok=True)
    packages = [package for package, _, _ in _LISTS.values()]
    subprocess.run(
        [
            'bash',
            '-c',
            'source "$0"; unpack_packages "$@"',
            str(runs.ROOT / '.ci' / 'environment.sh'),
            *packages,
        ],
        cwd=_KEPT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=400,
        check=False,
    )
  return kept
