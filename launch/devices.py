"""The devices and the strategy that the flags of a program ask for."""

from __future__ import annotations

import os

import tensorflow as tf

from core import distribution

from . import programs


def strategy(
    name: str, num_virtual_devices: int | None = None
) -> tf.distribute.Strategy:
  """Sets devices up and creates a strategy; call it before any operation.

  Args:
    name: The value of --strategy.
    num_virtual_devices: How many devices to split the CPU into. GPUs are left
      alone then.

  Returns:
    The strategy.

  Raises:
    UserError: If the workers are not, or wrongly, described in TF_CONFIG.
  """
  # Without it every machine would take itself for the chief of a run of one.
  if name == 'multi_worker' and not os.environ.get('TF_CONFIG'):
    raise programs.UserError(
        '--strategy=multi_worker: the environment variable TF_CONFIG is to '
        'name the workers, and which of them this is.'
    )
  if num_virtual_devices:
    tf.config.set_visible_devices([], 'GPU')
    distribution.set_virtual_devices(num_virtual_devices)
  try:
    return distribution.create(name)
  except (ValueError, KeyError, TypeError) as error:
    raise programs.UserError(f'--strategy={name}: {error!r}') from error
