"""The cost of each layer of a model: FLOP forward and backward, and bytes.

Only matrix products and convolutions are counted, since they dominate; a
multiplication and an addition are two FLOP. The counts come from the traced
forward pass, in which the body of a loop counts once. In the backward pass,
each operand that depends on a trainable variable costs the same again.
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

# Operations that gradients do not flow through.
_NO_GRADIENT = ('StopGradient', 'Shape', 'ArgMax')
_CONVOLUTIONS = ('Conv2D', 'Conv3D', 'DepthwiseConv2dNative')
_TRANSPOSED = ('Conv2DBackpropInput', 'Conv3DBackpropInputV2')
_PRODUCTS = ('MatMul', 'BatchMatMul', 'BatchMatMulV2', 'BatchMatMulV3')


@dataclasses.dataclass
class Layer:
  """The cost of one layer for one example.

  Attributes:
    kind: The name of its class.
    forward: FLOP of the forward pass.
    backward: FLOP of the backward pass.
    convolved: FLOP of convolutions, in both passes.
    output_bytes: The size of its outputs.
    variables: Its own parameters, by the last part of their names.
  """

  kind: str = ''
  forward: int = 0
  backward: int = 0
  convolved: int = 0
  output_bytes: int = 0
  variables: dict[str, tf.Variable] = dataclasses.field(default_factory=dict)


class CallRecorder:
  """Records which module of a model creates which operations of a graph."""

  def __init__(self, model: tf.Module):
    """Finds the modules of a built model and the paths of their attributes."""
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
  def recorded(self) -> Iterator[None]:
    """Records calls inside a block that traces the model.

    It wraps `__call__` of the modules' classes meanwhile, which does not change
    the traced operations.
    """
    with contextlib.ExitStack() as stack:
      for kind in {type(module) for _, module in self._modules.values()}:
        if any('__call__' in vars(base) for base in kind.__mro__):
          stack.callback(self._watch(kind))
      yield

  def _watch(self, kind: Any) -> Callable[[], None]:
    """Wraps the calls of a class; returns a function that undoes it."""
    # Named `f` as in Sonnet's wrappers, which core.hidden_variables recognizes.
    f = kind.__call__

    @functools.wraps(f)
    def call(module: Any, *args: Any, **kwargs: Any) -> Any:
      key = id(module)
      if key not in self._modules or self._called[-1:] == [key]:
        # Another model's module, or a call of the base class.
        return f(module, *args, **kwargs)
      graph = tf.compat.v1.get_default_graph()
      start = len(graph.get_operations())
      self._called.append(key)
      try:
        result = f(module, *args, **kwargs)
      finally:
        self._called.pop()
      self._record(key, graph, start, result)
      return result

    before = vars(kind).get('__call__')  # A descriptor may return another `f`.
    kind.__call__ = call

    def restore() -> None:
      if before is None:
        del kind.__call__
      else:
        kind.__call__ = before

    return restore

  def _record(self, key: int, graph: Any, start: int, result: Any) -> None:
    """Assigns the operations that no inner call has created to a module."""
    mine = self._operations.setdefault(key, [])
    for operation in graph.get_operations()[start:]:
      name = id(graph), operation.name
      if name not in self._claimed:
        self._claimed.add(name)
        mine.append(operation)
    self._outputs[key] = self._outputs.get(key, 0) + sum(
        num_bytes(x)
        for x in tf.nest.flatten(result, expand_composites=True)
        if tf.is_tensor(x)
    )

  def layers(
      self,
      forward: tf.types.experimental.ConcreteFunction,
      parameters: Mapping[str, tf.Variable],
  ) -> dict[str, Layer]:
    """Returns the cost of each layer by path, in the order of calls.

    Args:
      forward: The traced forward pass of one example.
      parameters: The trainable variables of the model by name.

    Returns:
      The layers with parameters, products or convolutions.
    """
    graphs = {forward.graph}
    for operations in self._operations.values():
      graphs |= {operation.graph for operation in operations}
    trained = set().union(*map(_depending, graphs))
    found: dict[str, Layer] = {}
    for key, operations in self._operations.items():
      path, module = self._modules[key]
      layer = Layer(type(module).__name__, output_bytes=self._outputs[key])
      for operation in operations:
        count = flops(operation)
        backward = count * sum(
            _name(operand) in trained for operand in operation.inputs
        )
        layer.forward += count
        layer.backward += backward
        if operation.type in (*_CONVOLUTIONS, *_TRANSPOSED):
          layer.convolved += count + backward
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
  """Counts the FLOP of a matrix product or a convolution.

  Returns:
    Twice its multiplications; 0 for other operations and unknown shapes.
  """
  kind = operation.type
  if kind not in (*_CONVOLUTIONS, *_TRANSPOSED, *_PRODUCTS, 'Einsum'):
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
  if kind in _TRANSPOSED:  # Each input, the third operand, meets the kernel.
    size = shapes[2].num_elements()
  # Each output of a depthwise filter sees one channel.
  seen = kernel[:2] if kind.startswith('Depthwise') else kernel[:-1]
  return 2 * size * seen.num_elements()


def _depending(graph: Any) -> set[tuple[int, str]]:
  """Names the tensors of a graph that depend on a trainable variable."""
  handles = {id(v.handle) for v in graph.trainable_variables}
  found = {
      _name(inner) for outer, inner in graph.captures if id(outer) in handles
  }
  for operation in graph.get_operations():
    if operation.type not in _NO_GRADIENT and any(
        _name(operand) in found for operand in operation.inputs
    ):
      found |= {
          _name(output)
          for output in operation.outputs
          if output.dtype.is_floating or output.dtype.is_complex
      }
  return found


def _name(tensor: Any) -> tuple[int, str]:
  return id(tensor.graph), tensor.name


def num_bytes(tensor: Any) -> int:
  """Returns the size of a tensor or a variable; 0 for an unknown shape."""
  is_known = tensor.shape.is_fully_defined()
  return tensor.shape.num_elements() * tensor.dtype.size if is_known else 0
