"""Losses of sequences."""

from __future__ import annotations

import tensorflow as tf

from .. import checks
from . import arguments, numerics


def ctc_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    *,
    label_lengths: tf.Tensor | None = None,
    logit_lengths: tf.Tensor | None = None,
    blank_index: int = 0,
) -> tf.Tensor:
  r"""Computes connectionist temporal classification (CTC).

  This is TensorFlow's negative log-probability of all alignments of a label of
  length L with T frames, in order, with blanks between:

  .. math:: -\log \sum_{\pi \in B^{-1}(y)} \prod_t p_t(\pi_t)

  It is exact below about 700: TensorFlow's recursion gives impossible steps a
  log-probability of about -707, so the loss of even less probable labels is
  finite but too small.

  Args:
    labels: ``[batch_size, max_label_length]``, integers in [0, num_classes)
      other than the blank's; those beyond a label's length are ignored.
    logits: ``[batch_size, max_frames, num_classes]``, floating point; those
      beyond the logits' length are ignored.
    label_lengths: ``[batch_size]``, integers in [0, max_label_length]. Default:
      max_label_length.
    logit_lengths: ``[batch_size]``, integers in [0, max_frames]. Default:
      max_frames.
    blank_index: The class of the blank, in [0, num_classes).

  Returns:
    ``[batch_size]``, float32 for any logits. A label or length out of range, or
    a label too long for its frames (it needs one per class, and one more
    between equal neighbors), raises eagerly and gives NaN in a graph.
    TensorFlow rejects a batch of size 0.

  Raises:
    ValueError: If shapes do not fit, the blank is out of range or, eagerly, a
      label or length is, or a label is too long for its frames.

  Reference:
    Graves et al., `Connectionist Temporal Classification
    <https://doi.org/10.1145/1143844.1143891>`_, 2006, equation 8.

  Example:
    >>> from core import losses
    >>> values = losses.ctc_loss([[1]], [[[0.0, 0.0], [0.0, 0.0]]])
    >>> round(float(values[0]), 4)  # 3 of 4 paths: 1-, -1 and 11.
    0.2877
  """
  logits = tf.cast(arguments.floats('logits', logits), tf.float32)
  checks.rank('logits', logits, 3)
  labels = tf.convert_to_tensor(labels)
  checks.integers('labels', labels)
  batch_size, *_ = checks.sizes_of(logits)
  labels = checks.shape('labels', labels, [batch_size, None])
  labels = tf.cast(labels, tf.int32)
  num_classes = logits.shape[-1]
  if num_classes is None:
    raise ValueError(
        f'logits: expected a known number of classes, got shape {logits.shape}.'
    )
  checks.in_range('blank_index', blank_index, 0, num_classes - 1)
  label_lengths, known_label = _lengths('label_lengths', label_lengths, labels)
  logit_lengths, known_logit = _lengths('logit_lengths', logit_lengths, logits)

  frames = tf.sequence_mask(logit_lengths, tf.shape(logits)[1])
  logits = numerics.where(frames[..., tf.newaxis], logits, 0.0)
  logits = numerics.finite_logits(logits)
  read = tf.sequence_mask(label_lengths, tf.shape(labels)[1])
  known = (labels >= 0) & (labels < num_classes) & (labels != blank_index)
  labels = tf.where(read, labels, blank_index)
  arguments.require(
      'labels',
      labels,
      known | ~read,
      f'integers in [0, {num_classes}) other than the blank {blank_index}',
  )
  repeated = (labels[:, 1:] == labels[:, :-1]) & read[:, 1:]
  repeats = tf.reduce_sum(tf.cast(repeated, tf.int32), axis=1)
  fits = label_lengths + repeats <= logit_lengths
  arguments.require(
      'label_lengths', label_lengths, fits, 'labels that fit into their frames'
  )
  valid = tf.reduce_all(known | ~read, axis=1) & fits
  valid &= known_label & known_logit
  values = tf.nn.ctc_loss(
      tf.where(known, labels, blank_index),
      logits,
      label_lengths,
      logit_lengths,
      logits_time_major=False,
      blank_index=blank_index,
  )
  return arguments.nan_unless(valid, values)


def _lengths(
    argument: str, lengths: tf.Tensor | None, sequences: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns lengths ``[B]``, clipped to the axis, and which were in range."""
  batch_size, longest = tf.unstack(tf.shape(sequences)[:2])
  if lengths is None:
    return tf.fill([batch_size], longest), tf.fill([batch_size], True)
  lengths = tf.convert_to_tensor(lengths)
  checks.integers(argument, lengths)
  lengths = checks.shape(argument, lengths, checks.sizes_of(sequences)[:1])
  lengths = tf.cast(lengths, tf.int32)
  valid = (lengths >= 0) & (lengths <= longest)
  expected = f'integers in [0, {sequences.shape[1]}]'
  arguments.require(argument, lengths, valid, expected)
  return tf.clip_by_value(lengths, 0, longest), valid
