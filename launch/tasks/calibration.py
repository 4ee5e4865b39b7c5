"""Mistakes of a classifier, and the calibration of its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import objectives

from . import inspection

_NUM_BINS = 15
# Beyond these limits, probabilities hardly change.
_MAX_TEMPERATURE = 100.0
_NUM_HALVINGS = 26  # To a precision of 3e-7 of a temperature.


class OfClasses(inspection.Inspection):
  """Shows the most confident mistakes, and the calibration."""

  title = 'Most confident mistakes'
  shown = ('prediction', 'probability')
  kept = ('class', 'logits')
  needs_validation = True

  def __init__(self, names: Sequence[str]):
    """Sets the names of the classes."""
    self._names = list(names)

  def columns(
      self, batch: objectives.Batch, evaluation: objectives.Evaluation
  ) -> dict[str, tf.Tensor]:
    """Scores wrong predictions by their probability."""
    logits = inspection.logits_of(evaluation.predictions)
    label = tf.cast(inspection.labels_of(batch, evaluation), tf.int64)
    best = tf.argmax(logits, axis=-1)
    probability = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
    is_right = tf.equal(best, label) & tf.math.is_finite(probability)
    return {
        inspection.SCORE: tf.where(is_right, -np.inf, probability),
        'prediction': tf.gather(self._names, best),
        'probability': probability,
        'class': label,
        'logits': logits,
    }

  def sections(
      self, kept: Mapping[str, inspection.Kept]
  ) -> Sequence[inspection.Section]:
    """Compares probabilities with the accuracy of predictions."""
    (split, first), *_ = kept.items()
    labels, logits = _finite(first)
    if not len(labels):
      return ()
    left_out = len(first['logits']) - len(labels)
    before = _confidence(labels, logits)
    curves = {'as predicted': before}
    rows: list[list[Any]] = [
        ['as predicted', 1.0, nll(labels, logits), error(*before)]
    ]
    text = (
        f'How often the predicted class of {len(labels):,} examples of {split} '
        'is right, by the probability that the model gives it. The expected '
        'calibration error (ECE) is the mean gap between the two over '
        f'{_NUM_BINS} bins of equal width.'
    )
    if left_out:
      text += f' {left_out:,} examples have outputs that are not finite.'
    fitted = _finite(kept.get('validation', first))
    if 'validation' in kept and split != 'validation' and len(fitted[0]):
      value = temperature(*fitted)
      after = _confidence(labels, logits / value)
      curves[f'at temperature {value:.3g}'] = after
      rows.append([
          'temperature of the validation split',
          value,
          nll(labels, logits / value),
          error(*after),
      ])
      text += (
          f'\n\nThe temperature {value:.4f}, by which logits are divided, '
          'minimizes the negative log-likelihood (NLL) of '
          f'{len(fitted[0]):,} examples of the validation split, by bisection '
          'of its derivative. It changes probabilities but no predictions.'
      )
      if not 1.001 / _MAX_TEMPERATURE < value < _MAX_TEMPERATURE / 1.001:
        text += ' It is at the limit of its range: no minimum was found.'
    else:
      text += (
          '\n\nNo temperature is fitted: that takes another split with labels, '
          'such as validation.'
      )
    return [
        inspection.Section(
            'Reliability',
            text,
            ('probabilities', 'temperature', 'NLL', 'ECE'),
            rows,
            {'reliability.png': lambda: _draw(curves)},
        )
    ]


def temperature(labels: np.ndarray, logits: np.ndarray) -> float:
  """Fits the divisor of logits that maximizes their likelihood.

  With b = 1 / temperature, the derivative of the negative log-likelihood is
  mean(sum(softmax(b z) z) - z[label]), which increases with b; bisection finds
  its zero.

  Args:
    labels: Integers ``[num_examples]``.
    logits: Finite, ``[num_examples, num_classes]``.

  Returns:
    The temperature, from 1/100 to 100.

  Reference:
    Guo et al., `On Calibration of Modern Neural Networks
    <https://arxiv.org/abs/1706.04599>`_, 2017, equation 9.
  """
  right = _of_label(labels, logits).mean()
  low, high = -np.log(_MAX_TEMPERATURE), np.log(_MAX_TEMPERATURE)
  for _ in range(_NUM_HALVINGS):
    middle = (low + high) / 2
    mean = np.sum(_softmax(np.exp(middle) * logits) * logits, axis=1).mean()
    low, high = (low, middle) if mean > right else (middle, high)
  return float(np.exp(-(low + high) / 2))


def error(confidence: np.ndarray, is_right: np.ndarray) -> float:
  """Returns the expected calibration error, over 15 bins of equal width.

  Args:
    confidence: The probability of the predicted class, ``[num_examples]``.
    is_right: Whether the prediction is right, ``[num_examples]``.
  """
  count, sure, right = _bins(confidence, is_right)
  return float(np.sum(count * np.abs(sure - right)) / len(confidence))


def nll(labels: np.ndarray, logits: np.ndarray) -> float:
  """Returns the mean negative log-likelihood of the labels."""
  largest = logits.max(axis=1)
  total = np.exp(logits - largest[:, np.newaxis]).sum(axis=1)
  return float(np.mean(np.log(total) + largest - _of_label(labels, logits)))


def _of_label(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
  return np.take_along_axis(logits, labels[:, np.newaxis], axis=1)[:, 0]


def _softmax(logits: np.ndarray) -> np.ndarray:
  powers = np.exp(logits - logits.max(axis=1, keepdims=True))
  return powers / powers.sum(axis=1, keepdims=True)


def _finite(kept: inspection.Kept) -> tuple[np.ndarray, np.ndarray]:
  """Returns labels and logits of the examples whose logits are finite."""
  logits = kept['logits'].astype(np.float64)
  is_finite = np.isfinite(logits).all(axis=1)
  return kept['class'][: len(logits)][is_finite], logits[is_finite]


def _confidence(
    labels: np.ndarray, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the probability of what is predicted, and whether it is right."""
  return _softmax(logits).max(axis=1), logits.argmax(axis=1) == labels


