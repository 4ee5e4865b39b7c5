"""What the operations of a graph do besides computing: assert, and assign.

A train step has to know both of the forward pass that it is handed: nothing of
the state may change before an assertion that fails, and what a module assigns
by itself is each replica's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

# Operations that run functions with effects. Those without have other names.
_CALLS = frozenset(('Case', 'If', 'StatefulPartitionedCall', 'While'))
_WRITES = ('Assign', 'Resource')  # ResourceScatterAdd, ResourceApplyAdam, ...
_READS = frozenset(('ResourceGather', 'ResourceGatherNd'))


def count() -> int:
  """Counts the operations of the graph that is being traced.

  Returns:
    Their number, 0 when called eagerly.
  """
  return len(since(0))


def since(number: int) -> list[tf.Operation]:
  """Lists the operations that were added to the graph that is being traced.

  Args:
    number: How many there were before.

  Returns:
    The operations, none when called eagerly.
  """
  if tf.executing_eagerly():
    return []
  return tf.compat.v1.get_default_graph().get_operations()[number:]


def assertions(operations: Iterable[tf.Operation]) -> list[tf.Operation]:
  """Finds assertions, of any library.

  Args:
    operations: Operations of a graph.

  Returns:
    Those that assert something, or call a function that does, such as a loop.

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
  """Finds out which variables are assigned, in whatever way.

  Args:
    operations: Operations of a graph.
    variables: The variables to look for, by path.

  Returns:
    The operations that assign each variable, or call a function that does, by
    its path; variables that no operation assigns are left out.

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
          # A mirrored variable has a copy for each replica.
          for copy in getattr(variable, 'values', (variable,))
          for op in written.get(id(copy.handle), ())
      ]
      for path, variable in (variables.items() if written else ())
  }
  return {path: writing for path, writing in found.items() if writing}


def depends(tensors: Iterable[Any], sources: Any) -> bool:
  """Returns whether tensors of a graph are computed from others.

  Args:
    tensors: Tensors of the graph that is being traced.
    sources: A nest of tensors of the same graph.

  Returns:
    Whether one of them is, or is computed from, one of the sources. What
    variables hold is not followed.

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
  """Finds the functions with effects that an operation calls."""
  if op.type not in _CALLS:
    return
  for attribute in op.op_def.attr:
    if attribute.type not in ('func', 'list(func)'):
      continue
    value = op.get_attr(attribute.name)
    for function in value if isinstance(value, list) else [value]:
      # The only way to a function by its name that does not copy the graph.
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
    first = len(op.inputs) - len(graph.inputs)  # A condition comes before.
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
  """Returns what a graph, and those around it, captured a tensor of."""
  while hasattr(graph, 'captures'):
    outer = {inner.name: outer for outer, inner in graph.captures}
    if handle.name not in outer:
      break
    handle = outer[handle.name]
    if not tf.is_symbolic_tensor(handle):
      break
    graph = handle.graph
  return handle
