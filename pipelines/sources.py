"""Image classification sets of TFDS, opened by name."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import tensorflow_datasets as tfds

from . import (
  batches,
  errors,
  labels,
  parts,
  preparation,
  stores,
)

DEBIAN_ARCHIVES_DIR = preparation.DEBIAN_ARCHIVES_DIR
DataError = errors.DataError


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
  """A prepared set of labelled images.

  Attributes:
    name: The name it was opened by.
    version: TFDS's version of it.
    image_shape: (H, W, C) of every image, after resizing.
    num_classes: The number of classes.
    label_names: The name of each class.
    num_examples: The number of examples of each split there is: 'train',
      'validation', 'test'.
    left_out: Why a split of these is left out, by its name.
  """

  name: str
  version: str
  image_shape: tuple[int, int, int]
  num_classes: int
  label_names: tuple[str, ...]
  num_examples: dict[str, int]
  left_out: dict[str, str]
  _parts: dict[str, parts.Part] = dataclasses.field(repr=False)
  _store: stores.Store = dataclasses.field(repr=False)
  _opened: dict[str, batches.Data] = dataclasses.field(
      default_factory=dict, init=False, repr=False
  )

  @property
  def notes(self) -> list[str]:
    """Lines that a user should see; opening a split may add some."""
    return self._store.notes

  @property
  def is_resident(self) -> bool:
    """Whether the examples are given in memory, not streamed."""
    return self._store.is_resident

  def examples(self, split: str) -> batches.Data:
    """Returns the examples of a split, in memory or streamed, kept open.

    Args:
      split: A key of `num_examples`.

    Returns:
      What `batches.train_batches` and `batches.eval_batches` take.

    Raises:
      DataError: If there is no such split, an example of it is damaged, or a
        label lies outside [0, num_classes). Where images are streamed and
        could not be decoded to disk, the same is found as they are read.
    """
    if split not in self._parts:
      why = self.left_out.get(split)
      raise DataError(
          f'split: {self.name} has no {split!r}'
          f'{f" ({why})" if why else ""}; it has {", ".join(self._parts)}.'
      )
    if split not in self._opened:
      self._opened[split] = self._store.open(
          self._parts[split], self.num_classes
      )
    return self._opened[split]

  def check(self) -> None:
    """Opens all splits, so that what is damaged in any shows up.

    Raises:
      DataError: As `examples` does.
    """
    for split in self._parts:
      self.examples(split)


def route(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    archives_dir: str | os.PathLike[str] | None = None,
) -> str | None:
  """Says by which way a set would be had, within about 5 s.

  Args:
    name: A name of TFDS, or of a set prepared in `data_dir`.
    data_dir: The folder of prepared sets; None means TFDS's default.
    archives_dir: A folder with the set's archives under upstream's names;
      None means the one of Debian's package, for Fashion-MNIST.

  Returns:
    'prepared', 'archives' or 'download', the first that serves, or None.

  Raises:
    DataError: If the name is unknown.
  """
  builder = preparation.make_builder(name, data_dir)
  return preparation.find_route(builder, name, archives_dir)


def open_dataset(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    archives_dir: str | os.PathLike[str] | None = None,
    validation_examples: int | None = None,
    validation_split: str | None = None,
    test_split: str | None = None,
    image_size: tuple[int, int] | None = None,
    memory_budget_gb: float = 4.0,
) -> ImageDataset:
  """Opens a set by name and prepares it first where necessary.

  Validation examples are the first of the training split in TFDS's order:
  neither a seed nor the number of shards changes which they are. A split to
  score whose labels are all -1, TFDS's mark for none, is left out, which
  `left_out` and `notes` say; one that was asked for by name is refused.

  Args:
    name: A name of TFDS, or of a set prepared in `data_dir`.
    data_dir: The folder of prepared sets; None means TFDS's default.
    archives_dir: A folder with the set's archives under upstream's names;
      None means the one of Debian's package, for Fashion-MNIST.
    validation_examples: How many training examples to hold out; 0 for none.
      If None, the set's own validation split, or 1 in 12.
    validation_split: The split to validate with: a name of the set's, or a
      slice as TFDS writes it, such as 'train[:5000]'; 'none' for no
      validation. If None, `validation_examples` decides.
    test_split: The split to test with, likewise. If None, 'test', if any.
      What is taken from the split 'train' is not trained on.
    image_size: The (height, width) to resize to. Needed where the set's
      images differ in size.
    memory_budget_gb: A set whose images take more (in 10^9 bytes) is
      streamed: from the decoded images on disk, where they take at most half
      of what is free there, else from its records.

  Returns:
    The set.

  Raises:
    DataError: If the set is unknown, cannot be had, is damaged, or is not one
      of uint8 images under `image` and integers under `label`; if some labels
      of a split to score are -1 and others not; if plain integers as labels
      reach beyond 1,000 and ten times the number of different ones, or beyond
      100,000.

  Example:
    dataset = sources.open_dataset('fashion_mnist')
    train = dataset.examples('train')
  """
  if image_size is not None and (len(image_size) != 2 or min(image_size) < 1):
    raise DataError(
        f'image_size: expected (height, width), each at least 1, got '
        f'{image_size}.'
    )
  builder = preparation.make_builder(name, data_dir)
  image_shape = _image_shape(builder, name, image_size)
  if not preparation.is_prepared(builder):
    preparation.prepare(builder, name, archives_dir)
    builder = preparation.make_builder(name, data_dir)
  chosen = parts.choose(
      builder, validation_examples, validation_split, test_split
  )
  num_bytes = sum(part.num_examples for part in chosen.values()) * int(
      np.prod(image_shape)
  )
  store = stores.Store(
      builder,
      image_shape,
      image_size,
      is_resident=num_bytes <= memory_budget_gb * 1e9,
  )
  left_out = _unlabelled(
      store, chosen, {'validation': validation_split, 'test': test_split}
  )
  for split in left_out:
    del chosen[split]
  names = labels.named_classes(builder)
  if names is None:  # A plain integer does not say how many values it takes.
    names = labels.counted_classes(builder, map(store.labels, chosen.values()))
  return ImageDataset(
      name=name,
      version=str(builder.version),
      image_shape=image_shape,
      num_classes=len(names),
      label_names=tuple(names),
      num_examples={
          split: part.num_examples for split, part in chosen.items()
      },
      left_out=left_out,
      _parts=chosen,
      _store=store,
  )


def _unlabelled(
    store: stores.Store,
    chosen: dict[str, parts.Part],
    asked: dict[str, str | None],
) -> dict[str, str]:
  """Returns why splits to score cannot be scored, by the split's name.

  Args:
    store: Reads the labels.
    chosen: The parts of the set.
    asked: The split that was asked for by name, or None, for each.
  """
  left_out = {}
  for split, part in chosen.items():
    if part.split == 'train':  # Trained on too: without labels it is refused.
      continue
    why = labels.why_unlabelled(store.builder, part, store.labels(part))
    if why is None:
      continue
    if asked[split] is not None:
      raise DataError(
          f'{split}_split: {store.builder.name}, split {part.split}: {why}; '
          f'{split}_split=none leaves it out.'
      )
    left_out[split] = why
    remedy = (
        '; validation_examples holds out training examples instead'
        if split == 'validation'
        else ''
    )
    store.notes.append(
        f'{store.builder.name}, split {part.split}: {why}; it is left '
        f'out{remedy}.'
    )
  return left_out


def _image_shape(
    builder: tfds.core.DatasetBuilder,
    name: str,
    image_size: tuple[int, int] | None,
) -> tuple[int, int, int]:
  """Checks the features and returns the shape of the images."""
  features = builder.info.features
  features = dict(features.items()) if hasattr(features, 'items') else {}
  listed = ', '.join(
      f'{key} ({type(features[key]).__name__})' for key in sorted(features)
  )
  if 'image' not in features:
    raise DataError(f'dataset: {name} has no `image`; it has {listed}.')
  image, label = features['image'], features.get('label')
  if (
      label is None
      or label.shape != ()
      or not np.issubdtype(label.np_dtype, np.integer)
  ):
    raise DataError(
        f'dataset: {name} has no integer `label`; it has {listed}.'
    )
  shape = image.shape
  if (
      image.np_dtype != np.uint8
      or len(shape) != 3
      or shape[-1] is None
      or 0 in shape
  ):
    dtype = getattr(image.np_dtype, '__name__', image.np_dtype)
    raise DataError(
        f'dataset: {name} has images {dtype} {shape}; expected uint8 (height, '
        'width, channels).'
    )
  if image_size is None and None in shape:
    raise DataError(
        f'image_size: the images of {name} differ in size, {shape}; pass the '
        'height and width to resize them to.'
    )
  height, width = image_size or shape[:2]
  return height, width, shape[-1]
