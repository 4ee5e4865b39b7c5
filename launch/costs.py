"""What each layer of a model costs: operations forward and backward, bytes.

Matrix products and convolutions are counted, nearly all that a network does:
two operations for a multiplication with its addition. They are read off the
traced forward pass. In the backward pass each operand that depends on a trained
variable costs as much again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from core import variables as variables_lib

# Operations that no gradient goes through.
_NO_GRADIENT = ('StopGradient', 'Shape', 'ArgMax')
_CONVOLUTIONS = ('Conv2D', 'Conv3D', 'DepthwiseConv2dNative')
_PRODUCTS = ('MatMul', 'BatchMatMul', 'BatchMatMulV2', 'BatchMatMulV3')


@dataclasses.dataclass
class Layer:
  """What one layer costs for one example.

  Attributes:
    kind: The name of its class.
    forward: The operations of the forward pass.
    backward: Those of the gradients.
    output_bytes: What its calls return.
    variables: Its own parameters, by the last part of their names.
  """

  kind: str = ''
  forward: int = 0
  backward: int = 0
  output_bytes: int = 0
  variables: dict[str, tf.Variable] = dataclasses.field(default_factory=dict)


class Calls:
  """Notes which operations of a graph which module of a model makes."""

  def __init__(self, model: tf.Module):
    """Names the modules by the paths of their attributes."""
    self._modules: dict[int, tuple[str, tf.Module]] = {}
    self._visit(model, ())
    self._operations: dict[int, list[tf.Operation]] = {}
    self._outputs: dict[int, int] = {}
    self._claimed: set[tuple[int, str]] = set()
    self._called: list[int] = []

  def _visit(
      self, value: Any, path: tuple[str, ...], around: tuple[int, ...] = ()
  ) -> None:
    if id(value) in self._modules or id(value) in around:
      return
    if isinstance(value, tf.Module):
      self._modules[id(value)] = '/'.join(path), value
    if not isinstance(value, tf.Variable):
      for name, child in variables_lib.children(value) or ():
        self._visit(child, (*path, name), (*around, id(value)))

  @contextlib.contextmanager
  def noted(self) -> Iterator[None]:
    """Notes calls in a block, in which the model is traced."""
    with contextlib.ExitStack() as stack:
      for kind in {type(module) for _, module in self._modules.values()}:
        if any('__call__' in vars(base) for base in kind.__mro__):
          stack.callback(self._watch(kind))
      yield

  def _watch(self, kind: Any) -> Callable[[], None]:
    """Watches the calls of a class; returns what ends that."""
    f = kind.__call__  # The name under which Sonnet's wrappers have it.

    @functools.wraps(f)
    def call(module: Any, *args: Any, **kwargs: Any) -> Any:
      key = id(module)
      if key not in self._modules or self._called[-1:] == [key]:
        return f(module, *args, **kwargs)  # Of another, or of a base class.
      graph = tf.compat.v1.get_default_graph()
      start = len(graph.get_operations())
      self._called.append(key)
      try:
        result = f(module, *args, **kwargs)
      finally:
        self._called.pop()
      self._note(key, graph, start, result)
      return result

    before = vars(kind).get('__call__')  # Not always what `f` is.
    kind.__call__ = call

    def restore() -> None:
      if before is None:
        del kind.__call__
      else:
        kind.__call__ = before

    return restore

  def _note(self, key: int, graph: Any, start: int, result: Any) -> None:
    """Gives a module the operations that no call inside of it has."""
    mine = self._operations.setdefault(key, [])
    for operation in graph.get_operations()[start:]:
      name = id(graph), operation.name
      if name not in self._claimed:
        self._claimed.add(name)
        mine.append(operation)
    self._outputs[key] = self._outputs.get(key, 0) + sum(
        _bytes(x)
        for x in tf.nest.flatten(result, expand_composites=True)
        if tf.is_tensor(x)
    )

  def layers(
      self,
      forward: tf.types.experimental.ConcreteFunction,
      parameters: Mapping[str, tf.Variable],
  ) -> dict[str, Layer]:
    """Returns what each layer costs, by its path, in the order of calls.

    Args:
      forward: What was traced, of one example.
      parameters: The trainable variables of the model by name.

    Returns:
      The layers that have parameters, or compute products.
    """
    trained = _depending(forward)
    found: dict[str, Layer] = {}
    for key, operations in self._operations.items():
      path, module = self._modules[key]
      layer = Layer(type(module).__name__, output_bytes=self._outputs[key])
      for operation in operations:
        count = flops(operation)
        layer.forward += count
        layer.backward += count * sum(
            _name(operand) in trained for operand in operation.inputs
        )
      found[path] = layer
    for name, variable in parameters.items():
      path, _, last = name.rpartition('/')
      found.setdefault(path, Layer()).variables[last] = variable
    return {
        path: layer
        for path, layer in found.items()
        if layer.variables or layer.forward
    }


def flops(operation: tf.Operation) -> int:
  """Counts the operations of a matrix product or a convolution.

  Args:
    operation: An operation of a graph, with known shapes.

  Returns:
    Twice its multiplications; 0 for any other operation, or without shapes.
  """
  kind = operation.type
  if kind not in (*_CONVOLUTIONS, *_PRODUCTS, 'Einsum'):
    return 0
  output = operation.outputs[0].shape
  shapes = [operand.shape for operand in operation.inputs]
  if not all(shape.is_fully_defined() for shape in (output, *shapes)):
    return 0
  if kind == 'Einsum':
    equation = operation.get_attr('equation').decode()
    names = equation.partition('->')[0].split(',')
    sizes = {
        letter: size
        for letters, shape in zip(names, shapes, strict=True)
        if '.' not in letters
        for letter, size in zip(letters, shape, strict=True)
    }
    return 2 * math.prod(sizes.values()) if len(names) > 1 else 0
  size = output.num_elements()
  if kind in _PRODUCTS:
    flag = 'transpose_a' if kind == 'MatMul' else 'adj_x'
    return 2 * size * shapes[0][-2 if operation.get_attr(flag) else -1]
  kernel = shapes[1]
  # Of a depthwise filter each output sees one channel.
  seen = kernel[:2] if kind.startswith('Depthwise') else kernel[:-1]
  return 2 * size * seen.num_elements()


def _depending(
    forward: tf.types.experimental.ConcreteFunction,
) -> set[tuple[int, str]]:
  """Names the tensors that depend on a variable that is trained."""
  handles = {id(v.handle) for v in forward.graph.trainable_variables}
  found = {
      _name(inner)
      for outer, inner in forward.graph.captures
      if id(outer) in handles
  }
  for operation in forward.graph.get_operations():
    if operation.type in _NO_GRADIENT or not any(
        _name(operand) in found for operand in operation.inputs
    ):
      continue
    found |= {
        _name(output)
        for output in operation.outputs
        if output.dtype.is_floating or output.dtype.is_complex
    }
  return found


def _name(tensor: Any) -> tuple[int, str]:
  return id(tensor.graph), tensor.name


def _bytes(tensor: Any) -> int:
  is_known = tensor.shape.is_fully_defined()
  return tensor.shape.num_elements() * tensor.dtype.size if is_known else 0
