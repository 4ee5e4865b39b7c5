"""Three logical CPU devices, so that tests can have replicas.

Import this module before anything runs a TensorFlow operation.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from core import distribution

NUM_DEVICES = 3
# Stands for two replicas that add up by TensorFlow's collectives.
COLLECTIVE = -2


def _configure() -> None:
  cpu = tf.config.list_physical_devices('CPU')[0]
  if not tf.config.get_logical_device_configuration(cpu):
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * NUM_DEVICES
    )


def mirrored(num_replicas: int) -> tf.distribute.MirroredStrategy:
  """Returns a MirroredStrategy over the first logical CPU devices.

  Args:
    num_replicas: How many devices; COLLECTIVE for two that add up as GPUs and
      workers do, by collectives.
  """
  if num_replicas == COLLECTIVE:
    return _collective()
  return distribution.mirrored(
      [f'CPU:{index}' for index in range(num_replicas)]
  )


@functools.cache
def _collective() -> tf.distribute.MirroredStrategy:
  """Makes the one of this process: collectives of two would get mixed up."""
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])


_configure()
