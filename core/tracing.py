"""Inspects a step before it runs: its operations and the shapes of its sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from . import assignments, measuring, metrics, objectives, variables

Sums = measuring.Sums


def trace(
    objective: objectives.Objective, model: tf.Module, batch: objectives.Batch
) -> tf.types.experimental.ConcreteFunction:
  """Traces a forward pass in training mode, without running it.

  Args:
    objective: The objective of the step.
    model: The model, built.
    batch: An example batch, not distributed; only names, dtypes and sizes
      beyond the first axis matter.

  Returns:
    A concrete function from the batch to an `objectives.Evaluation`, as input
    to `zero_sums` and `compilation.choose_for`.
  """
  measuring.check_batch(batch)

  @tf.function(autograph=False)
  def forward(batch: objectives.Batch) -> objectives.Evaluation:
    seed = tf.zeros([2], tf.int32)
    with assignments.collected(variables.untrained(model)):
      return objective(model, batch, seed, is_training=True)

  return forward.get_concrete_function(_tensors(dict(batch)))


def zero_sums(
    metric: metrics.Metric | None,
    forward: tf.types.experimental.ConcreteFunction,
) -> Sums:
  """Returns the initial sums of a loop.

  Args:
    metric: The metric of the step, or None.
    forward: A forward pass of the step, as `trace` returns it.

  Returns:
    A nest of float64 zeros: sums over batches are float64, which counts exactly
    far beyond the 2^24 of float32.
  """
  (batch,), _ = forward.structured_input_signature

  @tf.function(autograph=False)
  def measure(evaluation: objectives.Evaluation, batch: Any) -> Sums:
    return measuring.measure(metric, evaluation, batch)[1]

  evaluation = tf.nest.map_structure(
      lambda value: value if value is None else tf.type_spec_from_value(value),
      forward.structured_outputs,
  )
  return _zeros(measure.get_concrete_function(evaluation, batch))


def zero_sums_of(
    step: Callable[[Any, Any], Sums], state: Any, batch: Any
) -> Sums:
  """Returns the initial sums of a loop over any step.

  Args:
    step: A step of `make_train_step` or `make_eval_step`, or a function
      composed of them, from a state and a batch to a nest of sums.
    state: The state, of any kind, that the step takes. It is not changed.
    batch: A batch, distributed if those of the step are; its values are unused.

  Returns:
    A nest of float64 zeros, as for `zero_sums`.

  Raises:
    ValueError: If the shape of a sum depends on the batch.

  Example:
    >>> import tensorflow as tf
    >>> from core import training
    >>> step = lambda state, batch: {'loss': tf.reduce_sum(state * batch['x'])}
    >>> zeros = training.zero_sums_of(step, 2.0, {'x': tf.ones([3])})
    >>> zeros['loss'].dtype.name, float(zeros['loss'])
    ('float64', 0.0)
  """
  function: Any = step
  if not isinstance(step, tf.types.experimental.PolymorphicFunction):
    function = tf.function(step, autograph=False)
  return _zeros(function.get_concrete_function(state, _tensors(batch)))


def _zeros(function: tf.types.experimental.ConcreteFunction) -> Sums:
  def zeros(value: tf.Tensor) -> tf.Tensor:
    if not value.shape.is_fully_defined():
      raise ValueError(
          f'step: expected sums of known shapes, got {value.shape}; sum over '
          'the examples.'
      )
    return tf.zeros(value.shape, tf.float64)

  return tf.nest.map_structure(zeros, function.structured_outputs)


def _tensors(batch: Any) -> Any:
  return tf.nest.map_structure(
      lambda value: tf.convert_to_tensor(value)
      if isinstance(value, np.ndarray | np.generic | int | float | bytes | str)
      else value,
      batch,
  )
