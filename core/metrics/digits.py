"""Exact float32 sums, for quantities that are differences of large sums.

A variance is such a quantity. In float32 the two sums agree in all digits as
soon as the mean is some thousand times the deviation. Here a float64 sum is
written in digits of base 256, each a small integer in float32: adding up to
2^16 encoded sums, digit by digit, is exact.
"""

from __future__ import annotations

import tensorflow as tf

_BASE = 256.0
_SCALES = tuple(_BASE**power for power in range(-14, 10))


def encode(values: tf.Tensor) -> tf.Tensor:
  """Writes float64 numbers ``[...]`` as float32 digits ``[..., 24]``.

  Digits are integers below 256 in magnitude with the sign of the number, least
  significant first; the last may be larger. Parts below 2^-112 are cut off. NaN
  and infinity give NaN.
  """
  scales = tf.constant(_SCALES, tf.float64)
  wholes = tf.floor(tf.abs(values)[..., tf.newaxis] / scales)
  above = tf.concat([wholes[..., 1:], tf.zeros_like(wholes[..., :1])], -1)
  digits = tf.sign(values)[..., tf.newaxis] * (wholes - _BASE * above)
  return tf.cast(digits, tf.float32)


def decode(digits: tf.Tensor) -> tf.Tensor:
  """Reads float64 numbers from digits, or sums of them from sums of digits."""
  scales = tf.constant(_SCALES, tf.float64)
  return tf.reduce_sum(tf.cast(digits, tf.float64) * scales, axis=-1)
