"""Losses, optimizers and schedules by name, as the flags know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import inspect
from typing import Any

import tensorflow as tf

from core import losses
from core import objectives
from core import optimizers
from core import schedules

from . import arguments
from . import programs

Schedule = Callable[[Any], tf.Tensor]


def _on_probabilities(loss: Callable[..., tf.Tensor]) -> objectives.Loss:
  """Applies a regression loss to class probabilities and one-hot labels."""

  def on_probabilities(
      labels: tf.Tensor,
      logits: tf.Tensor,
      *,
      class_weights: Sequence[float] | None = None,
      label_smoothing: float = 0.0,
      **kwargs: Any,
  ) -> tf.Tensor:
    num_classes = logits.shape[-1]
    targets = (1 - label_smoothing) * tf.one_hot(
        labels, num_classes
    ) + label_smoothing / num_classes
    values = loss(targets, tf.nn.softmax(logits), **kwargs)
    if class_weights is None:
      return values
    return values * tf.gather(tf.constant(class_weights), labels)

  on_probabilities.adapted = loss
  return on_probabilities


LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    'absolute_error': _on_probabilities(losses.absolute_error),
    'huber': _on_probabilities(losses.huber),
    'softmax_cross_entropy': losses.softmax_cross_entropy,
    'squared_error': _on_probabilities(losses.squared_error),
}

OPTIMIZERS: dict[str, Callable[..., optimizers.GradientTransformation]] = {
    'adam': optimizers.adam,
    'adamw': optimizers.adamw,
    'sgd': optimizers.sgd,
}


def _constant(learning_rate: float, num_steps: int) -> Schedule:
  del num_steps
  return schedules.constant(learning_rate)


def _linear(
    learning_rate: float, num_steps: int, end_factor: float = 0.0
) -> Schedule:
  return schedules.linear(learning_rate, learning_rate * end_factor, num_steps)


def _exponential(
    learning_rate: float, num_steps: int, end_factor: float = 0.01
) -> Schedule:
  return schedules.exponential_decay(learning_rate, num_steps, end_factor)


def _cosine(
    learning_rate: float, num_steps: int, end_factor: float = 0.0
) -> Schedule:
  return schedules.cosine_decay(learning_rate, num_steps, alpha=end_factor)


def _warmup_cosine(
    learning_rate: float,
    num_steps: int,
    warmup_fraction: float = 0.1,
    end_factor: float = 0.0,
) -> Schedule:
  return schedules.warmup_cosine_decay(
      init_value=0.0,
      peak_value=learning_rate,
      warmup_steps=round(num_steps * warmup_fraction),
      decay_steps=num_steps,
      end_value=learning_rate * end_factor,
  )


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    'constant': _constant,
    'cosine': _cosine,
    'exponential': _exponential,
    'linear': _linear,
    'warmup_cosine': _warmup_cosine,
}


_TABLES: dict[str, tuple[dict[str, Callable[..., Any]], tuple[str, ...]]] = {
    'loss': (
        LOSSES,
        ('labels', 'logits', 'class_weights', 'label_smoothing'),
    ),
    'optimizer': (OPTIMIZERS, ('learning_rate',)),
    'schedule': (SCHEDULES, ('learning_rate', 'num_steps')),
}


def known_arguments(kind: str, name: str) -> dict[str, inspect.Parameter]:
  """Lists what a loss, optimizer or schedule takes as `--{kind}_arg`.

  Args:
    kind: `loss`, `optimizer` or `schedule`.
    name: The value of the flag of this kind.

  Returns:
    Parameters by name.

  Raises:
    UserError: If the name is unknown.
  """
  table, given = _TABLES[kind]
  if name not in table:
    raise programs.UserError(
        f'--{kind}={name}: unknown; there are: {", ".join(sorted(table))}.'
    )
  function = table[name]
  function = getattr(function, 'adapted', function)
  return arguments.parameters(function, *given, 'predictions')


def make(kind: str, name: str, extra: dict[str, Any], **given: Any) -> Any:
  """Calls a factory with what the program gives and the user's arguments.

  Args:
    kind: `optimizer` or `schedule`.
    name: The value of the flag of this kind.
    extra: The user's arguments by name.
    **given: The program's arguments.

  Returns:
    What the factory makes.

  Raises:
    UserError: If the name or an argument is not valid.
  """
  checked = arguments.checked(f'{kind}_arg', extra, known_arguments(kind, name))
  try:
    return _TABLES[kind][0][name](**given, **checked)
  except (ValueError, TypeError) as error:
    raise programs.UserError(f'--{kind}={name}: {error}') from None
