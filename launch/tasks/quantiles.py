"""The loss of several quantiles of a number."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from core import losses

LEVELS = (0.1, 0.5, 0.9)


def loss(
    labels: tf.Tensor,
    predictions: tf.Tensor,
    *,
    levels: Sequence[float] = LEVELS,
) -> tf.Tensor:
  r"""Computes the mean pinball loss of several quantiles.

  Args:
    labels: ``[batch_size, num_numbers]``.
    predictions: ``[batch_size, num_numbers, num_levels]``.
    levels: The levels of the predicted quantiles, in (0, 1), ascending.

  Returns:
    ``[batch_size]``.

  Reference:
    Koenker and Bassett, `Regression Quantiles
    <https://doi.org/10.2307/1913643>`_, 1978, equation 3.1.
  """
  each = [
      losses.quantile(labels, predictions[..., i], level=level)
      for i, level in enumerate(levels)
  ]
  return tf.add_n(each) / len(each)
