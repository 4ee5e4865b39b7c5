"""The devices and the strategy that the flags of a program ask for."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from core import distribution

from . import config as config_lib
from . import programs, together
from .cluster import resolving

_mirrored: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def has_nvidia_driver(root: str = '/') -> bool:
  """Returns whether NVIDIA's driver runs on this machine.

  Args:
    root: Where the file system begins.
  """
  path = pathlib.Path(root)
  is_loaded = (path / 'proc/driver/nvidia/version').exists()
  return is_loaded or any((path / 'dev').glob('nvidia[0-9]*'))


def _say_if_gpus_are_left_out() -> None:
  """Says that all will run on the CPU, though there should be a GPU.

  TensorFlow's own warning is hidden by its log level, which is ours.
  """
  is_hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
  if is_hidden or tf.config.list_physical_devices('GPU'):
    return
  if has_nvidia_driver():
    programs.note(
        'this machine has an NVIDIA driver, but TensorFlow finds no GPU: it '
        'will run on the CPU. `pip install "tensorflow[and-cuda]=='
        f'{tf.__version__}"` brings the CUDA libraries; ./run.sh does it by '
        'itself.'
    )


def strategy(
    name: str,
    num_virtual_devices: int | None = None,
    *,
    told: Mapping[str, Any] | None = None,
    start_timeout: float = config_lib.Config.start_timeout,
) -> tf.distribute.Strategy:
  """Sets devices up and creates a strategy; call it before any operation.

  Args:
    name: The value of --strategy.
    num_virtual_devices: How many devices to split the CPU into. GPUs are left
      alone then.
    told: What all workers must have alike, by name, if there are several.
    start_timeout: How many seconds they wait for each other.

  Returns:
    The strategy.

  Raises:
    UserError: If the workers are not, or wrongly, described, or differ, or the
      flags do not go with them.
    Failure: If others are missing when time is up.
  """
  members = resolving.resolve(name, num_virtual_devices)
  if not num_virtual_devices:
    _say_if_gpus_are_left_out()
  else:
    _set_virtual_devices(num_virtual_devices)
  try:
    if members is not None:
      return together.begin(members, dict(told or {}), start_timeout)
    return _first_like(distribution.create(name))
  except programs.Failure:
    raise
  except (ValueError, KeyError, TypeError) as error:
    raise programs.UserError(f'--strategy={name}: {error!r}') from error


def leave_gpus() -> None:
  """Leaves GPUs to other programs, unless this process uses them already."""
  with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], 'GPU')


def _first_like(created: tf.distribute.Strategy) -> tf.distribute.Strategy:
  """Returns the first strategy of the process over the same devices.

  Variables of two do not mix, and a second run may have those of the first.
  """
  if not isinstance(created, tf.distribute.MirroredStrategy):
    return created
  devices = tuple(created.extended.worker_devices)
  return _mirrored.setdefault(devices, created)


def _set_virtual_devices(number: int) -> None:
  """Splits the CPU, and leaves GPUs alone.

  Raises:
    UserError: If TensorFlow uses its devices already, and they are others.
  """
  try:
    tf.config.set_visible_devices([], 'GPU')
    distribution.set_virtual_devices(number)
  except RuntimeError as error:
    # Asked for at last, since asking begins to use the devices.
    devices = tf.config.list_logical_devices()
    if [device.device_type for device in devices] != ['CPU'] * number:
      raise programs.UserError(
          f'--num_virtual_devices={number}: TensorFlow has begun to use its '
          'devices in this process; give it in a new one.'
      ) from error
