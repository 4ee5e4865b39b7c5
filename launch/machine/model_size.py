"""Checks that a model and its batches fit into memory, before allocating it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from .. import parts, programs
from ..lookup import own
from . import environment

# Models up to this many times the default size are not checked, because the
# check has to trace the model.
_USUAL = 16.0
# Weight, gradient and two moments in float32.
_BYTES_PER_NUMBER = 16
_CGROUP_LIMIT = '/sys/fs/cgroup/memory.max'


def machine_bytes() -> int:
  """Returns the memory available to this process, in bytes."""
  available = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  try:
    with open(_CGROUP_LIMIT) as file:
      return min(available, int(file.read()))
  except (OSError, ValueError):  # No limit, or not Linux.
    return available


def peaks() -> str:
  """Describes the peak memory of this process so far."""
  host, *devices = environment.peaks().items()
  text = f'{host[1] / 1e9:.2f} of {machine_bytes() / 1e9:.1f} GB of memory'
  return ', '.join(
      [text, *(f'{peak / 1e9:.2f} GB of {name}' for name, peak in devices)]
  )


def check_batch(batch_size: int, height: int, width: int) -> None:
  """Checks that a batch of images, with at least one channel, fits into memory.

  Args:
    batch_size: The number of examples per step.
    height: The height of an image.
    width: The width of an image.

  Raises:
    UserError: If it does not.
  """
  num_bytes, available = 4 * batch_size * height * width, machine_bytes()
  # Several workers share the batch.
  if num_bytes > available and 'TF_CONFIG' not in os.environ:
    raise programs.UserError(
        f'--image_size={height},{width}: a batch of {batch_size:,} images '
        f'takes {num_bytes / 1e9:.3g} GB, and there are '
        f'{available / 1e9:.3g} GB of memory; give a smaller size or '
        '--global_batch_size.'
    )


def check(
    name: Any, arguments: Mapping[str, Any], forward: Callable[[], Any]
) -> None:
  """Checks that a model fits into the memory of this machine.

  Args:
    name: The name of the model.
    arguments: The arguments of its constructor.
    forward: Calls a model that is not built yet.

  Raises:
    UserError: If training it needs more memory.
  """
  if _times_default(name, arguments) <= _USUAL:
    return
  most = machine_bytes() // _BYTES_PER_NUMBER
  total = 0

  def count(create: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
    nonlocal total
    variable = create(**kwargs)
    total += variable.shape.num_elements()
    if total > most:
      raise programs.UserError(
          f'--model_arg: {name} would have more than {total:,} parameters; '
          f'with gradients and moments they take {_BYTES_PER_NUMBER} bytes '
          f'each, and there are {machine_bytes() / 1e9:.3g} GB of memory.'
      )
    return variable

  # Variables of a graph that does not run need no memory.
  with tf.Graph().as_default(), tf.variable_creator_scope(count):
    tf.random.set_seed(0)  # Required by deterministic operations in this graph.
    forward()


def _times_default(name: str, arguments: Mapping[str, Any]) -> float:
  """Returns the product of the ratios of all sizes to their defaults."""
  if own.is_part(name):
    return 1.0  # The sizes of a user's own model are unknown.
  known = parts.known_arguments('model', name)
  ratios = [
      _size(value) / max(_size(known[argument].default), 1)
      for argument, value in arguments.items()
  ]
  return math.prod(max(ratio, 1) for ratio in ratios)


def _size(value: Any) -> int:
  """Returns the sum of the integers in a value."""
  numbers = value if isinstance(value, (tuple, list)) else (value,)
  return sum(n for n in numbers if isinstance(n, int))
