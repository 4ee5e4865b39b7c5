"""Defers the assignments of a forward pass to the end of the train step.

Modules such as batch norm update moving averages while they compute. Outside a
train step they assign them immediately, like Sonnet's modules. Inside one, the
step collects the new values and assigns them with its own update, so a forward
pass has no side effects, may be repeated, and is undone if the step is skipped:

    with assignments.collected(variables) as values:
      y = model(x, is_training=True)
    for path, value in values.items():
      variables[path].assign(value)
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf


class _Collector(NamedTuple):
  """Collects new values; `graph` is the graph they are tensors of."""

  paths: dict[int, str]
  values: dict[str, tf.Tensor]
  graph: Any


_COLLECTOR: contextvars.ContextVar[_Collector | None] = contextvars.ContextVar(
    'collector', default=None
)


@contextlib.contextmanager
def collected(
    variables: Mapping[str, tf.Variable],
    values: Mapping[str, tf.Tensor] | None = None,
) -> Iterator[dict[str, tf.Tensor]]:
  """Collects the values passed to `assign` until the context exits.

  Args:
    variables: The variables to collect for, by path. Assignments to other
      variables take effect immediately.
    values: Values collected earlier, from which `value` continues.

  Yields:
    A dictionary of new values by path, filled while the context is active.

  Example:
    >>> import tensorflow as tf
    >>> from core import assignments
    >>> mean = tf.Variable(1.0)
    >>> with assignments.collected({'mean': mean}) as values:
    ...   assignments.assign(mean, assignments.value(mean) + 1.0)
    ...   assignments.assign(mean, assignments.value(mean) + 1.0)
    >>> float(mean), float(values['mean'])
    (1.0, 3.0)
  """
  collector = _Collector(
      paths={id(variable): path for path, variable in variables.items()},
      values=dict(values or {}),
      graph=tf.compat.v1.get_default_graph(),
  )
  token = _COLLECTOR.set(collector)
  try:
    yield collector.values
  finally:
    _COLLECTOR.reset(token)


def value(variable: tf.Variable) -> tf.Tensor:
  """Returns the collected value of a variable if there is one, or its value.

  Args:
    variable: The variable.

  Returns:
    The value as a tensor.
  """
  collector = _COLLECTOR.get()
  if collector is not None:
    path = collector.paths.get(id(variable), '')
    if path in collector.values:
      return collector.values[path]
  return tf.convert_to_tensor(variable)


def assign(variable: tf.Variable, new_value: tf.Tensor) -> None:
  """Assigns a value to a variable, immediately or at the end of the train step.

  Inside a loop, a condition or a `tf.function` of the module, values cannot be
  collected, so they are assigned immediately.

  Each replica assigns its own value. A value computed from the batch must first
  be summed over replicas with `distribution.all_reduce_sum`; otherwise their
  copies of the variable diverge. On several replicas, a train step accepts such
  values only from modules that declare `reduces_over_replicas = True`. On one
  replica, direct assignments by a module take effect in its forward pass, once
  per micro-batch.

  Args:
    variable: The variable.
    new_value: A tensor of the variable's shape and dtype.
  """
  collector = _COLLECTOR.get()
  if (
      collector is None
      or id(variable) not in collector.paths
      or collector.graph is not tf.compat.v1.get_default_graph()
  ):
    variable.assign(new_value)
  else:
    collector.values[collector.paths[id(variable)]] = new_value
