"""The speed of large matrix products and convolutions on the devices."""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf

from core import distribution

# The side of a matrix, and the size of a batch of images.
_SIDES = {False: 1_024, True: 8_192}  # By whether there are GPUs.
_BATCHES = {False: 16, True: 1_024}
_IMAGE, _CHANNELS, _KERNEL = 32, 64, 3


def product(
    strategy: tf.distribute.Strategy, dtype: str
) -> Callable[[], float]:
  """Returns a function that measures the rate of square matrix products.

  Args:
    strategy: The strategy. Replicas on CPUs share the cores of one product.
    dtype: The dtype of the products.

  Returns:
    A function that returns the FLOP per second of all devices.
  """
  side = _SIDES[distribution.on_gpu(strategy)]
  one = tf.ones([side, side], dtype)
  return _timer(strategy, tf.matmul, one, one, 2 * side**3)


def convolution(
    strategy: tf.distribute.Strategy, dtype: str
) -> Callable[[], float]:
  """Returns a function that measures 3x3 convolutions; see `product`."""
  size = _BATCHES[distribution.on_gpu(strategy)]
  images = tf.ones([size, _IMAGE, _IMAGE, _CHANNELS], dtype)
  kernel = tf.ones([_KERNEL, _KERNEL, _CHANNELS, _CHANNELS], dtype)
  flop = 2 * size * _IMAGE**2 * _KERNEL**2 * _CHANNELS**2
  return _timer(
      strategy, lambda x, w: tf.nn.conv2d(x, w, 1, 'SAME'), images, kernel, flop
  )


def _timer(
    strategy: tf.distribute.Strategy,
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    one: tf.Tensor,
    other: tf.Tensor,
    flop: int,
) -> Callable[[], float]:
  """Returns a function that measures a rate, after a first call here."""
  graph = tf.function(function, autograph=False)
  flop *= strategy.num_replicas_in_sync if distribution.on_gpu(strategy) else 1

  def rate() -> float:
    started = time.monotonic()
    result = graph(one, other)
    tf.reshape(result, [-1])[0].numpy()  # Waits for the device.
    return flop / (time.monotonic() - started)

  rate()
  return rate
