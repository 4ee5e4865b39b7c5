"""Opens TFDS data sets by name, and reads byte images with one class each."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow_datasets as tfds

from .. import (
    datasets,
    errors,
    labels,
    options,
    parts,
    preparation,
    spec,
    stores,
)
from . import queries, tfds_any


def of_tfds(name: str, chosen: options.Options) -> datasets.Dataset:
  """Opens a data set by name, and prepares it first if necessary.

  Validation examples are the first of the training split in TFDS's order,
  independently of the seed and the number of shards. A split for scoring whose
  labels are all -1, TFDS's value for missing ones, is left out, as `left_out`
  and `notes` report; if it was requested by name, this is an error.

  Args:
    name: A name in TFDS, or of a data set prepared in `chosen.data_dir`.
      `tfds_any` reads those with features other than byte images and one class
      each, and names with a query, such as ``NAME?label=mask&inputs=image``.
    chosen: The options. A split for validation or testing is a name or a slice
      in TFDS's syntax, such as 'train[:5000]'; examples that it takes from the
      split 'train' are not trained on. Data sets beyond the memory budget are
      streamed, from decoded images on disk if they take at most half of the
      free space, otherwise from records.

  Returns:
    The data set.

  Raises:
    DataError: If the data set is unknown, unavailable or damaged; if a feature
      cannot be used; if only some labels of a split for scoring are -1; or if
      integer labels are too many for classes, see `labels.numbered_classes`.
  """
  name, query = queries.parse(name, tfds_any.KEYS, single=['label'])
  builder = preparation.make_builder(name, chosen.data_dir)
  image_shape = None
  if not tfds_any.is_needed(builder, query):
    # Checked before preparing it, which may take long.
    image_shape = _image_shape(builder, name, chosen.image_size)
  if not preparation.is_prepared(builder):
    preparation.prepare(builder, name, chosen.archives_dir)
    builder = preparation.make_builder(name, chosen.data_dir)
  if image_shape is None:
    return tfds_any.of_builder(builder, name, query, chosen)
  found = parts.choose(
      builder,
      chosen.validation_examples,
      chosen.validation_split,
      chosen.test_split,
  )
  num_bytes = sum(part.num_examples for part in found.values()) * int(
      np.prod(image_shape)
  )
  store = stores.Store(
      builder,
      image_shape,
      chosen.image_size,
      is_resident=num_bytes <= chosen.memory_budget_gb * 1e9,
  )
  asked = {'validation': chosen.validation_split, 'test': chosen.test_split}
  left_out = _unlabelled(store, found, asked)
  for split in left_out:
    del found[split]
  names = labels.named_classes(builder)
  if names is None:  # Plain integers do not declare the number of classes.
    names = labels.counted_classes(builder, map(store.labels, found.values()))
  features = spec.of_images(image_shape, names)
  return datasets.Dataset(
      name,
      features,
      {
          split: functools.partial(store.open, part, features)
          for split, part in found.items()
      },
      num_examples={split: part.num_examples for split, part in found.items()},
      is_resident=store.is_resident,
      notes=store.notes,
      left_out=left_out,
      version=str(builder.version),
  )


def _unlabelled(
    store: stores.Store,
    chosen: dict[str, parts.Part],
    asked: dict[str, str | None],
) -> dict[str, str]:
  """Returns why splits cannot be scored, by name; raises for requested ones."""
  left_out = {}
  for split, part in chosen.items():
    if part.split == 'train':  # Also trained on, so missing labels are errors.
      continue
    why = labels.why_unlabelled(store.builder, part, store.labels(part))
    if why is None:
      continue
    if asked[split] is not None:
      raise errors.DataError(
          f'{split}_split: {store.builder.name}, split {part.split}: {why}; '
          f'use {split}_split=none to leave it out.'
      )
    left_out[split] = why
    remedy = (
        '; use validation_examples to hold out training examples instead'
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
  image = builder.info.features[spec.IMAGE]
  shape = image.shape
  if image.np_dtype != np.uint8 or shape[-1] is None or 0 in shape:
    dtype = getattr(image.np_dtype, '__name__', image.np_dtype)
    raise errors.DataError(
        f'dataset: {name} has images {dtype} {shape}; expected uint8 (height, '
        'width, channels).'
    )
  if image_size is None and None in shape:
    raise errors.DataError(
        f'image_size: the images of {name} differ in size, {shape}; pass the '
        'height and width to resize them to.'
    )
  height, width = image_size or shape[:2]
  return height, width, shape[-1]
