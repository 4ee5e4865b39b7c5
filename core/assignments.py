"""What a forward pass would assign, kept for the end of the train step.

A module such as batch norm moves averages while it computes. Outside of a train
step it assigns them, as Sonnet's modules do. Inside, the step collects the new
values and assigns them together with its update, so that a forward pass changes
nothing, may be repeated, and is undone with the step that is skipped:

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
  """Where new values go, and the graph that they are tensors of."""

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
  """Collects what is assigned by `assign` until the context ends.

  Args:
    variables: Whose assignments are collected, by path. Others take place.
    values: New values that were collected before, which `value` goes on from.

  Yields:
    The new values by path, which the context fills.

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
  """Returns the value of a variable, the collected one where there is one.

  Args:
    variable: The variable.

  Returns:
    Its value.
  """
  collector = _COLLECTOR.get()
  if collector is not None:
    path = collector.paths.get(id(variable), '')
    if path in collector.values:
      return collector.values[path]
  return tf.convert_to_tensor(variable)


def assign(variable: tf.Variable, new_value: tf.Tensor) -> None:
  """Gives a variable a new value: now, or when a train step ends.

  Inside of a loop, a condition or a function of the module's own a value cannot
  be collected; there the assignment takes place.

  Each replica assigns its own value: what is made of a batch must be summed
  over all of them first, by `distribution.all_reduce_sum`, or their copies of
  the variable would differ from then on. A train step on several replicas takes
  such values only from a module that declares `reduces_over_replicas = True`.
  On one replica, whatever a module assigns by itself is assigned in its forward
  pass, once per micro-batch.

  Args:
    variable: The variable.
    new_value: A tensor of its shape and dtype.
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
