"""Negative log-likelihoods of numbers, averaged over all axes but the first."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import arguments, numerics

_LARGEST_LOG_RATE = 30.0


def poisson(
    labels: tf.Tensor, log_rates: tf.Tensor, *, full: bool = False
) -> tf.Tensor:
  r"""Computes the negative log-likelihood of counts, given logs of rates.

  With the count y and the log-rate x, averaged over all axes but the first:

  .. math:: e^x - y x + \log y!

  Above a log-rate of 30 (ten trillion) the exponential continues as a straight
  line, so that no prediction overflows.

  Args:
    labels: ``[batch_size, ...]``, numbers >= 0.
    log_rates: ``[batch_size, ...]``, floating point, of the labels' shape.
    full: Whether to add :math:`\log y!`, which changes no gradient.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ.

  Reference:
    ``scipy.stats.poisson.logpmf``; ``torch.nn.PoissonNLLLoss`` with
    ``log_input``.

  Example:
    >>> from core import losses
    >>> losses.poisson([3.0], [0.0]).numpy().tolist()
    [1.0]
  """
  labels, log_rates = arguments.pair(
      labels, log_rates, names=('labels', 'log_rates')
  )
  valid = labels >= 0
  arguments.require('labels', labels, valid, 'counts >= 0')
  y, x = numerics.widest(labels), numerics.widest(log_rates)
  near = tf.minimum(x, _LARGEST_LOG_RATE)
  rates = tf.exp(near) * (1 + x - near)
  values = rates - y * x
  if full:  # Before the cast: it nearly cancels the rest for large counts.
    values += tf.math.lgamma(1 + y)
  values = tf.cast(values, log_rates.dtype)
  return numerics.over_examples(arguments.nan_unless(valid, values))


def gaussian_negative_log_likelihood(
    labels: tf.Tensor,
    means: tf.Tensor,
    *,
    variances: tf.Tensor,
    smallest_variance: float = 1e-6,
    full: bool = False,
) -> tf.Tensor:
  r"""Computes the negative log-likelihood under a normal distribution.

  With the mean x and the variance v, averaged over all axes but the first:

  .. math:: \tfrac{1}{2} \left( \log v + (y - x)^2 / v + \log 2 \pi \right)

  Args:
    labels: ``[batch_size, ...]``, numbers.
    means: ``[batch_size, ...]``, floating point, of the labels' shape.
    variances: ``[batch_size, ...]``, floating point, of the labels' shape.
    smallest_variance: > 0: smaller variances are clipped to it but keep the
      gradient at it, so that a model can recover from them.
    full: Whether to add :math:`\tfrac{1}{2} \log 2 \pi`.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ or the smallest variance is not positive.

  Reference:
    Nix and Weigend, `Estimating the Mean and Variance of the Target
    Probability Distribution <https://doi.org/10.1109/ICNN.1994.374138>`_,
    1994.

  Example:
    >>> from core import losses
    >>> losses.gaussian_negative_log_likelihood(
    ...     [3.0], [1.0], variances=[1.0]).numpy().tolist()
    [2.0]
  """
  arguments.positive('smallest_variance', smallest_variance)
  errors, means = numerics.errors(labels, means, names=('labels', 'means'))
  variances = tf.cast(arguments.floats('variances', variances), means.dtype)
  _, variances = checks.same_shape(means=means, variances=variances)
  clipped = tf.stop_gradient(tf.maximum(variances, smallest_variance))
  variances = clipped + (variances - tf.stop_gradient(variances))
  deviations = errors * tf.math.rsqrt(variances)
  values = 0.5 * (tf.math.log(variances) + deviations**2)
  if full:
    values += 0.5 * math.log(2 * math.pi)
  return numerics.over_examples(values)
