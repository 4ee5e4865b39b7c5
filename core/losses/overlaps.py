"""Losses of segmentation: how little predicted and true regions overlap."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import arguments


def dice_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    smoothing: float = 1.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes one minus the Dice coefficient of soft regions.

  With the mask y and the probabilities p of a class, both summed over all
  places of an example, and averaged over the classes:

  .. math:: 1 - \frac{2 \sum y p + s}{\sum y + \sum p + s}

  This is `tversky_loss` with both factors 0.5 and half the smoothing. (Optax's
  ``smooth`` is half of this one, too.)

  Args:
    labels: See `tversky_loss`.
    logits: See `tversky_loss`.
    smoothing: > 0, counted in places; it makes the loss 0 for an empty region
      that is predicted empty.
    class_mask: See `tversky_loss`.

  Returns:
    ``[batch_size]``, in [0, 1].

  Raises:
    ValueError: If shapes do not fit, the smoothing is not positive or
      class_mask is given for masks.

  Reference:
    Milletari et al., `V-Net <https://arxiv.org/abs/1606.04797>`_, 2016,
    section 3, with plain sums instead of sums of squares in the denominator.

  Example:
    >>> from core import losses
    >>> losses.dice_loss([[1, 1, 0, 0]], [[99.0, -99.0, -99.0, -99.0]]).numpy()
    array([0.25], dtype=float32)
  """
  arguments.positive('smoothing', smoothing)
  return tversky_loss(
      labels,
      logits,
      alpha=0.5,
      beta=0.5,
      smoothing=smoothing / 2,
      class_mask=class_mask,
  )


def tversky_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smoothing: float = 1.0,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes one minus the Tversky index of soft regions.

  With the mask y and the probabilities p of a class, all summed over the
  places of an example, and averaged over the classes:

  .. math::
    1 - \frac{\sum y p + s}
    {\sum y p + \alpha \sum (1 - y) p + \beta \sum y (1 - p) + s}

  Args:
    labels: Either ``[batch_size, ...]``, integers in [0, num_classes), for
      logits with a further axis of classes, or masks in [0, 1] of the logits'
      shape.
    logits: Floating point. ``[batch_size, ..., num_classes]`` for integer
      labels of exclusive classes (softmax), or the masks' shape for one
      foreground (sigmoid).
    alpha: The cost of a false positive, >= 0.
    beta: The cost of a false negative, >= 0; more than alpha favors recall.
    smoothing: > 0, counted in places.
    class_mask: ``[num_classes]`` or the logits' shape, for integer labels only;
      False excludes a class. The average leaves out a class that is excluded at
      all places of an example.

  Returns:
    ``[batch_size]``, in [0, 1].

  Raises:
    ValueError: If shapes do not fit, an option is out of range or class_mask is
      given for masks.

  Reference:
    Salehi et al., `Tversky Loss Function for Image Segmentation Using 3D Fully
    Convolutional Deep Networks <https://arxiv.org/abs/1706.05721>`_, 2017,
    equation 4.

  Example:
    >>> from core import losses
    >>> values = losses.tversky_loss(
    ...     [[1, 1, 0, 0]], [[99.0, -99.0, -99.0, -99.0]], beta=1.0)
    >>> round(float(values[0]), 4)
    0.3333
  """
  arguments.not_negative('alpha', alpha)
  arguments.not_negative('beta', beta)
  arguments.positive('smoothing', smoothing)
  masks, probabilities, complements, counts, valid = _regions(
      labels, logits, class_mask
  )
  hit = tf.reduce_sum(masks * probabilities, axis=1)  # [B, C]
  false = tf.reduce_sum((1 - masks) * probabilities, axis=1)
  missed = tf.reduce_sum(masks * complements, axis=1)
  wrong = alpha * false + beta * missed
  # One minus the index, computed without the difference.
  values = wrong / (hit + wrong + smoothing)
  values = tf.math.divide_no_nan(
      tf.reduce_sum(values * counts, axis=-1), tf.reduce_sum(counts, axis=-1)
  )
  return arguments.nan_unless(valid, values)


def _regions(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_mask: arguments.ClassMask | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
  """Returns the regions of all classes, flattened.

  Returns:
    Masks, p and 1 - p, each ``[B, N, C]``; 1 for each class that is possible
    somewhere in an example, else 0, ``[B, C]``; and validity ``[B]``.
  """
  labels, logits = tf.convert_to_tensor(labels), tf.convert_to_tensor(logits)
  for name, tensor in (('labels', labels), ('logits', logits)):
    if tensor.shape.rank is None:
      raise ValueError(
          f'{name}: expected a tensor of known rank; set it with '
          'tf.ensure_shape.'
      )
  if logits.shape.rank == labels.shape.rank:
    if class_mask is not None:
      raise ValueError(
          "class_mask: expected None for masks of the logits' shape; it needs "
          'integer labels.'
      )
    masks, logits, valid = arguments.binary(labels, logits)
    p, complements = tf.sigmoid(logits), tf.sigmoid(-logits)
    possible = tf.ones_like(logits, tf.bool)
    shape = [tf.shape(logits)[0], -1, 1]
  else:
    labels, logits, valid = arguments.classes(labels, logits, class_mask)
    masks = tf.one_hot(labels, tf.shape(logits)[-1], dtype=logits.dtype)
    p = tf.nn.softmax(logits)
    complements = 1 - p
    possible = tf.not_equal(logits, -math.inf) | tf.cast(masks, tf.bool)
    shape = [tf.shape(logits)[0], -1, checks.sizes_of(logits)[-1]]
  possible = tf.reduce_any(tf.reshape(possible, shape), axis=1)
  return (
      tf.reshape(masks, shape),
      tf.reshape(p, shape),
      tf.reshape(complements, shape),
      tf.cast(possible, p.dtype),
      tf.reduce_all(valid, axis=range(1, valid.shape.rank)),
  )
