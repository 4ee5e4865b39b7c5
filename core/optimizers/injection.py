"""Hyper-parameters kept in the state, where callbacks can set them."""

from __future__ import annotations

import functools
import inspect
import numbers
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from .. import checks
from . import foreign, nests, transformation

# Words in annotations of floats, and of schedules of floats.
_FLOATS = {'Any', 'ScalarOrSchedule', 'float'}
_NO_FLOATS = {'bool', 'int'}

_LOCAL = threading.local()  # Replicas trace in threads.

Factory = Callable[..., transformation.GradientTransformation]


class InjectHyperparamsState(NamedTuple):
  """The number of updates, the hyper-parameters, and the inner state.

  Attributes:
    count: The number of updates so far, int64 ``[]``: the step of schedules.
    hyperparams: The hyper-parameters by argument, float32 ``[]`` each; those of
      schedules are the values of the last update.
    inner_state: The state of the inner transformation.
  """

  count: tf.Tensor
  hyperparams: dict[str, tf.Tensor]
  inner_state: nests.Nest


def inject_hyperparams(
    inner_factory: Factory, static_args: str | Iterable[str] = ()
) -> Factory:
  """Moves the numbers that an optimizer is made with into its state.

  They are read there at each update, so they can be changed in the state, and a
  checkpoint of it contains them:

      optimizer = optimizers.inject_hyperparams(optimizers.adam)(
          learning_rate=1e-3)
      state = training.TrainState(model, optimizer)
      train_step(state, batch)
      state.optimizer_state.hyperparams['learning_rate'].assign(1e-4)
      train_step(state, batch)  # Uses 1e-4, without another trace.

  Arguments, including defaults, are treated by their kind:

  - A number, or a scalar tensor, is injected: it is in ``hyperparams``.
  - A function is a schedule: it is called with the number of updates so far,
    and its value is kept in ``hyperparams``. Setting it there has no effect.
  - Booleans, strings, None, dtypes and nested structures are static, that is,
    passed on unchanged. So are counts, annotated as ``int``, since many
    determine the graph (``ns_steps``), and functions, such as masks, whose
    annotation has no ``float``. Others can be named in `static_args`.

  Setting numbers that only ``init`` reads, such as ``initial_scale``, has no
  effect. Numbers that are set are not checked: a decay of 1.5 diverges.

  The updates are those of `inner_factory` with Python numbers: a rate rounded
  to float32 is taken for the decimal number that was meant, since 1 - 0.999
  would have three digits fewer (see `moments.exact`).

  Args:
    inner_factory: A function that returns a transformation: one of this
      package, or a custom one that combines some of them. It is called with
      float32 scalars for numbers whenever an update is traced. If it has no
      annotations, counts are injected and functions are schedules.
    static_args: The names of arguments to pass on unchanged.

  Returns:
    A function of the same arguments that makes a transformation, whose state is
    an `InjectHyperparamsState`.

  Raises:
    TypeError: If `inner_factory` is not a function; from the returned function,
      if it makes no transformation or has other arguments.
    ValueError: If `static_args` has a name that `inner_factory` lacks; from the
      returned function, if a number is out of range or a `tf.Variable`.

  Reference:
    ``optax.inject_hyperparams``, which rounds rates.

  Example:
    >>> from core import optimizers
    >>> optimizer = optimizers.inject_hyperparams(optimizers.sgd)(0.5)
    >>> w = {'w': tf.constant(1.0)}
    >>> state = optimizer.init(w)
    >>> float(optimizer.update(w, state, w)[0]['w'])
    -0.5
    >>> state = state._replace(hyperparams={'learning_rate': 0.25})
    >>> float(optimizer.update(w, state, w)[0]['w'])
    -0.25
  """
  static = {static_args} if isinstance(static_args, str) else set(static_args)
  if not callable(inner_factory):
    raise TypeError(
        'inner_factory: expected a function that makes a transformation, such '
        f'as optimizers.adam itself, got {type(inner_factory).__name__}.'
    )
  signature = inspect.signature(inner_factory)
  kinds = {parameter.kind for parameter in signature.parameters.values()}
  unknown = static - signature.parameters.keys()
  if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
    raise ValueError(
        f'static_args: {sorted(unknown)} are not arguments of the factory; it '
        f'takes {list(signature.parameters)}.'
    )

  @functools.wraps(inner_factory)
  def make(*args: Any, **kwargs: Any) -> transformation.GradientTransformation:
    call = _Call(inner_factory, signature, static, args, kwargs)
    return _injected(call)

  return make


