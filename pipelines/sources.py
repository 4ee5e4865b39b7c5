"""Image classification sets of TFDS, opened by name."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from . import batches, decoding, examples, preparation, records, streams

DEBIAN_ARCHIVES_DIR = preparation.DEBIAN_ARCHIVES_DIR
DataError = preparation.DataError

# 1 in 12 of the training examples: 5,000 of Fashion-MNIST's 60,000.
_VALIDATION_DIVISOR = 12


@dataclasses.dataclass(frozen=True)
class _Part:
  """The examples [start, stop) of a split of TFDS."""

  split: str
  start: int
  stop: int


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
  """

  name: str
  version: str
  image_shape: tuple[int, int, int]
  num_classes: int
  label_names: tuple[str, ...]
  num_examples: dict[str, int]
  _builder: tfds.core.DatasetBuilder = dataclasses.field(repr=False)
  _parts: dict[str, _Part] = dataclasses.field(repr=False)
  _image_size: tuple[int, int] | None = dataclasses.field(repr=False)
  _streams: bool = dataclasses.field(repr=False)
  _opened: dict[str, batches.Data] = dataclasses.field(
      default_factory=dict, init=False, repr=False
  )

  def examples(self, split: str) -> batches.Data:
    """Returns the examples of a split, in memory or streamed, kept open.

    Args:
      split: A key of `num_examples`.

    Returns:
      What `batches.train_batches` and `batches.eval_batches` take.

    Raises:
      DataError: If there is no such split, or a label lies outside
        [0, num_classes).
    """
    if split not in self._parts:
      raise DataError(
          f'split: {self.name} has no {split!r}; it has '
          f'{", ".join(self._parts)}.'
      )
    if split not in self._opened:
      self._opened[split] = self._open(self._parts[split])
    return self._opened[split]

  def _open(self, part: _Part) -> batches.Data:
    place = (self._builder, part.split, self.image_shape, self._image_size)
    if self._streams:
      folder = decoding.cache(*place)
      return self._stream(folder, part) if folder else self._records(part)
    whole = decoding.decoded(*place)
    labels = np.asarray(whole.labels[part.start : part.stop])
    self._check_labels(labels, part)
    return examples.Examples(whole.images[part.start : part.stop], labels)

  def _stream(self, folder: pathlib.Path, part: _Part) -> streams.Streamed:
    """Streams what was decoded before."""
    labels = np.load(folder / 'labels.npy')[part.start : part.stop]
    self._check_labels(labels, part)

    def decode(images):
      pixels = tf.io.decode_raw(images, tf.uint8)
      return tf.reshape(pixels, [-1, *self.image_shape])

    return streams.Streamed(
        lambda: decoding.stream(folder, part.start, part.stop),
        decode,
        part.stop - part.start,
        self.image_shape,
    )

  def _records(self, part: _Part) -> streams.Streamed:
    """Streams the prepared records, decoding in every epoch."""

    def decode(images):
      return tf.map_fn(
          lambda image: records.decode(self._builder, image, self._image_size),
          images,
          fn_output_signature=tf.TensorSpec(self.image_shape, tf.uint8),
      )

    return streams.Streamed(
        lambda: records.encoded(
            self._builder, f'{part.split}[{part.start}:{part.stop}]'
        ),
        decode,
        part.stop - part.start,
        self.image_shape,
    )

  def _check_labels(self, labels: np.ndarray, part: _Part) -> None:
    if labels.min() < 0 or labels.max() >= self.num_classes:
      raise DataError(
          f'dataset: {self.name} has labels {labels.min()} to {labels.max()} '
          f'in its split {part.split}, expected [0, {self.num_classes}).'
      )


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
    image_size: tuple[int, int] | None = None,
    memory_budget_gb: float = 4.0,
) -> ImageDataset:
  """Opens a set by name and prepares it first where necessary.

  Validation examples are the first of the training split in TFDS's order:
  neither a seed nor the number of shards changes which they are.

  Args:
    name: A name of TFDS, or of a set prepared in `data_dir`.
    data_dir: The folder of prepared sets; None means TFDS's default.
    archives_dir: A folder with the set's archives under upstream's names;
      None means the one of Debian's package, for Fashion-MNIST.
    validation_examples: How many training examples to hold out; 0 for none.
      None: the set's own validation split, or 1 in 12.
    image_size: The (height, width) to resize to. Needed where the set's
      images differ in size.
    memory_budget_gb: A set whose images take more (in 10^9 bytes) is
      streamed: from the decoded images on disk, where they take at most half
      of what is free there, else from its records.

  Returns:
    The set.

  Raises:
    DataError: If the set is unknown, can not be had, or is not one of uint8
      images under `image` and integers under `label`.

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
  parts = _parts(builder, name, validation_examples)
  num_classes, label_names = _classes(builder, parts)
  num_examples = {
      split: part.stop - part.start for split, part in parts.items()
  }
  num_bytes = sum(num_examples.values()) * int(np.prod(image_shape))
  return ImageDataset(
      name=name,
      version=str(builder.version),
      image_shape=image_shape,
      num_classes=num_classes,
      label_names=label_names,
      num_examples=num_examples,
      _builder=builder,
      _parts=parts,
      _image_size=image_size,
      _streams=num_bytes > memory_budget_gb * 1e9,
  )


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
  if image.np_dtype != np.uint8 or len(shape) != 3 or shape[-1] is None:
    raise DataError(
        f'dataset: {name} has images {np.dtype(image.np_dtype).name} {shape};'
        ' expected uint8 (height, width, channels).'
    )
  if image_size is None and None in shape:
    raise DataError(
        f'image_size: the images of {name} differ in size, {shape}; pass the '
        'height and width to resize them to.'
    )
  height, width = image_size or shape[:2]
  return height, width, shape[-1]


def _parts(
    builder: tfds.core.DatasetBuilder,
    name: str,
    validation_examples: int | None,
) -> dict[str, _Part]:
  splits = builder.info.splits
  if 'train' not in splits:
    raise DataError(
        f"dataset: {name} has no split 'train'; it has {', '.join(splits)}."
    )
  num_train = splits['train'].num_examples
  parts = {}
  if validation_examples is None and 'validation' in splits:
    held_out = 0
    parts['validation'] = _whole(splits, 'validation')
  else:
    held_out = num_train // _VALIDATION_DIVISOR
    if validation_examples is not None:
      held_out = validation_examples
    if not 0 <= held_out < num_train:
      raise DataError(
          f'validation_examples: {held_out} is not in [0, {num_train}), the '
          f'training examples of {name}.'
      )
    if held_out:
      parts['validation'] = _Part('train', 0, held_out)
  parts['train'] = _Part('train', held_out, num_train)
  if 'test' in splits:
    parts['test'] = _whole(splits, 'test')
  order = ('train', 'validation', 'test')
  return {split: parts[split] for split in order if split in parts}


def _whole(splits: tfds.core.SplitDict, split: str) -> _Part:
  return _Part(split, 0, splits[split].num_examples)


def _classes(
    builder: tfds.core.DatasetBuilder, parts: dict[str, _Part]
) -> tuple[int, tuple[str, ...]]:
  """Returns the number and the names of the classes."""
  label = builder.info.features['label']
  if getattr(label, 'num_classes', None):
    return label.num_classes, tuple(label.names)
  # A plain integer does not say how many values it takes.
  largest = max(
      records.largest_label(builder, split)
      for split in {part.split for part in parts.values()}
  )
  return largest + 1, tuple(str(index) for index in range(largest + 1))
