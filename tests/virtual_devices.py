"""Three logical CPU devices, so that tests can have replicas.

Import this module before anything runs a TensorFlow operation.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from core import distribution

NUM_DEVICES = 3
# The number of replicas that add up by collectives; see `mirrored`.
COLLECTIVE = 2


def _configure() -> None:
  cpu = tf.config.list_physical_devices('CPU')[0]
  if not tf.config.get_logical_device_configuration(cpu):
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * NUM_DEVICES
    )


@functools.cache
def mirrored(num_replicas: int) -> tf.distribute.MirroredStrategy:
  """Returns the process's MirroredStrategy over the first logical CPU devices.

  Two replicas add up by TensorFlow's collectives, as GPUs and workers do, and
  three on one of the devices, as CPU devices do by default: tests of both sizes
  cover both. There is one strategy per size, since the collectives of two
  strategies would get mixed up.

  Args:
    num_replicas: The number of devices, at most NUM_DEVICES.

  Returns:
    The strategy.
  """
  devices = [f'CPU:{index}' for index in range(num_replicas)]
  if num_replicas == COLLECTIVE:
    return tf.distribute.MirroredStrategy(devices)
  return distribution.mirrored(devices)


_configure()
