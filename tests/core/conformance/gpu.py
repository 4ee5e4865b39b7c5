"""What a traced function would meet on a GPU, told without one.

TensorFlow's package has the kernels for GPUs and the rules by which XLA
translates operations for them on every machine: which operations have a kernel
of their dtypes can be looked up, and XLA can translate a function. What only a
GPU can tell is whether it also runs, and how fast.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.eager.polymorphic_function import compiler_ir
from tensorflow.python.framework import convert_to_constants, kernels

from core import assignments, variables

_DEVICES = ('GPU', 'DEFAULT')  # The second is any device.
# These raise on GPUs if operations must be deterministic, as in `launch`,
# according to the messages in TensorFlow's library.
_REFUSED = frozenset((
    'AdjustContrast',
    'AdjustContrastv2',
    'Bincount',
    'CropAndResizeGradBoxes',
    'CropAndResizeGradImage',
    'DenseBincount',
    'Dilation2DBackpropFilter',
    'Dilation2DBackpropInput',
    'FakeQuantWithMinMaxVarsGradient',
    'FakeQuantWithMinMaxVarsPerChannelGradient',
    'MaxPoolGradWithArgmax',
    'ResizeNearestNeighborGrad',
    'SoftmaxCrossEntropyWithLogits',
    'SparseSoftmaxCrossEntropyWithLogits',
    'SparseTensorDenseMatMul',
))
_REFUSED_BY_XLA = frozenset(('MaxPoolGrad', 'MaxPoolGradV2'))
_REFUSED_UNLESS_TRAINING = 'FusedBatchNormGradV3'


def without_kernel(
    function: tf.types.experimental.ConcreteFunction,
) -> set[str]:
  """Lists the operations of a function that no GPU computes.

  Soft placement computes them on the CPU, and copies there and back.

  Args:
    function: A concrete function.

  Returns:
    Operation types with the dtypes that are not supported, but for what is
    placed on the CPU on purpose.
  """
  own = {part.signature.name for part in _definition(function).library.function}
  found = set()
  for node in _nodes(function):
    candidates = kernels.get_registered_kernels_for_op(node.op).kernel
    on_cpu = 'CPU' in node.device
    if (
        node.op not in own
        and not on_cpu
        and not any(
            candidate.device_type in _DEVICES and _takes(candidate, node)
            for candidate in candidates
        )
    ):
      found.add(' '.join([node.op, *_dtypes(candidates, node)]))
  return found


def refused(
    function: tf.types.experimental.ConcreteFunction, *, by_xla: bool = False
) -> set[str]:
  """Lists the operations that raise on GPUs if they must be deterministic.

  Args:
    function: A concrete function.
    by_xla: Whether XLA compiles all of it. What it calls may be compiled
      anyway.

  Returns:
    Operation types.
  """
  definition = _definition(function)
  parts = {part.signature.name: part for part in definition.library.function}
  compiled = {
      inner
      for name, part in parts.items()
      if by_xla or part.attr['_XlaMustCompile'].b
      for inner in _reached(name, parts)
  }
  found = _refused(definition.node, by_xla)
  for name, part in parts.items():
    found |= _refused(part.node_def, name in compiled)
  return found


def _refused(nodes: Iterable[Any], by_xla: bool) -> set[str]:
  names = _REFUSED_BY_XLA if by_xla else _REFUSED
  return {
      node.op
      for node in nodes
      if node.op in names
      or (
          node.op == _REFUSED_UNLESS_TRAINING and not node.attr['is_training'].b
      )
  }


def _reached(name: str, parts: Mapping[str, Any]) -> set[str]:
  """Returns the names of a function and of all that it calls."""
  found, left = set(), [name]
  while left:
    found.add(name := left.pop())
    called = {
        value.func.name
        for node in parts[name].node_def
        for value in node.attr.values()
    } | {node.op for node in parts[name].node_def}
    left += (called & parts.keys()) - found
  return found


def instructions(
    function: Callable[..., Any], *specs: Any, module: Any = None
) -> set[str]:
  """Translates a function for XLA on a GPU.

  Args:
    function: A function of tensors. Its module's variables become constants;
      what `core.assignments` assigns to them becomes a result.
    *specs: Tensor specs of its arguments, of known shapes.
    module: The module that has the variables.

  Returns:
    The kinds of instructions, such as `dot`.

  Raises:
    ValueError: If XLA does not know one of its operations on GPUs.
  """
  untrained = variables.untrained(module) if module else {}

  @tf.function(autograph=False, jit_compile=True)
  def collecting(*tensors: Any) -> Any:
    with assignments.collected(untrained) as assigned:
      results = function(*tensors)
    return results, dict(assigned)

  concrete = collecting.get_concrete_function(*specs)
  if concrete.graph.variables:
    concrete = convert_to_constants.convert_variables_to_constants_v2(concrete)
  text = compiler_ir.from_concrete_function(
      concrete,
      [tf.TensorSpec(each.shape, each.dtype) for each in concrete.inputs],
  )(stage='hlo', platform_name='GPU')
  return set(re.findall(r'^.* = .*?[\])}] ([a-z-]+)\(', text, re.MULTILINE))


def _definition(function: tf.types.experimental.ConcreteFunction) -> Any:
  return function.graph.as_graph_def()


def _nodes(function: tf.types.experimental.ConcreteFunction) -> Iterator[Any]:
  definition = _definition(function)
  yield from definition.node
  for part in definition.library.function:
    yield from part.node_def


def _takes(kernel: Any, node: Any) -> bool:
  return all(
      node.attr[each.name].type in each.allowed_values.list.type
      for each in kernel.constraint
      if node.attr[each.name].type
  )


def _dtypes(candidates: Any, node: Any) -> list[str]:
  return sorted({
      tf.as_dtype(node.attr[each.name].type).name
      for candidate in candidates
      for each in candidate.constraint
      if node.attr[each.name].type
  })
