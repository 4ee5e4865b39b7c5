"""Test-time augmentation: predictions averaged over views of an image.

The views of a batch are stacked and pass through the model as one batch, so
that the network is traced and compiled only once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from .. import checks
from . import shifts


class View(NamedTuple):
  """A transformation of images, and its weight in the average.

  Attributes:
    weight: The share of the average. Those of all views add up to 1.
    transform: From images ``[batch_size, height, width, channels]`` to the same
      shape and type.
  """

  weight: float
  transform: Callable[[tf.Tensor], tf.Tensor]


def flip_views() -> tuple[View, ...]:
  """Returns the image and its mirror image.

  Returns:
    Two views of weight 1/2.

  Reference:
    `Krizhevsky et al. 2012 <https://doi.org/10.1145/3065386>`_, section 4.1.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> image = tf.reshape([1.0, 2.0, 4.0], [1, 1, 3, 1])
    >>> for view in augmentation.flip_views():
    ...   print(view.weight, view.transform(image).numpy().ravel().tolist())
    0.5 [1.0, 2.0, 4.0]
    0.5 [4.0, 2.0, 1.0]
  """
  return tuple(View(0.5, _move(flipped)) for flipped in (False, True))


def flip_shift_views(padding: str = 'zero') -> tuple[View, ...]:
  """Returns the image, shifted versions of it, and their mirror images.

  The shifts are one pixel up and left, and one down and right. The unshifted
  views have half of the weight.

  Args:
    padding: The padding at the edges, see `shift`.

  Returns:
    Six views, of weights 1/4 and 1/8.

  Raises:
    ValueError: If the padding is unknown.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, section 3.5, with the
    padding ``reflect``.

  Example:
    >>> from core import augmentation
    >>> [view.weight for view in augmentation.flip_shift_views()]
    [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
  """
  checks.one_of('padding', padding, shifts.PADDINGS)
  return tuple(
      View(weight, _move(flipped, offset, padding))
      for offset, weight in ((0, 0.25), (-1, 0.125), (1, 0.125))
      for flipped in (False, True)
  )


def _move(
    flipped: bool, offset: int = 0, padding: str = 'zero'
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Makes a view: images moved along the diagonal, then optionally mirrored."""

  def transform(images: tf.Tensor) -> tf.Tensor:
    if offset:
      batch_size = images.shape[0] or tf.shape(images)[0]
      images = shifts.shift(images, tf.fill([batch_size, 2], offset), padding)
    if flipped:
      images = tf.reverse(images, [2])
    return images

  return transform


def stack(
    views: Sequence[View], batch: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
  """Stacks all views of a batch, one after another.

  Args:
    views: V views.
    batch: A batch with ``image`` ``[batch_size, height, width, channels]``.

  Returns:
    A batch of ``V * batch_size`` examples; all entries but the image repeat.

  Raises:
    ValueError: If there are no views or images, or the batch size changes.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, section 3.5.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> batch = {'image': tf.ones([4, 8, 8, 1]), 'label': tf.range(4)}
    >>> augmentation.stack(augmentation.flip_views(), batch)['label'].shape[0]
    8
  """
  if not views:
    raise ValueError('views: expected at least one, got none.')
  if 'image' not in batch:
    raise ValueError(f'batch: expected an image, got {", ".join(batch)}.')
  repeated = {
      name: tf.concat([value] * len(views), axis=0)
      for name, value in batch.items()
  }
  image = tf.convert_to_tensor(batch['image'])
  images = [
      checks.same_batch(image=image, view=view.transform(image))[1]
      for view in views
  ]
  return {**repeated, 'image': tf.concat(images, axis=0)}


def average(views: Sequence[View], outputs: Any) -> Any:
  """Averages the outputs for stacked views.

  Args:
    views: The V views.
    outputs: A nest of floating tensors ``[V * batch_size, ...]``.

  Returns:
    A nest of means ``[batch_size, ...]``, by the views' weights.

  Raises:
    ValueError: If there is no view, or a weight is not a number.

  Reference:
    `Jordan 2024 <https://arxiv.org/abs/2404.00498>`_, section 3.5: it averages
    logits, not probabilities.

  Example:
    >>> import tensorflow as tf
    >>> from core import augmentation
    >>> logits = tf.constant([[1.0], [2.0], [5.0], [8.0]])
    >>> views = augmentation.flip_views()
    >>> augmentation.average(views, logits).numpy().tolist()
    [[3.0], [5.0]]
  """
  if not views:
    raise ValueError('views: expected at least one, got none.')

  for view in views:
    checks.number('views', view.weight)

  def mean(values: tf.Tensor) -> tf.Tensor:
    return tf.add_n([
        tf.cast(view.weight, values.dtype) * part
        for view, part in zip(views, tf.split(values, len(views)), strict=True)
    ])

  return tf.nest.map_structure(mean, outputs)
