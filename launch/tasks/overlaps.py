"""Overlap of predicted and true masks, per example."""

from __future__ import annotations

import tensorflow as tf

from core import objectives

from . import inspection


class OfMasks(inspection.Inspection):
  """Shows the predicted masks that overlap least with the true ones."""

  title = 'Worst masks by intersection over union'
  shown = ('prediction', 'iou')

  def __init__(self, num_classes: int):
    """Sets the number of classes."""
    self._num_classes = num_classes

  def columns(
      self, batch: objectives.Batch, evaluation: objectives.Evaluation
  ) -> dict[str, tf.Tensor]:
    """Computes the mean IoU over the classes in either mask of an example."""
    logits = inspection.logits_of(evaluation.predictions)
    label = tf.cast(inspection.labels_of(batch, evaluation), tf.int32)
    mask = tf.argmax(logits, axis=-1, output_type=tf.int32)

    def counts(index: tf.Tensor) -> tf.Tensor:
      is_label, is_mask = tf.equal(label, index), tf.equal(mask, index)
      return tf.stack([
          tf.math.count_nonzero(each, axis=(1, 2), dtype=tf.float32)
          for each in (is_label & is_mask, is_label | is_mask)
      ])

    both, either = tf.unstack(
        tf.map_fn(
            counts, tf.range(self._num_classes), fn_output_signature=tf.float32
        ),
        axis=1,
    )  # [C, B] each.
    iou = tf.math.divide_no_nan(
        tf.reduce_sum(tf.math.divide_no_nan(both, either), axis=0),
        tf.reduce_sum(tf.cast(either > 0, tf.float32), axis=0),
    )
    is_finite = tf.reduce_all(tf.math.is_finite(logits), axis=(1, 2, 3))
    return {
        inspection.SCORE: tf.where(is_finite, 1 - iou, float('nan')),
        'prediction': mask,
        'iou': iou,
    }
