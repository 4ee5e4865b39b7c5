"""Lists the images in a folder with their splits, classes or masks."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from .. import errors, images
from . import hashing

IMAGES, MASKS = 'images', 'masks'
_LAYOUT = (
    'expected train/CLASS/*.png, CLASS/*.png, or folders images and masks with '
    'equal file names instead of classes'
)


@dataclasses.dataclass(frozen=True)
class File:
  """An image: its path relative to the folder, and its class or mask's path."""

  path: str
  class_name: str = ''
  mask: str = ''


@dataclasses.dataclass
class Listing:
  """The contents of a folder.

  Attributes:
    splits: The images of each split, by path; without splits, all as 'train'.
    ignored: Paths that are not images, or not in a valid place.
  """

  splits: dict[str, list[File]]
  ignored: list[str]


def find(folder: pathlib.Path) -> Listing:
  """Lists a folder.

  Args:
    folder: A folder that holds ``train/CLASS/*.png`` and other splits likewise,
      or ``CLASS/*.png``; or `images` and `masks` instead of the classes. Names
      that begin with a dot are ignored.

  Returns:
    The images.

  Raises:
    DataError: If it has another layout, or a mask is missing.
  """
  if not folder.is_dir():
    what = 'not a folder' if folder.exists() else 'there is no such folder'
    raise errors.DataError(f'{what}; {_LAYOUT}.')
  found = Listing({}, [])
  inside, _ = _entries(folder)
  own = {hashing.ALIASES.get(name, name): name for name in inside}
  named = [split for split in hashing.SPLITS if split in own]
  if not named:
    found.splits[hashing.TRAIN] = _split(folder, '', found.ignored)
  elif hashing.TRAIN not in named:
    raise errors.DataError(
        f'there is {" and ".join(named)}, but no folder train; {_LAYOUT}.'
    )
  else:  # Others may be requested by name.
    for split, name in sorted(own.items()):
      found.splits[split] = _split(folder, f'{name}/', found.ignored)
    found.ignored += _entries(folder)[1]
  if not found.splits[hashing.TRAIN]:
    raise errors.DataError(f'there are no training images; {_LAYOUT}.')
  return found


def _split(folder: pathlib.Path, start: str, ignored: list[str]) -> list[File]:
  inside, others = _entries(folder / start)
  ignored += [f'{start}{name}' for name in others]
  if set(inside) == {IMAGES, MASKS}:
    return _masked(folder, start, ignored)
  files = [
      File(path, class_name)
      for class_name in inside
      for path in _images(folder, f'{start}{class_name}/', ignored)
  ]
  return sorted(files, key=lambda file: file.path)


def _masked(folder: pathlib.Path, start: str, ignored: list[str]) -> list[File]:
  masks = {
      _stem(path): path for path in _images(folder, f'{start}{MASKS}/', ignored)
  }
  files = []
  for path in _images(folder, f'{start}{IMAGES}/', ignored):
    mask = masks.pop(_stem(path), '')
    if not mask:
      raise errors.DataError(
          f'{path} has no mask; expected {start}{MASKS}/{_stem(path)}.png.'
      )
    files.append(File(path, mask=mask))
  ignored += masks.values()
  return files


def _stem(path: str) -> str:
  return pathlib.PurePosixPath(path).stem


def _images(folder: pathlib.Path, start: str, ignored: list[str]) -> list[str]:
  inside, others = _entries(folder / start)
  found: list[str] = []
  for name in others:
    is_image = name.lower().endswith(images.SUFFIXES)
    (found if is_image else ignored).append(f'{start}{name}')
  ignored += [f'{start}{name}/' for name in inside]
  return found


def _entries(folder: pathlib.Path) -> tuple[list[str], list[str]]:
  """Lists folders and files, without hidden ones."""
  inside: list[str] = []
  others: list[str] = []
  try:
    with os.scandir(folder) as entries:
      for entry in entries:
        if not entry.name.startswith('.'):
          (inside if entry.is_dir() else others).append(entry.name)
  except OSError as error:
    raise errors.DataError(
        f'{error.filename} cannot be read: {error.strerror}.'
    ) from None
  return sorted(inside), sorted(others)
