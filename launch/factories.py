"""Optimizers and schedules by name, as the flags know them.

A new one is a line in a table here, or in `core.models`; its arguments
become `--loss_arg`, `--optimizer_arg` and so on by its signature.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from core import models, optimizers, schedules

from . import arguments, programs, tasks

Schedule = Callable[[Any], tf.Tensor]

MAX_LEARNING_RATE = 1e20


OPTIMIZERS: dict[str, Callable[..., optimizers.GradientTransformation]] = {
    'adafactor': optimizers.adafactor,
    'adagrad': optimizers.adagrad,
    'adam': optimizers.adam,
    'adamw': optimizers.adamw,
    'lamb': optimizers.lamb,
    'lars': optimizers.lars,
    'lion': optimizers.lion,
    'muon': optimizers.muon,
    'nadam': optimizers.nadam,
    'rmsprop': optimizers.rmsprop,
    'sgd': optimizers.sgd,
}

# A schedule here is stretched over the run: fractions, not steps.
_SCHEDULES: dict[str, Callable[..., Schedule]] = {}


def _schedule(function: Callable[..., Schedule]) -> Callable[..., Schedule]:
  _SCHEDULES[function.__name__] = function
  return function


@_schedule
def constant(learning_rate: float, num_steps: int) -> Schedule:
  """The learning rate throughout."""
  del num_steps
  return schedules.constant(learning_rate)


@_schedule
def linear(
    learning_rate: float, num_steps: int, end_factor: float = 0.0
) -> Schedule:
  """Down a line, to a factor of the learning rate."""
  return schedules.linear(learning_rate, learning_rate * end_factor, num_steps)


@_schedule
def polynomial(
    learning_rate: float,
    num_steps: int,
    power: float = 2.0,
    end_factor: float = 0.0,
) -> Schedule:
  """Down a polynomial, to a factor of the learning rate."""
  return schedules.polynomial(
      learning_rate, learning_rate * end_factor, power, num_steps
  )


@_schedule
def exponential(
    learning_rate: float, num_steps: int, end_factor: float = 0.01
) -> Schedule:
  """By the same ratio at each step, to a factor of the learning rate."""
  return schedules.exponential_decay(learning_rate, num_steps, end_factor)


@_schedule
def piecewise(
    learning_rate: float,
    num_steps: int,
    boundaries: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
) -> Schedule:
  """Times a factor at each boundary, a fraction of the run."""
  _check_fractions('boundaries', *boundaries)
  steps = [round(boundary * num_steps) for boundary in boundaries]
  # Boundaries that fall on one step all count.
  return schedules.piecewise_constant(
      learning_rate, {step: factor ** steps.count(step) for step in steps}
  )


@_schedule
def cosine(
    learning_rate: float, num_steps: int, end_factor: float = 0.0
) -> Schedule:
  """Down half a cosine wave, to a factor of the learning rate."""
  return schedules.cosine_decay(learning_rate, num_steps, alpha=end_factor)


@_schedule
def warmup_cosine(
    learning_rate: float,
    num_steps: int,
    warmup_fraction: float = 0.1,
    end_factor: float = 0.0,
) -> Schedule:
  """Up a line in a fraction of the run, then down half a cosine wave."""
  _check_fractions('warmup_fraction', warmup_fraction)
  return schedules.warmup_cosine_decay(
      init_value=0.0,
      peak_value=learning_rate,
      warmup_steps=round(num_steps * warmup_fraction),
      decay_steps=num_steps,
      end_value=learning_rate * end_factor,
  )


@_schedule
def onecycle(
    learning_rate: float, num_steps: int, peak_fraction: float = 0.3
) -> Schedule:
  """Up and down half cosine waves, the peak at a fraction of the run."""
  _check_fractions('peak_fraction', peak_fraction)
  return schedules.cosine_onecycle(num_steps, learning_rate, peak_fraction)


@_schedule
def inverse_sqrt(
    learning_rate: float, num_steps: int, warmup_fraction: float = 0.1
) -> Schedule:
  """Up a line in a fraction of the run, then by the inverse square root."""
  _check_fractions('warmup_fraction', warmup_fraction)
  return schedules.inverse_sqrt(
      learning_rate, max(1, round(num_steps * warmup_fraction))
  )


def _check_fractions(argument: str, *values: float) -> None:
  """Checks fractions of a run: one beyond its end would change nothing."""
  for value in values:
    if not 0 <= value <= 1:
      raise ValueError(
          f'{argument}: expected a fraction of the run, from 0 to 1, got '
          f'{value}.'
      )


_TABLES: dict[str, tuple[Mapping[str, Callable[..., Any]], tuple[str, ...]]] = {
    'loss': (
        tasks.losses(),
        (
            'labels', 'logits', 'predictions', 'class_weights',
            'label_smoothing', 'class_mask', 'positive_weights',
        ),
    ),
    'model': (models.REGISTRY, ('num_classes', 'name')),
    'optimizer': (OPTIMIZERS, ('learning_rate',)),
    'schedule': (_SCHEDULES, ('learning_rate', 'num_steps')),
}


def names(kind: str) -> list[str]:
  """Lists the values of the flag of a kind, such as `optimizer`."""
  return sorted(_TABLES[kind][0])


def known_arguments(kind: str, name: Any) -> dict[str, inspect.Parameter]:
  """Lists what a model, loss, optimizer or schedule takes as `--{kind}_arg`.

  Args:
    kind: `model`, `loss`, `optimizer` or `schedule`.
    name: The value of the flag of this kind.

  Returns:
    Parameters by name.

  Raises:
    UserError: If the name is unknown.
  """
  table, given = _TABLES[kind]
  if name not in table:
    raise programs.UserError(
        f'--{kind}={name}: unknown; there are: {", ".join(names(kind))}.'
    )
  if kind == 'model':
    return models.arguments(name)
  return arguments.parameters(table[name], *given)


def make(kind: str, name: Any, extra: dict[str, Any], **given: Any) -> Any:
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
  with _mistakes_in(kind, name, extra):
    made = _TABLES[kind][0][name](**given, **checked)
    if extra:
      _TRIALS[kind](made, **given)
    return made


@contextlib.contextmanager
def _mistakes_in(
    kind: str, name: str, extra: dict[str, Any]
) -> Iterator[None]:
  """Names the flags of what raises in the block."""
  try:
    yield
  except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
    given = ' '.join(f'--{kind}_arg={key}={extra[key]}' for key in extra)
    raise programs.UserError(
        f'--{kind}={name} {given}'.rstrip() + f': {error}'
    ) from None


def _try_schedule(
    schedule: Schedule, *, learning_rate: float, num_steps: int
) -> None:
  """Looks at a schedule here and there: it must be a rate everywhere."""
  del learning_rate
  for step in sorted({num_steps * i // 16 for i in range(17)}):
    rate = float(schedule(step))
    if not 0 <= rate <= MAX_LEARNING_RATE:
      raise ValueError(
          f'the learning rate of step {step} is {rate:g}; expected a number '
          f'from 0 to {MAX_LEARNING_RATE:g}.'
      )


def _try_optimizer(
    optimizer: optimizers.GradientTransformation, *, learning_rate: Schedule
) -> None:
  """Takes two steps with two parameters, which must stay finite."""
  del learning_rate
  parameters = {'layer/w': tf.ones([2, 3]), 'layer/b': tf.ones([3])}
  gradients = {
      'layer/w': tf.constant([[0.1, -0.2, 0.3], [-0.4, 0.5, 0.6]]),
      'layer/b': tf.constant([0.1, -0.2, 0.3]),
  }
  state = optimizer.init(parameters)
  for _ in range(2):
    updates, state = optimizer.update(gradients, state, parameters)
    _check_finite('an update', *updates.values())


def _check_finite(what: str, *tensors: tf.Tensor) -> None:
  for tensor in tensors:
    if not bool(tf.reduce_all(tf.math.is_finite(tensor))):
      raise ValueError(f'{what} is not finite with these arguments.')


_TRIALS: dict[str, Callable[..., None]] = {
    'optimizer': _try_optimizer,
    'schedule': _try_schedule,
}
