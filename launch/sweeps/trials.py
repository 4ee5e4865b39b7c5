"""Tries the products of parts, so that errors surface before a run starts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from core import metrics, optimizers
from core.optimizers import foreign

MAX_LEARNING_RATE = 1e20


def of_schedule(
    schedule: Callable[[Any], Any], *, learning_rate: float, num_steps: int
) -> None:
  """Checks a schedule at some steps.

  Raises:
    TypeError: If it is not a function of the step.
    ValueError: If it does not return a valid rate.
  """
  del learning_rate
  if not callable(schedule):
    raise TypeError(
        'expected a function that makes a function of the step, got a '
        f'{type(schedule).__name__} from it'
    )
  for step in sorted({num_steps * i // 16 for i in range(17)}):
    rate = float(schedule(step))
    if not 0 <= rate <= MAX_LEARNING_RATE:
      raise ValueError(
          f'the learning rate of step {step} is {rate:g}; expected a number '
          f'from 0 to {MAX_LEARNING_RATE:g}.'
      )
  # Steps call it in a graph, where a Python `if` cannot depend on the step.
  _graph(schedule, tf.zeros([], tf.int64))


def of_optimizer(
    optimizer: optimizers.GradientTransformation,
    *,
    learning_rate: Callable[[Any], Any],
) -> None:
  """Takes two steps with two parameters, which must stay finite.

  Raises:
    TypeError: If it is not an optimizer.
    ValueError: If an update is not finite.
  """
  del learning_rate
  foreign.check_transformation('optimizer', optimizer)
  parameters = {'layer/w': tf.ones([2, 3]), 'layer/b': tf.ones([3])}
  gradients = {
      'layer/w': tf.constant([[0.1, -0.2, 0.3], [-0.4, 0.5, 0.6]]),
      'layer/b': tf.constant([0.1, -0.2, 0.3]),
  }
  state = optimizer.init(parameters)
  for update in (optimizer.update, functools.partial(_graph, optimizer.update)):
    updates, state = update(gradients, state, parameters)
    for value in updates.values():
      if not bool(tf.reduce_all(tf.math.is_finite(value))):
        raise ValueError('an update is not finite with these arguments.')


def _graph(function: Callable[..., Any], *args: Any) -> Any:
  return tf.function(lambda *args: function(*args), autograph=False)(*args)


def of_model(model: Any, **given: Any) -> None:
  """Checks that a model is a module, which has the variables to train.

  Raises:
    TypeError: If it is not.
  """
  del given
  if not isinstance(model, tf.Module) or not callable(model):
    raise TypeError(
        'expected a tf.Module or snt.Module that can be called, got '
        f'{type(model).__name__}'
    )


def of_metric(metric: Any, **given: Any) -> None:
  """Checks that a metric is a `Metric`.

  Raises:
    TypeError: If it is not.
  """
  del given
  if not isinstance(metric, metrics.Metric):
    raise TypeError(
        'expected a function that makes a Metric, got a '
        f'{type(metric).__name__} from it'
    )


def of_losses(losses: Any) -> tf.Tensor:
  """Checks the losses of a batch.

  Returns:
    The losses, ``[batch_size, ...]``.

  Raises:
    TypeError: If they are not floating-point numbers.
    ValueError: If they are one number.
  """
  if losses is None:
    raise TypeError('it returned None; expected a loss per example')
  losses = tf.convert_to_tensor(losses)
  if not losses.dtype.is_floating:
    raise TypeError(
        f'it returned {losses.dtype.name}; expected floating-point losses'
    )
  if losses.shape.rank == 0:
    raise ValueError(
        'it returned one number; expected a loss per example, [batch_size, '
        '...]: leave the mean over the batch to the step'
    )
  return losses


TRIALS: dict[str, Callable[..., None]] = {
    'metric': of_metric,
    'model': of_model,
    'optimizer': of_optimizer,
    'schedule': of_schedule,
}
