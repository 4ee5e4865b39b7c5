"""Chooses which parts of a train step XLA compiles.

On a CPU, TensorFlow's own kernels compute convolutions faster than XLA, and
much faster than XLA inside a compiled loop, whereas networks of dense layers
are fastest if the whole loop is compiled. On a GPU everything is compiled,
which has not been measured here.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from . import checks, distribution

MODES = ('auto', 'on', 'off', 'force')

# Operations that XLA does not support, or computes slowly on a CPU, where its
# loops over time steps are also slower than TensorFlow's.
_NEVER_COMPILED = ('SparseTensor', 'CTCLoss', 'PyFunc', 'EagerPyFunc')
_CONVOLUTIONS = ('Conv2D', 'Conv3D', 'DepthwiseConv2d')
_LOOPS = ('While', 'StatelessWhile')
# Stands for time steps unrolled in Python, each of which reads the same
# weights. XLA takes seconds to compile them one by one, for train steps that
# are hardly faster or even slower.
UNROLLED = 'Unrolled'
_MIN_UNROLLED = 8
# TensorList: `snt.static_unroll` keeps its time steps in lists of tensors.
_SLOW_ON_CPU = (
    *_CONVOLUTIONS,
    *_LOOPS,
    UNROLLED,
    'TensorList',
    'BatchMatMul',
    'Einsum',
)


class Extent(enum.IntEnum):
  """How much of training is compiled as one program, from nothing to all.

  Attributes:
    NONE: Nothing is compiled.
    UPDATE: The optimizer's update: one pass over the parameters.
    PARTS: Gradients and update, as two programs per replica. On several
      replicas the model must not sum over them, as batch norm does.
    STEP: A whole step, on a single replica.
    LOOP: The loop over steps, on a single replica.
  """

  NONE = 0
  UPDATE = 1
  PARTS = 2
  STEP = 3
  LOOP = 4


def operations(function: tf.types.experimental.ConcreteFunction) -> set[str]:
  """Lists the operation types in a traced function.

  Args:
    function: A concrete function.

  Returns:
    Names such as `MatMul`, including those in the functions that it calls, and
    `UNROLLED` if one of them reads the same variable at least 8 times.
  """
  bodies = _bodies(function)
  found = {node.op for body in bodies for node in body}
  reads = (
      collections.Counter(
          node.input[0] for node in body if node.op == 'ReadVariableOp'
      )
      for body in bodies
  )
  if any(max(each.values(), default=0) >= _MIN_UNROLLED for each in reads):
    found.add(UNROLLED)
  return found


def is_slow_on_cpu(operations: Iterable[str]) -> bool:
  """Returns whether XLA computes any of the operations slowly on a CPU.

  Args:
    operations: Operation types, as `operations` lists them.

  Returns:
    True for convolutions, time steps and batched matrix products.
  """
  return _has(operations, _SLOW_ON_CPU)


def choose_for(
    model: tf.Module,
    forward: tf.types.experimental.ConcreteFunction,
    strategy: tf.distribute.Strategy | None = None,
    mode: str = 'auto',
    *,
    is_resident: bool = True,
    is_deterministic: bool = False,
) -> Extent:
  """Chooses how much of a model's training to compile.

  Args:
    model: The model, built.
    forward: Its forward pass, as `training.trace` returns it.
    strategy: The strategy under which the model was built.
    mode: As for `choose`.
    is_resident: As for `choose`.
    is_deterministic: As for `choose`.

  Returns:
    The extent that `choose` returns for the operations of the forward pass, the
    replicas of the strategy, and whether the model sums over replicas.

  Raises:
    ValueError: If the mode is unknown.
  """
  strategy = strategy or tf.distribute.get_strategy()
  return choose(
      mode,
      operations(forward),
      on_gpu=distribution.on_gpu(strategy),
      num_replicas=strategy.num_replicas_in_sync,
      is_resident=is_resident,
      is_deterministic=is_deterministic,
      reduces=reduces_over_replicas(model, forward),
  )


def reduces_over_replicas(
    model: Any, forward: tf.types.experimental.ConcreteFunction | None = None
) -> bool:
  """Returns whether a forward pass sums over or gathers from replicas.

  Args:
    model: The model. Its parts may declare an attribute
      `reduces_over_replicas`; calls of `core.distribution` are detected anyway.
    forward: The forward pass, as `training.trace` returns it. Default: only the
      attributes of the model are considered.

  Returns:
    Whether it does.
  """
  parts = (model, *getattr(model, 'submodules', ()))
  if any(getattr(part, 'reduces_over_replicas', False) for part in parts):
    return True
  return forward is not None and any(
      distribution.REDUCTION in node.name
      for body in _bodies(forward)
      for node in body
  )


def is_tracing_for_xla() -> bool:
  """Returns whether XLA will compile the function being traced.

  Returns:
    Whether it will. Layers and losses ask this where XLA and TensorFlow's
    kernels need different operations.
  """
  graph = tf.compat.v1.get_default_graph()
  return control_flow_util.GraphOrParentsInXlaContext(graph)


def _bodies(function: tf.types.experimental.ConcreteFunction) -> list[Any]:
  graph = function.graph.as_graph_def()
  return [graph.node, *(part.node_def for part in graph.library.function)]


def choose(
    mode: str,
    operations: Iterable[str],
    *,
    on_gpu: bool,
    num_replicas: int = 1,
    is_resident: bool = True,
    is_deterministic: bool = False,
    reduces: bool = False,
) -> Extent:
  """Chooses how much of training to compile.

  Args:
    mode: `off` compiles nothing; `auto` what benefits; `on` everything except
      loops around convolutions on a CPU; `force` everything possible.
    operations: The operation types in the model's forward pass.
    on_gpu: Whether the replicas are GPUs.
    num_replicas: The number of replicas. All-reduces are not compiled.
    is_resident: Whether data reside on the devices. Iterators are not compiled.
    is_deterministic: Whether `enable_op_determinism` is active, under which XLA
      rejects the gradient of `tf.nn.max_pool2d`. On GPUs, `layers.max_pool2d`
      uses a form without that operation.
    reduces: Whether the model itself sums over replicas in training, as
      `layers.BatchNorm` does.

  Returns:
    The extent.

  Raises:
    ValueError: If the mode is unknown.
  """
  checks.one_of('jit', mode, MODES)
  checks.size('num_replicas', num_replicas)
  operations = set(operations)
  if mode == 'off':
    return Extent.NONE
  largest = Extent.LOOP if is_resident else Extent.STEP
  if num_replicas > 1:
    largest = Extent.UPDATE if reduces else Extent.PARTS
  if is_deterministic and _has(operations, ('MaxPool',)):
    return Extent.UPDATE
  if mode == 'force':
    return largest
  if _has(operations, _NEVER_COMPILED):
    return Extent.UPDATE
  if on_gpu or not is_slow_on_cpu(operations):
    return largest
  # The convolutions may be inside a loop of the model.
  is_looped = _has(operations, _CONVOLUTIONS) and _has(operations, _LOOPS)
  if mode == 'auto' or is_looped:
    return Extent.UPDATE
  return min(largest, Extent.STEP)


def _has(operations: Iterable[str], kinds: tuple[str, ...]) -> bool:
  return any(name.startswith(kinds) for name in operations)
