"""Three logical CPU devices, so that tests can have replicas.

Import this module before anything runs a TensorFlow operation.
"""

from __future__ import annotations

import tensorflow as tf

from core import distribution

NUM_DEVICES = 3


def _configure() -> None:
  cpu = tf.config.list_physical_devices('CPU')[0]
  if not tf.config.get_logical_device_configuration(cpu):
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * NUM_DEVICES
    )


def mirrored(num_replicas: int) -> tf.distribute.MirroredStrategy:
  """Returns a MirroredStrategy over the first logical CPU devices."""
  return distribution.mirrored(
      [f'CPU:{index}' for index in range(num_replicas)]
  )


_configure()
