"""Folders of images: one folder per class, or images and masks."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from .. import (
    datasets,
    errors,
    image_files,
    images,
    options,
    spec,
    splits,
)
from . import checks, classes, hashing, kinds, listing

_CLASS_NAMES = 'classes.txt'
_MOST_LISTED = 3


def of_folder(path: str, chosen: options.Options) -> datasets.Dataset:
  """Opens a folder of PNG, JPEG, BMP and GIF images.

  It holds ``train/CLASS/*.png`` and optionally `validation` (or `val`) and
  `test` likewise; or ``CLASS/*.png``, with splits by the hash of the path.
  Classes are sorted by name, examples by path. With `images` and `masks`
  instead of classes, each image has a mask of the same name: a PNG with one
  channel whose values are the classes of the pixels. Their names are the lines
  of ``classes.txt`` in the folder.

  Args:
    path: The folder.
    chosen: Options of splits; `image_size`, required for images of different
      sizes; `skip_damaged`, whether to leave out images that cannot be decoded;
      and the memory budget: images in larger folders are read in every epoch.

  Returns:
    The data set, with `image` and `label`.

  Raises:
    DataError: If the folder has another layout, images differ in size, or one
      cannot be decoded; the file is named.
  """
  folder = pathlib.Path(path).expanduser()
  with errors.prefixed(f'dataset: {folder}'):
    found = listing.find(folder)
    keys = {
        split: [os.fsencode(file.path) for file in files]
        for split, files in found.splits.items()
    }
    choice = hashing.choose(keys, chosen)
    parts = {
        split: [found.splits[part.own][index] for index in part.indices]
        for split, part in choice.parts.items()
    }
    notes = list(choice.notes)
    if ignored := [name for name in found.ignored if name != _CLASS_NAMES]:
      notes.append(
          f'{len(ignored):,} files and folders are ignored, since they are not '
          f'images in a valid place: {_some(ignored)}.'
      )
    made = _Folder(folder, parts, chosen, notes)
    return datasets.Dataset(
        f'folder:{path}',
        made.spec,
        made.opened(),
        notes=notes,
        left_out=choice.left_out,
    )


class _Folder:
  """Reads the files of each split, leaving out damaged ones if allowed."""

  def __init__(
      self,
      folder: pathlib.Path,
      parts: dict[str, list[listing.File]],
      chosen: options.Options,
      notes: list[str],
  ):
    self._folder, self._files, self._notes = folder, parts, notes
    self._skips = chosen.skip_damaged
    self._resizes = chosen.image_size is not None
    self._arrays: dict[str, dict[str, np.ndarray]] = {s: {} for s in parts}
    shape = self._common_shape(chosen.image_size)
    num_bytes = sum(map(len, parts.values())) * int(np.prod(shape))
    self._is_resident = num_bytes <= chosen.memory_budget_gb * 1e9
    has_masks = {bool(file.mask) for files in parts.values() for file in files}
    if len(has_masks) > 1:
      raise errors.DataError(
          'some splits have masks and some have classes; expected the same in '
          'all splits.'
      )
    if has_masks == {True}:
      self._load_masks(shape[:2])
    self._load_images(shape)
    label = self._masks() if has_masks == {True} else self._classes()
    self.spec = spec.Spec({
        spec.IMAGE: spec.Feature(spec.IMAGE, shape, 'uint8'),
        spec.LABEL: label,
    })

  def opened(self) -> dict[str, splits.Split]:
    """Returns the splits, in memory or on disk."""
    if self._is_resident:
      return {
          split: datasets.in_memory(arrays, self.spec)
          for split, arrays in self._arrays.items()
      }
    return {
        split: image_files.ImageFiles(
            self._paths(split),
            arrays,
            self.spec,
            self._resizes,
            self._orientations(split),
        )
        for split, arrays in self._arrays.items()
    }

  def _paths(self, split: str) -> list[str]:
    return [os.path.join(self._folder, f.path) for f in self._files[split]]

  def _orientations(self, split: str) -> np.ndarray | None:
    """Returns how a split's images are stored, or None if all are upright."""
    found = [self._turned.get(file.path, 1) for file in self._files[split]]
    return np.array(found, np.int32) if max(found) > 1 else None

  def _common_shape(
      self, image_size: tuple[int, int] | None
  ) -> tuple[int, int, int]:
    """Returns (H, W, C) of all images, according to their headers."""
    headers: dict[str, images.Header] = {}
    for split, files in self._files.items():
      wrong = {}
      for index, file in enumerate(files):
        try:
          headers[file.path] = images.read_header(self._folder / file.path)
        except errors.DataError as error:
          wrong[index] = _reason(error)
      self._leave_out(split, wrong)
    first, *others = headers.items()
    if image_size is None:
      for path, header in others:
        if header[:2] != first[1][:2]:
          raise errors.DataError(
              f'image_size: the images differ in size: {first[0]} is '
              f'{_size(first[1])}, {path} {_size(header)}; pass the height and '
              'width to resize them to.'
          )
    self._tell(headers)
    self._turned = {
        path: header.orientation
        for path, header in headers.items()
        if header.orientation > 1
    }
    is_grey = all(header.channels < 3 for header in headers.values())
    height, width = image_size or first[1][:2]
    return height, width, 1 if is_grey else 3

  def _tell(self, headers: Mapping[str, images.Header]) -> None:
    grey = [path for path, header in headers.items() if header.channels < 3]
    for found, what in (
        (grey, 'are gray, and get three equal channels'),
        (
            [p for p, h in headers.items() if h.channels in (2, 4)],
            'have transparency, which is dropped',
        ),
        (
            [p for p, h in headers.items() if h.bits > 8],
            'have more than 8 bits per channel, and are read as 8',
        ),
        (
            [p for p, h in headers.items() if h.orientation > 1],
            'are rotated or mirrored according to their Exif data',
        ),
    ):
      if found and (found is not grey or len(grey) < len(headers)):
        number = f'{len(found):,} of {len(headers):,} images'
        self._notes.append(f'{number} {what}: {_some(found)}.')

  def _load_images(self, shape: tuple[int, int, int]) -> None:
    for split in self._files:
      paths = self._paths(split)
      wrong: Mapping[int, str] = {}
      if self._is_resident:
        array, wrong = images.load(paths, shape, self._resizes)
        self._arrays[split] = {spec.IMAGE: array, **self._arrays[split]}
      elif self._skips:
        wrong = images.find_broken(paths, shape, self._resizes)
      self._leave_out(split, wrong)

  def _load_masks(self, size: tuple[int, int]) -> None:
    for split, files in self._files.items():
      paths = [os.path.join(self._folder, file.mask) for file in files]
      wrong = {
          index: why
          for index, (file, path) in enumerate(zip(files, paths, strict=True))
          if (why := self._wrong_mask(file, path))
      }
      array, broken = images.load(
          paths, (*size, 1), self._resizes, is_mask=True
      )
      self._arrays[split][spec.LABEL] = array[..., 0]
      self._leave_out(split, {**broken, **wrong}, masks=True)

  def _wrong_mask(self, file: listing.File, path: str) -> str:
    try:
      header = images.read_header(path)
      image = images.read_header(self._folder / file.path)
    except errors.DataError as error:
      return _reason(error)
    if header.channels != 1 or header.bits > 8 or not path.endswith('.png'):
      return (
          'expected a PNG with one 8-bit channel, without a palette, whose '
          'values are the classes'
      )
    if header[:2] != image[:2]:
      return f'the mask is {_size(header)}, but its image is {_size(image)}'
    return ''

  def _leave_out(
      self, split: str, wrong: Mapping[int, str], masks: bool = False
  ) -> None:
    """Leaves out examples that cannot be read, or raises."""
    if not wrong:
      return
    files = self._files[split]
    named = [
        f'{files[index].mask if masks else files[index].path} ({why})'
        for index, why in sorted(wrong.items())
    ]
    if not self._skips:
      others = f' and {len(wrong) - 1:,} others' if len(wrong) > 1 else ''
      raise errors.DataError(
          f'split {split}: {named[0]}{others} cannot be used; replace the '
          'files, or leave them out with skip_damaged.'
      )
    self._notes.append(
        f'{len(wrong):,} of {len(files):,} examples of {split} cannot be read '
        f'and are left out: {_some(named)}.'
    )
    self._files[split] = [f for i, f in enumerate(files) if i not in wrong]
    self._arrays[split] = {
        name: np.delete(array, list(wrong), axis=0)
        for name, array in self._arrays[split].items()
    }
    if not self._files[split]:
      raise errors.DataError(f'split {split}: no example can be read.')

  def _classes(self) -> spec.Feature:
    names = {s: [f.class_name for f in fs] for s, fs in self._files.items()}
    found = classes.of_names(
        spec.LABEL, {split: np.array(some) for split, some in names.items()}
    )
    return self._with_labels(found)

  def _masks(self) -> spec.Feature:
    path = self._folder / _CLASS_NAMES
    names: list[str] = []
    if path.exists():
      try:
        lines = path.read_text(encoding='utf-8').splitlines()
      except (OSError, ValueError) as error:
        raise errors.DataError(
            f'{_CLASS_NAMES} cannot be read: {errors.one_line(error)}; '
            'expected one class name per line.'
        ) from None
      names = [line.strip() for line in lines if line.strip()]
    found = kinds.infer(
        spec.LABEL,
        {split: arrays[spec.LABEL] for split, arrays in self._arrays.items()},
        names,
        place=lambda split, index: self._files[split][index].mask,
    )
    return self._with_labels(found)

  def _with_labels(self, found: checks.Values) -> spec.Feature:
    self._notes += found.notes
    for split, array in found.arrays.items():
      self._arrays[split][spec.LABEL] = array
    return found.feature


def _reason(error: errors.DataError) -> str:
  return str(error).partition(': ')[2].rstrip('.')


def _size(header: images.Header) -> str:
  return f'{header.height} x {header.width}'


def _some(names: Sequence[str]) -> str:
  more = f' and {len(names) - _MOST_LISTED:,} more'
  listed = ', '.join(names[:_MOST_LISTED])
  return listed + (more if len(names) > _MOST_LISTED else '')
