"""Sets of TFDS, opened by name: those of images and their classes here."""

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
  """Opens a set by name and prepares it first where necessary.

  Validation examples are the first of the training split in TFDS's order:
  neither a seed nor the number of shards changes which they are. A split to
  score whose labels are all -1, TFDS's mark for none, is left out, which
  `left_out` and `notes` say; one that was asked for by name is refused.

  Args:
    name: A name of TFDS, or of a set prepared in `chosen.data_dir`. A set of
      other features than bytes of images and one class each, and one with a
      query, such as ``NAME?label=mask&inputs=image``, is read by `tfds_any`.
    chosen: The options. A split to validate or test with is a name of the
      set's, or a slice as TFDS writes it, such as 'train[:5000]'. What is taken
      from the split 'train' is not trained on. A set beyond the memory budget
      is streamed: from the decoded images on disk, where they take at most half
      of what is free there, else from its records.

  Returns:
    The set.

  Raises:
    DataError: If the set is unknown, cannot be had or is damaged; if a feature
      cannot be used; if some labels of a split to score are -1 and others not;
      if plain integers as labels reach beyond 1,000 and ten times the number of
      different ones, or beyond 100,000.
  """
  name, query = queries.parse(name, tfds_any.KEYS, single=['label'])
  builder = preparation.make_builder(name, chosen.data_dir)
  image_shape = None
  if not tfds_any.is_needed(builder, query):
    # Before it is prepared, which may take long.
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
  if names is None:  # A plain integer does not say how many values it takes.
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
      raise errors.DataError(
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
  image = builder.info.features[spec.IMAGE]
  shape = image.shape
  if (
      image.np_dtype != np.uint8
      or shape[-1] is None
      or 0 in shape
  ):
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
