"""Turns any callable into a hook: a user's, or one that a flag names.

    def stop(step, values):  # After each validation.
      return 'good enough' if values['accuracy'] > 0.9 else None

A class may define `next(step)`, which returns when to call it, and `init()`,
which returns the state to save in checkpoints.
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import training, workers

from .. import loop, programs
from ..lookup import own


class Attached(loop.Hook):
  """A callable as a hook, which decides the same on every worker."""

  def __init__(
      self,
      hook: Any,
      now: loop.Now,
      next_validation: Callable[[int], int],
  ):
    """Attaches the callable.

    Args:
      hook: The callable. A class, with or without bound arguments, is
        instantiated.
      now: The progress of the run.
      next_validation: A function from a step to that of the next validation,
        used if the callable has no `next` of its own.

    Raises:
      UserError: If it is not callable.
    """
    self.name = own.name_of(hook)
    self._now = now
    self._callable = hook
    with self._explained():
      self._hook = hook() if _is_class(hook) else hook
    if not callable(self._hook):
      raise programs.UserError(
          f'hook {self.name}: expected a function of (step, values), or a '
          f'class whose instances can be called; got {hook!r}.'
      )
    self._next = getattr(self._hook, 'next', None) or next_validation

  def join(self, state: training.TrainState) -> None:
    """Adds the state of a callable that has `init` to the train state."""
    init = getattr(self._hook, 'init', None)
    if init is None:
      return
    with self._explained():
      self._hook.state = variables_of(init())
      state.hooks[self.name] = self._hook.state

  def check_next(self, step: int) -> None:
    """Checks when it wants to be called first.

    Args:
      step: The step from which the run starts or goes on.

    Raises:
      UserError: If it does not return a step.
    """
    with self._explained():
      self._next_of(step)

  def next(self, step: int) -> int:
    """Returns the step at which to call it next."""
    with self._explained(f'at step {step}'):
      return self._next_of(step)

  def _next_of(self, step: int) -> int:
    at = self._next(step)
    if not hasattr(at, '__index__'):
      raise TypeError(
          f'next({step}) returned {at!r}; expected the step after which to '
          'call it next, an integer'
      )
    if at < step:
      raise ValueError(
          f'next({step}) returned {at}, which is past; expected a later step, '
          f'or {step} itself to be called whenever the loop pauses'
      )
    return operator.index(at)

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Calls it."""
    with self._explained(f'at step {step}'):
      reason = self._hook(step, dict(values))
      if reason is not None and not (isinstance(reason, str) and reason):
        raise TypeError(
            f'it returned {reason!r}; expected None, or a string that says '
            'why the run ends'
        )
    return reason

  def before_save(self) -> None:
    """Calls the method of that name, if the callable has one."""
    with self._explained('before a save'):
      getattr(self._hook, 'before_save', lambda: None)()

  @contextlib.contextmanager
  def _explained(self, when: str = '') -> Iterator[None]:
    """Raises one line that names the place of any error.

    Args:
      when: When it was called. Default: before the first step.

    Raises:
      UserError: If no step was taken.
      Failure: Otherwise.
    """
    try:
      yield
    except programs.Failure:
      raise
    except Exception as error:
      what = own.described(error) + own.place(error, self._callable)
      if not when:
        raise programs.UserError(f'--hooks: {self.name}: {what}') from error
      raise programs.Failure(
          f'hook {self.name} failed {when}: {what}; {self._now.what_is_saved()}'
      ) from error


class OfUser(Attached):
  """A user's hook, which may print, and may differ between workers."""

  def __init__(self, *args: Any, clear: Callable[[], None]):
    """Attaches the callable.

    Args:
      *args: Those of `Attached`.
      clear: Clears the progress line before the callable may print.
    """
    super().__init__(*args)
    self._clear = clear
    self._is_frequent = False

  def next(self, step: int) -> int:
    """Returns the step at which to call it next."""
    at = super().next(step)
    self._is_frequent = at <= step
    return at

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Calls it; all workers stop if one of them asks to."""
    if not self._is_frequent:  # Else the progress line would never be seen.
      self._clear()
    reason = super().__call__(step, values)
    wanted = workers.gather(
        self._now.call_length.strategy, [int(reason is not None)]
    )
    if reason is None and any(each for (each,) in wanted):
      return 'another worker asked for it'
    return reason


def check_names(hooks: Sequence[loop.Hook]) -> None:
  """Checks that no two hooks share a name, also used in checkpoints.

  Raises:
    UserError: If two hooks have the same name.
  """
  names = [hook.name for hook in hooks]
  for name in names:
    if names.count(name) > 1:
      raise programs.UserError(
          f'two hooks are called {name}; rename one of them.'
      )


def variables_of(nest: Any) -> Any:
  """Makes variables of the initial state of a hook.

  Args:
    nest: A nest of numbers, arrays or tensors. Variables are kept. Python
      floats become float64 and integers int64. Infinities become the largest
      finite number, since checkpoints hold finite numbers only.

  Returns:
    A nest of variables.

  Raises:
    TypeError: If it holds something else.
    ValueError: If a number is NaN.
  """
  return tf.nest.map_structure(_variable, nest)


def _variable(value: Any) -> tf.Variable:
  is_tensor = isinstance(value, tf.Tensor | tf.Variable)
  array = value.numpy() if is_tensor else np.asarray(value)
  dtype = tf.as_dtype(array.dtype)
  if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
    raise TypeError(
        f'init() has {value!r}: expected numbers and arrays of fixed shapes, '
        'which checkpoints can hold'
    )
  if np.issubdtype(array.dtype, np.floating):
    if np.isnan(array).any():
      raise ValueError(f'init() has {array}: expected finite numbers')
    limits = np.finfo(array.dtype)
    array = np.clip(array, limits.min, limits.max)
  if not isinstance(value, tf.Variable):
    return tf.Variable(array, trainable=False)
  value.assign(array)
  return value


def _is_class(hook: Any) -> bool:
  while isinstance(hook, functools.partial):
    hook = hook.func
  return isinstance(hook, type)
