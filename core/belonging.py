"""Checks that a state and a batch belong to the strategy of a step.

TensorFlow does not check this: it passes a whole undistributed batch to every
replica, and lets every replica update a variable that is not mirrored.
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
  """Checks that variables were created under the scope of a strategy.

  Args:
    parts: The parts of a state that a step uses, by name.
    strategy: The strategy of the step.

  Raises:
    ValueError: If a variable was not, and there are several replicas.
  """
  if strategy.num_replicas_in_sync == 1:
    return
  for path, variable in variables.named(parts).items():
    if not strategy.extended.variable_created_in_scope(variable):
      raise ValueError(
          f'state: {path} was not created under the strategy of the step, '
          f'which has {strategy.num_replicas_in_sync} replicas; build the model'
          ' and create its TrainState in `with strategy.scope():`.'
      )


def check_parameters(model: Any, parameters: Mapping[str, Any]) -> None:
  """Checks that a state holds all trainable variables of its model.

  Args:
    model: The model, after a forward pass.
    parameters: The parameters of the state.

  Raises:
    ValueError: If the model has created further variables.
  """
  late = [path for path in variables.trainable(model) if path not in parameters]
  if late:
    raise ValueError(
        f'model: its state lacks {", ".join(late)}, created later, which would '
        'be neither trained nor saved. Build the model, or call it once, '
        'before creating its TrainState.'
    )


def check_assigned(
    model: Any,
    operations: Iterable[tf.Operation],
    collected: Mapping[str, tf.Tensor],
    batch: Any,
    num_replicas: int,
) -> None:
  """Checks the variables that a forward pass assigns.

  Args:
    model: The model.
    operations: The operations of the forward pass.
    collected: The values that it leaves to the step by path, see `assignments`.
    batch: The input of the forward pass.
    num_replicas: The number of replicas.

  Raises:
    ValueError: If it assigns a trainable variable or, on several replicas, one
      whose copies would diverge because its value depends on the batch.
  """
  named = variables.named(model)
  written = effects.assigned(operations, named)
  trained = [path for path in written if named[path].trainable]
  if trained:
    raise ValueError(
        f'model: its forward pass assigns {", ".join(trained)}, which is '
        'trainable: a skipped step could not undo that. Leave it to the '
        'optimizer, or create it with trainable=False.'
    )
  if num_replicas == 1:
    return
  allowed = {
      id(variable)
      for part in (model, *model.submodules)
      if getattr(part, 'reduces_over_replicas', False)
      for variable in variables.named(part).values()
  }
  # Values that do not depend on the batch, such as a call counter, are equal.
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
        f'model: its forward pass assigns {", ".join(differing)} from the batch'
        f' on each of {num_replicas} replicas, whose copies would diverge. '
        'Return the terms of the new value as Evaluation.statistics, which are '
        'summed over replicas, and assign it in make_train_step(..., '
        'after=...); or sum them with distribution.all_reduce_sum and set '
        'reduces_over_replicas = True in the class of the module, as '
        'layers.BatchNorm does.'
    )


def _is_mirrored(variable: tf.Variable) -> bool:
  """Returns whether each replica assigns its own copy of a shared value."""
  return (
      variable.synchronization != tf.VariableSynchronization.ON_READ
      and variable.aggregation == tf.VariableAggregation.NONE
  )


def check_batch(batch: Any, strategy: tf.distribute.Strategy) -> None:
  """Checks that a batch is split into one part per replica.

  Args:
    batch: A batch.
    strategy: The strategy of a step.

  Raises:
    ValueError: If it is not, and this process has several replicas.
  """
  if strategy.num_replicas_in_sync == 1:
    return
  num_local = len(strategy.extended.worker_devices)
  if num_local == 1:  # A batch in one part looks like the part itself.
    return
  parts = [_num_parts(leaf) for _, leaf in rows_lib.leaves(batch)]
  if not any(parts):
    raise ValueError(
        f'batch: each of the {num_local} replicas would take all of it; '
        'distribute it, for example with '
        'strategy.experimental_distribute_dataset(dataset).'
    )
  if wrong := next((n for n in parts if n not in (0, num_local)), None):
    raise ValueError(
        f'batch: it has {wrong} parts, but the step has {num_local} replicas '
        'here; distribute it with the strategy of the step.'
    )


def sizes(batch: Any) -> list[int | None]:
  """Returns the number of examples on each replica of this process.

  Args:
    batch: A distributed batch.

  Returns:
    The numbers, with None where they are unknown while tracing.
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
    Whether they are; False if the numbers are unknown while tracing.
  """
  if strategy.num_replicas_in_sync == 1:
    return True
  found = set(sizes(batch))
  # All workers must agree, but may know different sizes while tracing.
  is_alone = strategy.num_replicas_in_sync == len(
      strategy.extended.worker_devices
  )
  return None not in found and (len(found) == 1 or not is_alone)


def check_reducing(
    batch: Any, extent: compilation.Extent, micro_batch_size: int | None
) -> None:
  """Checks that a model that sums over replicas is able to do so.

  Args:
    batch: A distributed batch.
    extent: How much of the step XLA compiles.
    micro_batch_size: The number of examples per micro-batch, or None.

  Raises:
    ValueError: If the gradients are compiled, or the numbers of micro-batches
      differ between replicas or are unknown while tracing.
  """
  if extent == compilation.Extent.PARTS:
    raise ValueError(
        'extent: PARTS compiles the gradients, in which this model sums over '
        'replicas, as batch norm does; use UPDATE.'
    )
  if micro_batch_size is None:
    return
  found = sizes(batch)
  numbers = {-(-n // micro_batch_size) for n in found if n is not None}
  if None in found or len(numbers) > 1:
    raise ValueError(
        'micro_batch_size: the model sums over replicas in each micro-batch, so'
        ' all replicas need equally many micro-batches, but they have '
        f'{found} examples. Batch with drop_remainder=True, or pad.'
    )


def check_compiled(
    extent: compilation.Extent, strategy: tf.distribute.Strategy
) -> None:
  """Checks that an extent is valid for a strategy.

  Args:
    extent: How much of a step XLA compiles.
    strategy: The strategy of the step.

  Raises:
    TypeError: If the extent is not an `Extent`.
    ValueError: If the extent requires a single replica and there are several.
  """
  if not isinstance(extent, compilation.Extent):
    raise TypeError(
        f'extent: expected a compilation.Extent, got {extent!r}; '
        'use compilation.choose_for to choose one.'
    )
  if strategy.num_replicas_in_sync > 1 and extent >= compilation.Extent.STEP:
    raise ValueError(
        f'extent: {extent.name} requires one replica, but the strategy has'
        f' {strategy.num_replicas_in_sync}; use UPDATE or PARTS.'
    )


def first_row(batch: Any) -> tuple[tf.Tensor, int | tf.Tensor]:
  """Returns where a replica's part of a global batch begins.

  Args:
    batch: The part of this replica.

  Returns:
    The number of examples on the replicas before this one, int32 ``[]``, and
    the number on this one.
  """
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  number = rows_lib.count(batch)
  all_numbers = distribution.all_stack(number)
  return tf.cumsum(all_numbers, exclusive=True)[replica], number


def _num_parts(leaf: Any) -> int:
  if not isinstance(leaf, tf.distribute.DistributedValues):
    return 0
  return len(leaf.values)
