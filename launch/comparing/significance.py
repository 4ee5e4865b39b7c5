"""Tests whether the difference between two groups of numbers is significant.

The tests are Student's t, which accounts for a spread estimated from few seeds.
A permutation test is independent of the distribution, but the exact test over
five pairs cannot go below p = 2 / 32. It is used only if t is undefined for
lack of spread, as for an accuracy over few examples.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# The confidence of intervals, and the power of detectable differences.
LEVEL = 0.95
POWER = 0.8


class Interval(NamedTuple):
  """A mean and its 95 % confidence interval.

  The interval is NaN for a single number, and for numbers that are all equal.
  """

  mean: float
  low: float
  high: float

  def __str__(self) -> str:
    """Returns the mean as text, with the interval in brackets."""
    text = f'{self.mean:.4f}'
    if math.isnan(self.low):
      return text
    return f'{text} [{self.low:.4f}, {self.high:.4f}]'


class Test(NamedTuple):
  """A two-sided test of the difference of two means.

  Attributes:
    difference: The first mean minus the second, with its interval.
    p: The p-value: the probability of a difference at least as large, if the
      means are equal.
    detectable: The difference that would be shown with a power of 80 %.
    method: The name of the test.
  """

  difference: Interval
  p: float
  detectable: float
  method: str

  @property
  def is_shown(self) -> bool:
    """Whether the difference is significant at the level of the interval."""
    return self.p < 1 - LEVEL


def interval(values: Sequence[float]) -> Interval:
  """Returns the mean of numbers and its confidence interval, by Student's t."""
  number, mean = len(values), float(np.mean(values))
  if min(values) == max(values):
    return Interval(mean, math.nan, math.nan)
  error = float(np.std(values, ddof=1)) / math.sqrt(number)
  return _around(mean, error, number - 1)


def paired(ones: Sequence[float], others: Sequence[float]) -> Test:
  """Tests the mean difference of pairs.

  Args:
    ones: The first of each pair; two pairs or more.
    others: The second of each.

  Returns:
    The t test, or the exact sign-flip test if all differences are equal.
  """
  gaps = np.subtract(ones, others)
  number = len(gaps)
  error = float(np.std(gaps, ddof=1)) / math.sqrt(number)
  return _test(
      float(np.mean(gaps)),
      error,
      number - 1,
      'paired t test',
      exact=2 * 0.5**number,
      exactly='sign-flip test',
      scale=np.abs([*ones, *others]).max(),
  )


def welch(ones: Sequence[float], others: Sequence[float]) -> Test:
  """Tests the difference of two groups' means; the variances may differ.

  Args:
    ones: The first group; two numbers or more.
    others: The second.

  Returns:
    Welch's t test, or the exact permutation test if neither group has spread.
  """
  sizes = len(ones), len(others)
  squares = [
      float(np.var(values, ddof=1)) / len(values) for values in (ones, others)
  ]
  total = sum(squares)
  freedom = float(sum(sizes) - 2)
  if total:  # Welch and Satterthwaite's degrees of freedom.
    freedom = 1 / sum(
        (square / total) ** 2 / (size - 1)
        for square, size in zip(squares, sizes, strict=True)
    )
  return _test(
      float(np.mean(ones) - np.mean(others)),
      math.sqrt(total),
      freedom,
      "Welch's t test",
      exact=2 / math.comb(sum(sizes), sizes[0]),
      exactly='permutation test',
      scale=np.abs([*ones, *others]).max(),
  )


def holm(ps: Sequence[float], number: int) -> list[float]:
  """Adjusts p-values for multiple comparisons.

  Among true null hypotheses, an adjusted p-value is below 0.05 with a
  probability of at most 5 %.

  Args:
    ps: The p-values.
    number: The number of comparisons, including those that are not in `ps`.

  Returns:
    The adjusted ones, in the same order.

  Reference:
    Holm, A simple sequentially rejective multiple test procedure, 1979.
  """
  adjusted, largest = [0.0] * len(ps), 0.0
  for rank, index in enumerate(np.argsort(ps, kind='stable')):
    largest = max(largest, min(1.0, (number - rank) * ps[index]))
    adjusted[index] = largest
  return adjusted


def p_text(p: float) -> str:
  """Formats a p-value, as `= 0.03` or `< 0.0001`."""
  return f'= {p:.2g}' if p >= 1e-4 else '< 0.0001'


def two_sided_p(t: float, freedom: float) -> float:
  """Returns the probability that Student's t is at least as far from 0."""
  half, point = freedom / 2, freedom / (freedom + t * t)
  if point <= 0.5:
    p = tf.math.betainc(*map(_float64, (half, 0.5, point)))
    return float(p)
  # By symmetry, since numbers near 1 have lost digits.
  rest = t * t / (freedom + t * t)
  return 1 - float(tf.math.betainc(*map(_float64, (0.5, half, rest))))


@functools.cache
def quantile(probability: float, freedom: float) -> float:
  """Returns the quantile of Student's t for a probability of at least 0.5."""
  low, high = 0.0, 1.0
  wanted = 2 * (1 - probability)
  while two_sided_p(high, freedom) > wanted:
    low, high = high, 2 * high
  for _ in range(60):
    middle = (low + high) / 2
    if two_sided_p(middle, freedom) > wanted:
      low = middle
    else:
      high = middle
  return (low + high) / 2


def _float64(value: float) -> tf.Tensor:
  return tf.constant(value, tf.float64)


def _around(mean: float, error: float, freedom: float) -> Interval:
  reach = quantile(1 - (1 - LEVEL) / 2, freedom) * error
  return Interval(mean, mean - reach, mean + reach)


def _test(
    mean: float,
    error: float,
    freedom: float,
    method: str,
    *,
    exact: float,
    exactly: str,
    scale: float,
) -> Test:
  """Tests a mean difference; an error within rounding counts as zero.

  Args:
    mean: The mean difference.
    error: Its standard error.
    freedom: The degrees of freedom of the error.
    method: The name of the t test.
    exact: The p-value of the exact test, if there is no spread.
    exactly: The name of the exact test.
    scale: The largest absolute value of the numbers.

  Returns:
    The test.
  """
  if error <= 1e-12 * scale:
    p = exact if abs(mean) > 1e-12 * scale else 1.0
    return Test(Interval(mean, math.nan, math.nan), p, math.nan, exactly)
  # The usual approximation of a noncentral t by a shifted one.
  far = quantile(1 - (1 - LEVEL) / 2, freedom) + quantile(POWER, freedom)
  return Test(
      _around(mean, error, freedom),
      two_sided_p(mean / error, freedom),
      far * error,
      method,
  )
