"""Finds the assertions and assignments among the operations of a graph.

A train step has to know both of its forward pass: the state must not change
before an assertion that fails, and each replica assigns its own value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

# Operations that call functions with side effects; pure calls have other names.
_CALLS = frozenset(('Case', 'If', 'StatefulPartitionedCall', 'While'))
_WRITES = ('Assign', 'Resource')  # ResourceScatterAdd, ResourceApplyAdam, ...
_READS = frozenset(('ResourceGather', 'ResourceGatherNd'))


def count() -> int:
  """Counts the operations in the graph being traced.

  Returns:
    Their number; 0 in eager mode.
  """
  return len(since(0))


def since(number: int) -> list[tf.Operation]:
  """Lists the operations added to the graph being traced.

  Args:
    number: The earlier number of operations, as `count` returned it.

  Returns:
    The operations; an empty list in eager mode.
  """
  if tf.executing_eagerly():
    return []
  return tf.compat.v1.get_default_graph().get_operations()[number:]


def assertions(operations: Iterable[tf.Operation]) -> list[tf.Operation]:
  """Finds assertions, from any library.

  Args:
    operations: Operations of a graph.

  Returns:
    The operations that are assertions or, like loops, call such functions.

  Example:
    >>> import tensorflow as tf
    >>> from core import effects
    >>> @tf.function
    ... def checked(x):
    ...   tf.debugging.assert_positive(tf.size(x))
    ...   return x
    >>> graph = checked.get_concrete_function(tf.TensorSpec([None])).graph
    >>> len(effects.assertions(graph.get_operations()))
    1
  """
  return [
      op
      for op in operations
      if op.type == 'Assert'
      or any(assertions(f.graph.get_operations()) for f in _functions(op))
  ]


def assigned(
    operations: Iterable[tf.Operation], variables: Mapping[str, tf.Variable]
) -> dict[str, list[tf.Operation]]:
  """Finds the variables that operations assign, directly or indirectly.

  Args:
    operations: Operations of a graph.
    variables: The variables to look for, by path.

  Returns:
    By path, the operations that assign each variable or call a function that
    does, without the variables that are not assigned.

  Example:
    >>> import tensorflow as tf
    >>> from core import effects
    >>> total, other = tf.Variable(0.0), tf.Variable(1.0)
    >>> @tf.function
    ... def add():
    ...   total.assign_add(other)
    >>> operations = add.get_concrete_function().graph.get_operations()
    >>> list(effects.assigned(operations, {'total': total, 'other': other}))
    ['total']
  """
  written: dict[int, list[tf.Operation]] = {}
  for op in operations:
    for handle in _written(op):
      written.setdefault(id(_captured(op.graph, handle)), []).append(op)
  found = {
      path: [
          op
          # A mirrored variable has one copy per replica.
          for copy in getattr(variable, 'values', (variable,))
          for op in written.get(id(copy.handle), ())
      ]
      for path, variable in (variables.items() if written else ())
  }
  return {path: writing for path, writing in found.items() if writing}


def depends(tensors: Iterable[Any], sources: Any) -> bool:
  """Returns whether any of some tensors is computed from some others.

  Args:
    tensors: Tensors in the graph being traced.
    sources: A nest of tensors in the same graph.

  Returns:
    Whether one of them is, or is computed from, one of the sources.
    Dependencies through variables are not followed.

  Example:
    >>> import tensorflow as tf
    >>> from core import effects
    >>> @tf.function
    ... def doubled(x, y):
    ...   print(effects.depends([2 * x], x), effects.depends([2 * y], x))
    >>> doubled(tf.ones([]), tf.ones([]))
    True False
  """
  ends = {id(each) for each in tf.nest.flatten(sources, expand_composites=True)}
  waiting = [tensor for tensor in tensors if tf.is_symbolic_tensor(tensor)]
  seen: set[int] = set()
  while waiting:
    tensor = waiting.pop()
    if id(tensor) in ends:
      return True
    if id(tensor.op) not in seen:
      seen.add(id(tensor.op))
      waiting += tensor.op.inputs
  return False


def _functions(op: tf.Operation) -> Iterator[Any]:
  if op.type not in _CALLS:
    return
  for attribute in op.op_def.attr:
    if attribute.type not in ('func', 'list(func)'):
      continue
    value = op.get_attr(attribute.name)
    for function in value if isinstance(value, list) else [value]:
      # No other lookup by name avoids copying the graph.
      found = op.graph._get_function(function.name)
      if found is not None:
        yield found


def _written(op: tf.Operation) -> list[tf.Tensor]:
  """Returns the handles of the resources that an operation writes to."""
  is_write = op.type.startswith(_WRITES) and op.type not in _READS
  if not is_write and op.type not in _CALLS:
    return []
  resources = [
      (place, handle)
      for place, handle in enumerate(op.inputs)
      if handle.dtype == tf.resource
  ]
  if is_write or not resources:
    return [handle for _, handle in resources]
  found = []
  for function in _functions(op):
    graph = function.graph
    first = len(op.inputs) - len(graph.inputs)  # After the condition, if any.
    names = {
        handle.name
        for inner in graph.get_operations()
        for handle in _written(inner)
    }
    found += [
        handle
        for place, handle in resources
        if place >= first and graph.inputs[place - first].name in names
    ]
  return found


def _captured(graph: Any, handle: tf.Tensor) -> Any:
  """Returns the outermost tensor that nested graphs captured as this one."""
  while hasattr(graph, 'captures'):
    outer = {inner.name: outer for outer, inner in graph.captures}
    if handle.name not in outer:
      break
    handle = outer[handle.name]
    if not tf.is_symbolic_tensor(handle):
      break
    graph = handle.graph
  return handle