class _Call:
  """A call of a factory that lacks the values of some arguments."""

  def __init__(
      self,
      factory: Factory,
      signature: inspect.Signature,
      static: set[str],
      args: tuple[Any, ...],
      kwargs: dict[str, Any],
  ):
    """Sorts the arguments into numbers, schedules and the rest."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    self._factory = factory
    self._positional = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind
        in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    count = len(self._positional)
    self._others = bound.args[count:]  # Those of a starred argument.
    self._arguments = {
        **dict(zip(self._positional, bound.args, strict=False)),
        **bound.kwargs,
    }
    # An outer injection has already injected the tensors it calls with.
    is_inside = getattr(_LOCAL, 'depth', 0) > 0
    self.numbers: dict[str, Any] = {}
    self.schedules: dict[str, Callable[[tf.Tensor], Any]] = {}
    for name, value in self._arguments.items():
      allows = _words(signature.parameters.get(name))
      if name in static or (is_inside and tf.is_tensor(value)):
        continue
      if callable(value) and (not allows or allows & _FLOATS):
        self.schedules[name] = value
      elif _is_number(value) and (not allows & _NO_FLOATS or allows & _FLOATS):
        checks.number(name, value)
        self.numbers[name] = value

  def __call__(
      self, values: Mapping[str, Any]
  ) -> transformation.GradientTransformation:
    """Makes the transformation with values of its numbers and schedules."""
    arguments = {**self._arguments, **values}
    positional = [arguments.pop(name) for name in self._positional]
    depth = getattr(_LOCAL, 'depth', 0)
    _LOCAL.depth = depth + 1
    try:
      made = self._factory(*positional, *self._others, **arguments)
    finally:
      _LOCAL.depth = depth
    foreign.check_transformation('inner_factory', made)
    return made

  def values_at(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the values of the schedules at a step, float32 ``[]`` each."""
    return {
        name: checks.shape(name, nests.scalar(schedule(step), tf.float32), [])
        for name, schedule in self.schedules.items()
    }


def _words(parameter: inspect.Parameter | None) -> set[str]:
  """Returns the words of an argument's annotation, if it has one."""
  if parameter is None or parameter.annotation is parameter.empty:
    return set()
  return set(re.findall(r'\w+', str(parameter.annotation)))


def _is_number(value: Any) -> bool:
  if isinstance(value, bool | np.bool_):
    return False
  is_array = tf.is_tensor(value) or isinstance(value, np.ndarray)
  return is_array or isinstance(value, numbers.Real)


def _injected(call: _Call) -> transformation.GradientTransformation:
  """Makes the transformation that calls the factory at each update."""

  def initial() -> dict[str, tf.Tensor]:
    return {
        name: nests.scalar(value, tf.float32)
        for name, value in call.numbers.items()
    } | call.values_at(transformation.zero_count())

  def init(parameters: nests.Nest) -> InjectHyperparamsState:
    hyperparams = initial()
    return InjectHyperparamsState(
        count=transformation.zero_count(),
        hyperparams=hyperparams,
        inner_state=call(hyperparams).init(parameters),
    )

  def update(
      gradients: nests.Nest,
      state: InjectHyperparamsState,
      parameters: nests.Nest,
  ) -> tuple[nests.Nest, InjectHyperparamsState]:
    hyperparams = {
        name: tf.convert_to_tensor(value, tf.float32)
        for name, value in state.hyperparams.items()
    } | call.values_at(state.count)
    updates, inner_state = call(hyperparams).update(
        gradients, state.inner_state, parameters
    )
    return updates, InjectHyperparamsState(
        state.count + 1, hyperparams, inner_state
    )

  with tf.__internal__.FuncGraph('initial').as_default():  # Runs no operation.
    hyperparams = initial()
    call(hyperparams)  # Checks that all of them may be tensors.
    call(hyperparams | call.numbers)  # Checks the ranges of known ones.
  return transformation.create(init, update)


def keep_hyperparams(new: nests.Nest, old: nests.Nest) -> nests.Nest:
  """Returns a new state with all ``hyperparams`` of an old one.

  It is for wrappers that reset their transformation: hyper-parameters that were
  set stay set.
  """
  if isinstance(new, InjectHyperparamsState):
    inner_state = keep_hyperparams(new.inner_state, old.inner_state)
    return new._replace(
        hyperparams=dict(old.hyperparams), inner_state=inner_state
    )
  if not tf.nest.is_nested(new):
    return new
  kept = [
      keep_hyperparams(one, other)
      for (_, one), (_, other) in zip(
          nests.children(new), nests.children(old), strict=True
      )
  ]
  if hasattr(new, '_fields'):
    return type(new)(*kept)
  if isinstance(new, Mapping):
    return dict(zip(sorted(new), kept, strict=True))
  return type(new)(kept)