def _bins(
    confidence: np.ndarray, is_right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the count, mean confidence and accuracy of each bin."""
  place = np.minimum((confidence * _NUM_BINS).astype(int), _NUM_BINS - 1)
  count = np.bincount(place, minlength=_NUM_BINS)
  sure, right = (
      np.bincount(place, each, _NUM_BINS) / np.maximum(count, 1)
      for each in (confidence, is_right)
  )
  return count, sure, right


def _draw(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Any:
  """Plots reliability diagrams, and a histogram of confidences."""
  from matplotlib import figure as figure_lib  # Imported late: it is slow.

  plot = figure_lib.Figure(figsize=(9, 4), layout='constrained')
  diagram, histogram = plot.subplots(1, 2)
  diagram.plot([0, 1], [0, 1], color='gray', linewidth=0.8)
  for name, (confidence, is_right) in curves.items():
    count, sure, right = _bins(confidence, is_right)
    there = count > 0
    diagram.plot(sure[there], right[there], 'o-', label=name, markersize=4)
    histogram.hist(
        confidence,
        np.linspace(0, 1, _NUM_BINS + 1),
        histtype='step',
        linewidth=1.5,
    )
  diagram.set(
      xlabel='probability of the prediction',
      ylabel='share that is right',
      xlim=(0, 1.02),
      ylim=(0, 1.02),
  )
  histogram.set(
      xlabel='probability of the prediction', ylabel='examples', yscale='log'
  )
  for panel in (diagram, histogram):
    panel.grid(alpha=0.3)
  handles, labels = diagram.get_legend_handles_labels()
  plot.legend(handles, labels, loc='outside upper center', ncols=len(labels))
  return plot
