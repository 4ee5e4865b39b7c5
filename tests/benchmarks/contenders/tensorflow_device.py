"""What TensorFlow's contenders share: precision, device, versions."""

from __future__ import annotations

import tensorflow as tf

from tests.benchmarks import protocol


def setup(run: protocol.Run) -> None:
  """Sets the seed, and whether float32 products may be rounded on a GPU."""
  tf.random.set_seed(run.seed)
  tf.config.experimental.enable_tensor_float_32_execution(
      run.precision != 'float32'
  )


def name() -> str:
  """Names the device that TensorFlow computes on."""
  gpus = tf.config.list_physical_devices('GPU')
  if not gpus:
    return 'cpu'
  return tf.config.experimental.get_device_details(gpus[0])['device_name']
