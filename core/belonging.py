"""Whether a state and a batch are those of the strategy that a step runs under.

TensorFlow takes others too: a batch that is not distributed goes to every
replica as a whole, and a variable that is not mirrored is updated by each of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from . import compilation, distribution, effects, variables
from . import rows as rows_lib


def check_state(
    parts: Mapping[str, Any], strategy: tf.distribute.Strategy
) -> None:
  """Checks that variables were made under the scope of a strategy.

  Args:
    parts: The parts of a state that a step computes with, by name.
    strategy: The strategy of the step.

  Raises:
    ValueError: If one was not, and there are several replicas.
  """
  if strategy.num_replicas_in_sync == 1:
    return
  for path, variable in variables.named(parts).items():
    if not strategy.extended.variable_created_in_scope(variable):
      raise ValueError(
          f'state: {path} was not made under the strategy of the step, which '
          f'has {strategy.num_replicas_in_sync} replicas; build the model and '
          'make its TrainState in `with strategy.scope():`.'
      )


def check_parameters(model: Any, parameters: Mapping[str, Any]) -> None:
  """Checks that a state has all variables of its model that are trained.

  Args:
    model: The model, after a forward pass.
    parameters: Those of the state.

  Raises:
    ValueError: If the model has made more.
  """
  late = [path for path in variables.trainable(model) if path not in parameters]
  if late:
    raise ValueError(
        f'model: its state lacks {", ".join(late)}, which were made after it: '
        'nothing would train or save them. Build the model, or call it once, '
        'before its TrainState.'
    )


def check_assigned(
    model: Any,
    operations: Iterable[tf.Operation],
    collected: Mapping[str, tf.Tensor],
    batch: Any,
    num_replicas: int,
) -> None:
  """Checks what a forward pass assigns by itself.

  Args:
    model: The model.
    operations: Those of the forward pass.
    collected: What it leaves to the step by path, see `assignments`.
    batch: What it is made of.
    num_replicas: How many replicas there are.

  Raises:
    ValueError: If it assigns a variable that is trained; or, on several
      replicas, one whose copies would come to differ, since the value is
      computed from the batch.
  """
  named = variables.named(model)
  written = effects.assigned(operations, named)
  trained = [path for path in written if named[path].trainable]
  if trained:
    raise ValueError(
        f'model: its forward pass assigns {", ".join(trained)}, which is '
        'trained: a step that is skipped could not undo it. Leave it to the '
        'optimizer, or make it with trainable=False.'
    )
  if num_replicas == 1:
    return
  allowed = {
      id(variable)
      for part in (model, *model.submodules)
      if getattr(part, 'reduces_over_replicas', False)
      for variable in variables.named(part).values()
  }
  # A counter of calls, say, is the same on all replicas.
  of_batch = [
      path
      for path, writing in written.items()
      if any(effects.depends(op.inputs, batch) for op in writing)
  ]
  of_batch += [
      path
      for path, value in collected.items()
      if effects.depends([value], batch)
  ]
  differing = [
      path
      for path in dict.fromkeys(of_batch)
      if id(named[path]) not in allowed and _is_mirrored(named[path])
  ]
  if differing:
    raise ValueError(
        f'model: its forward pass assigns {", ".join(differing)}, of which each'
        f' of the {num_replicas} replicas has a copy, and its own examples: the'
        ' copies would differ. Return what the new value is made of as '
        'Evaluation.statistics, which are summed over replicas, and assign it '
        'by make_train_step(..., after=...); or sum it by '
        'distribution.all_reduce_sum, and say so by reduces_over_replicas = '
        'True in the class of the module. layers.BatchNorm does.'
    )


def _is_mirrored(variable: tf.Variable) -> bool:
  """Returns whether a replica assigns to a copy of what all should have."""
  return (
      variable.synchronization != tf.VariableSynchronization.ON_READ
      and variable.aggregation == tf.VariableAggregation.NONE
  )


def check_batch(batch: Any, strategy: tf.distribute.Strategy) -> None:
  """Checks that a batch is in parts, one for each replica.

  Args:
    batch: A batch.
    strategy: The strategy of a step.

  Raises:
    ValueError: If it is not, and this process has several replicas.
  """
  if strategy.num_replicas_in_sync == 1:
    return
  num_local = len(strategy.extended.worker_devices)
  if num_local == 1:  # What is in one part is not told from the part.
    return
  parts = [_num_parts(leaf) for _, leaf in rows_lib.leaves(batch)]
  if not any(parts):
    raise ValueError(
        f'batch: each of the {num_local} replicas would take all of it; '
        'distribute it, as strategy.experimental_distribute_dataset(dataset) '
        'does.'
    )
  if wrong := next((n for n in parts if n not in (0, num_local)), None):
    raise ValueError(
        f'batch: it is in {wrong} parts, and the step has {num_local} replicas '
        'here; distribute it by the strategy of the step.'
    )


def sizes(batch: Any) -> list[int | None]:
  """Returns how many examples each replica of this process has.

  Args:
    batch: A distributed batch.

  Returns:
    The numbers, None where they are unknown while tracing.
  """
  for _, leaf in rows_lib.leaves(batch):
    values = leaf.values if _num_parts(leaf) else [leaf]
    if hasattr(values[0], 'shape'):
      shapes = [part.shape for part in values]
      if all(shape.rank is None or shape.rank for shape in shapes):
        return [shape[0] if shape.rank else None for shape in shapes]
  return [None]


def is_even(batch: Any, strategy: tf.distribute.Strategy) -> bool:
  """Returns whether all replicas are known to have equally many examples.

  Args:
    batch: A distributed batch.
    strategy: The strategy of a step.

  Returns:
    False also if it is unknown while tracing.
  """
  if strategy.num_replicas_in_sync == 1:
    return True
  found = set(sizes(batch))
  # All workers have to agree; what is known while tracing may differ.
  is_alone = strategy.num_replicas_in_sync == len(
      strategy.extended.worker_devices
  )
  return None not in found and (len(found) == 1 or not is_alone)


def check_reducing(
    batch: Any, extent: compilation.Extent, micro_batch_size: int | None
) -> None:
  """Checks that a model which sums over replicas can do so.

  Args:
    batch: A distributed batch.
    extent: What of the step XLA compiles.
    micro_batch_size: The examples of a micro-batch, or None.

  Raises:
    ValueError: If gradients are to be compiled, or replicas have different
      numbers of micro-batches, or numbers that are unknown while tracing.
  """
  if extent == compilation.Extent.PARTS:
    raise ValueError(
        'extent: PARTS compiles the gradients, and this model sums over '
        'replicas there, as batch norm does; UPDATE does not.'
    )
  if micro_batch_size is None:
    return
  found = sizes(batch)
  numbers = {-(-n // micro_batch_size) for n in found if n is not None}
  if None in found or len(numbers) > 1:
    raise ValueError(
        'micro_batch_size: the model sums over replicas in each micro-batch, '
        f'so they need equally many of them; they have {found} examples. '
        'Batch with drop_remainder=True, or pad.'
    )


def check_compiled(
    extent: compilation.Extent, strategy: tf.distribute.Strategy
) -> None:
  """Checks that replicas can have an extent.

  Args:
    extent: What of a step XLA compiles.
    strategy: The strategy of the step.

  Raises:
    TypeError: If the extent is none.
    ValueError: If it is for one replica, and there are several.
  """
  if not isinstance(extent, compilation.Extent):
    raise TypeError(
        f'extent: expected a compilation.Extent, got {extent!r}; '
        'compilation.choose_for chooses one.'
    )
  if strategy.num_replicas_in_sync > 1 and extent >= compilation.Extent.STEP:
    raise ValueError(
        f'extent: {extent.name} is for one replica, and the strategy has '
        f'{strategy.num_replicas_in_sync}; PARTS compiles more than UPDATE.'
    )


def first_row(batch: Any) -> tuple[tf.Tensor, int | tf.Tensor]:
  """Finds out where a replica's part of a batch begins, by a sum over replicas.

  Args:
    batch: The part.

  Returns:
    How many examples the replicas before this one have, int32 ``[]``, and how
    many this one has.
  """
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  number = rows_lib.count(batch)
  all_numbers = distribution.all_stack(number)
  return tf.cumsum(all_numbers, exclusive=True)[replica], number


def _num_parts(leaf: Any) -> int:
  if not isinstance(leaf, tf.distribute.DistributedValues):
    return 0
  return len(leaf.values)
