"""One function that augments training batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import tensorflow as tf

from .. import checks, random
from . import erasing, flips, shifts

Batch: TypeAlias = Mapping[str, tf.Tensor]
Augmenter: TypeAlias = Callable[[Batch, tf.Tensor], Batch]
FLIPS = ('alternating', 'none', 'random')


def augment(
    *,
    flip: str = 'none',
    max_shift: int = 0,
    padding: str = 'zero',
    erasing_probability: float = 0.0,
    salt: int = 0,
) -> Augmenter:
  """Makes the training augmentation: flips, then shifts, then erasing.

  Args:
    flip: ``none``, ``random`` for `random_flips`, or ``alternating`` for
      `alternating_flips`.
    max_shift: The maximum shift in each of the four directions, in pixels.
    padding: The padding at the edges, see `shift`.
    erasing_probability: The probability of replacing a rectangle by noise, in
      [0, 1]; see `random_boxes`.
    salt: Selects the half that alternating flips start with.

  Returns:
    A function of a batch and a seed, integers ``[2]``, that returns the batch
    with another ``image``. For alternating flips the batch also has ``index``,
    each example's position in its split, and ``epoch``, integers
    ``[batch_size]``.

  Raises:
    ValueError: If a name is unknown or a number out of range; from the
      function, if the batch lacks an entry or images are too small.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, sections 3.1 and 3.6, for
    flips and shifts;
    `Zhong et al. 2017 <https://arxiv.org/abs/1708.04896>`_ for erasing.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> augment = augmentation.augment(flip='random', max_shift=2)
    >>> batch = {'image': tf.ones([5, 28, 28, 1], tf.uint8)}
    >>> augment(batch, [0, 1])['image'].dtype.name
    'uint8'
  """
  checks.one_of('flip', flip, FLIPS)
  checks.one_of('padding', padding, shifts.PADDINGS)
  checks.in_range('erasing_probability', erasing_probability, 0, 1)
  checks.size('max_shift', max_shift, low=0)
  checks.number('salt', salt)

  def augmentation(batch: Batch, seed: tf.Tensor) -> Batch:
    _check_batch(batch, flip, max_shift)
    images = batch['image']
    batch_size = images.shape[0] or tf.shape(images)[0]
    flip_seed, shift_seed, box_seed, noise_seed = random.split(seed, 4)
    if flip == 'random':
      flipped = flips.random_flips(flip_seed, batch_size)
      images = flips.flip(images, flipped)
    if flip == 'alternating':
      flipped = flips.alternating_flips(batch['index'], batch['epoch'], salt)
      images = flips.flip(images, flipped)
    if max_shift:
      offsets = shifts.random_offsets(shift_seed, batch_size, max_shift)
      images = shifts.shift(images, offsets, padding)
    if erasing_probability:
      boxes = erasing.random_boxes(box_seed, images, erasing_probability)
      images = erasing.erase(images, boxes, erasing.noise(noise_seed, images))
    return {**batch, 'image': images}

  return augmentation


def _check_batch(batch: Batch, flip: str, max_shift: int) -> None:
  needed = {'image'} | ({'index', 'epoch'} if flip == 'alternating' else set())
  missing = needed - batch.keys()
  if missing:
    raise ValueError(
        f'batch: it lacks {" and ".join(sorted(missing))}; alternating flips '
        'need the index of each example in its split, and the epoch, both '
        'integers [batch_size].'
        if 'image' in batch
        else f'batch: expected an image, got {", ".join(batch)}.'
    )
  checks.rank('image', batch['image'], 4)
  sizes = batch['image'].shape[1:3]
  if max_shift and None in sizes:
    raise ValueError(
        'batch: shifts need images of known height and width, got shape '
        f'{batch["image"].shape}; use tf.ensure_shape.'
    )
  smallest = min(sizes) if max_shift else 1
  if max_shift >= smallest:
    raise ValueError(
        f'max_shift: expected less than the {smallest} pixels of an image, got '
        f'{max_shift}.'
    )
