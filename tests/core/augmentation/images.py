"""Images to augment, and ways to run a function on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tests import virtual_devices

DTYPES = (tf.uint8, tf.float32, tf.bfloat16)
COMPILED = ('eager', 'graph', 'unknown batch size', 'xla')


def draw(
    dtype: tf.DType = tf.uint8, shape: tuple[int, ...] = (5, 4, 6, 2)
) -> tf.Tensor:
  """Draws images whose values any type holds exactly."""
  values = np.random.default_rng(0).integers(0, 256, shape)
  return tf.cast(values, dtype)


def compile(function: Callable[..., Any], how: str) -> Callable[..., Any]:
  """Makes a function of tensors run as one of `COMPILED` says."""
  if how == 'eager':
    return function
  compiled = tf.function(function, jit_compile=how == 'xla')
  if how != 'unknown batch size':
    return compiled

  def call(*args: tf.Tensor) -> Any:
    specs = [tf.TensorSpec([None, *arg.shape[1:]], arg.dtype) for arg in args]
    return compiled.get_concrete_function(*specs)(*args)

  return call


def on_replicas(
    num_replicas: int, function: Callable[..., Any], batch: Any
) -> Any:
  """Runs a function on a replica's part of a nest, and joins the results."""
  strategy = virtual_devices.mirrored(num_replicas)

  def part(context: Any, array: Any) -> Any:
    return np.split(np.asarray(array), num_replicas)[
        context.replica_id_in_sync_group
    ]

  distributed = tf.nest.map_structure(
      lambda array: strategy.experimental_distribute_values_from_function(
          lambda context: tf.constant(part(context, array))
      ),
      batch,
  )
  results = tf.function(lambda given: strategy.run(function, (given,)))(
      distributed
  )
  return tf.nest.map_structure(
      lambda value: np.concatenate(strategy.experimental_local_results(value)),
      results,
  )
