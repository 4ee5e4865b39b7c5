"""Losses of real numbers: errors averaged over all axes but the first."""

from __future__ import annotations

import math

import tensorflow as tf

from .. import checks
from . import arguments, numerics


def squared_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
  r"""Computes the mean squared error of each example.

  .. math:: \frac{1}{D} \sum_d (x_d - y_d)^2

  Args:
    labels: ``[batch_size, ...]``, numbers.
    predictions: ``[batch_size, ...]``, floating point, of the labels' shape.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ.

  Reference:
    ``optax.losses.squared_error``, averaged; ``keras.losses.MeanSquaredError``.

  Example:
    >>> from core import losses
    >>> float(losses.squared_error([[1.0, 2.0]], [[3.0, 2.0]])[0])
    2.0
  """
  errors, _ = numerics.errors(labels, predictions)
  return numerics.over_examples(errors**2)


def absolute_error(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
  r"""Computes the mean absolute error of each example.

  .. math:: \frac{1}{D} \sum_d |x_d - y_d|

  Args:
    labels: ``[batch_size, ...]``, numbers.
    predictions: ``[batch_size, ...]``, floating point, of the labels' shape.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ.

  Reference:
    ``keras.losses.MeanAbsoluteError``.

  Example:
    >>> from core import losses
    >>> float(losses.absolute_error([[1.0, 2.0]], [[3.0, 2.0]])[0])
    1.0
  """
  errors, _ = numerics.errors(labels, predictions)
  return numerics.over_examples(tf.abs(errors))


def huber_loss(
    labels: tf.Tensor, predictions: tf.Tensor, *, delta: float = 1.0
) -> tf.Tensor:
  r"""Computes the Huber loss: squared near the label, linear far from it.

  With the error :math:`e = |x - y|`, averaged over all axes but the first:

  .. math::
    \tfrac{1}{2} e^2 \quad (e < \delta), \qquad
    \delta \, (e - \tfrac{1}{2} \delta) \quad (e \ge \delta)

  Args:
    labels: ``[batch_size, ...]``, numbers.
    predictions: ``[batch_size, ...]``, floating point, of the labels' shape.
    delta: Where the loss turns linear, > 0.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ or delta is not positive.

  Reference:
    Huber, `Robust Estimation of a Location Parameter
    <https://doi.org/10.1214/aoms/1177703732>`_, 1964.

  Example:
    >>> from core import losses
    >>> losses.huber_loss([0.0, 0.0], [0.5, 3.0]).numpy().tolist()
    [0.125, 2.5]
  """
  arguments.positive('delta', delta)
  errors, _ = numerics.errors(labels, predictions)
  error = tf.abs(errors)
  near = 0.5 * tf.minimum(error, delta) ** 2
  far = delta * (error - 0.5 * delta)
  return numerics.over_examples(tf.where(error < delta, near, far))


def log_cosh(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
  r"""Computes the logarithm of the hyperbolic cosine of the error.

  About half the squared error near the label and the absolute error minus
  :math:`\log 2` far from it, twice differentiable everywhere; averaged over all
  axes but the first:

  .. math:: \log \cosh (x - y)

  Args:
    labels: ``[batch_size, ...]``, numbers.
    predictions: ``[batch_size, ...]``, floating point, of the labels' shape.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ.

  Reference:
    Chen et al., `Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder
    <https://openreview.net/forum?id=rkglvsC9Ym>`_, 2018.

  Example:
    >>> from core import losses
    >>> round(float(losses.log_cosh([0.0], [1.0])[0]), 4)
    0.4338
  """
  errors, _ = numerics.errors(labels, predictions)
  size = tf.abs(errors)
  # Two forms of one function: cosh overflows far from 0, and subtracting log 2
  # cancels small errors.
  near = 0.5 * tf.math.log1p(tf.sinh(tf.clip_by_value(errors, -1, 1)) ** 2)
  far = size + tf.math.softplus(-2 * size) - math.log(2)
  return numerics.over_examples(tf.where(size < 1, near, far))


def quantile(
    labels: tf.Tensor, predictions: tf.Tensor, *, level: float = 0.5
) -> tf.Tensor:
  r"""Computes the pinball loss, minimal at a quantile of the labels.

  With the error :math:`e = y - x`, averaged over all axes but the first:

  .. math:: \max(q \, e, (q - 1) \, e)

  Args:
    labels: ``[batch_size, ...]``, numbers.
    predictions: ``[batch_size, ...]``, floating point, of the labels' shape.
    level: Which quantile to predict, in [0, 1]; 0.5 is the median.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If the shapes differ or the level is not in [0, 1].

  Reference:
    Koenker and Bassett, `Regression Quantiles
    <https://doi.org/10.2307/1913643>`_, 1978, equation 3.1.

  Example:
    >>> from core import losses
    >>> losses.quantile([4.0, 0.0], [0.0, 4.0], level=0.75).numpy().tolist()
    [3.0, 1.0]
  """
  checks.in_range('level', level, 0, 1)
  errors, _ = numerics.errors(labels, predictions)
  error = -errors
  return numerics.over_examples(tf.maximum(level * error, (level - 1) * error))
