"""A loop over data that reside on the devices, without input from the host.

    arrays = {'image': images, 'label': labels}
    train = make_train_loop(state, objective, optimizer, metric, arrays)
    sums, taken = train(rows, epoch)

`rows` is the order of an epoch, `[num_batches, global_batch_size]`, as
`batched` makes it. Each step gathers one row in the graph. (XLA would recompile
a slice whose start changes at every step.) `make_train_loop` and
`make_eval_loop` use `place` and `make_loop`, which support other steps too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from . import (
    checks,
    compilation,
    distribution,
    loops,
    metrics,
    objectives,
    optimizers,
    resident_data,
    training,
    updating,
)
from . import rows as rows_lib

# More than one, since some losses and layers compare examples.
_NUM_TRACED = 256
Data = Mapping[str, Any]  # Tensors [num_examples, ...], one copy per replica.


def place(
    arrays: Mapping[str, Any], strategy: tf.distribute.Strategy | None = None
) -> Data:
  """Copies data to the device of every replica.

  Args:
    arrays: Arrays or dense, sparse or ragged tensors ``[num_examples, ...]``,
      by their names in a batch, which may be nested. Images as uint8 take a
      quarter of the memory of floats. Sparse and ragged tensors, which GPUs
      cannot gather, stay in the memory of the host.
    strategy: The strategy under which the state was created.

  Returns:
    The same data as (distributed) tensors.

  Raises:
    ValueError: If the arrays have different numbers of examples.
  """
  strategy = strategy or tf.distribute.get_strategy()

  @tf.function(autograph=False)
  def copy(tensors: Data) -> Data:
    return strategy.run(resident_data.copy, (tensors,))

  tensors = resident_data.tensors(arrays)
  # A concrete function, since TensorFlow warns about retracing on every call.
  return copy.get_concrete_function(tensors)(tensors)


def batched(
    order: Sequence[int] | tf.Tensor, global_batch_size: int
) -> tf.Tensor:
  """Splits an order of examples into rows, the batches of an epoch.

  Args:
    order: The positions of the examples, integers ``[num_examples]``.
    global_batch_size: The number of examples per batch, at least 1.

  Returns:
    int32 ``[num_batches, global_batch_size]``; the last row is padded with -1.

  Raises:
    TypeError: If the order or the size is not of integers.
    ValueError: If the order has not one axis, or the size is not positive.

  Example:
    >>> from core import resident
    >>> resident.batched([4, 2, 0], global_batch_size=2).numpy().tolist()
    [[4, 2], [0, -1]]
  """
  checks.size('global_batch_size', global_batch_size)
  order = tf.convert_to_tensor(order)
  checks.rank('order', order, 1)
  checks.integers('order', order)
  order = tf.cast(order, tf.int32)
  missing = -order.shape[0] % global_batch_size
  order = tf.pad(order, [[0, missing]], constant_values=-1)
  return tf.reshape(order, [-1, global_batch_size])


def make_loop(
    step: training.Step,
    strategy: tf.distribute.Strategy | None = None,
    *,
    jit_compile: bool = False,
    is_full: bool = False,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Makes an in-graph loop over a train or evaluation step.

  Args:
    step: A step, as `make_train_step` and `make_eval_step` return it.
    strategy: The strategy with which the step was made.
    jit_compile: Whether XLA compiles the whole loop, which requires a single
      replica and is slow for convolutions on a CPU; see `compilation.choose`.
    is_full: Whether no row has padding. Then, if the replicas divide the batch
      and the data have no weights, steps skip the handling of weights.

  Returns:
    A `tf.function` of

    - the state,
    - the data, as `place` returns them,
    - rows, int32 ``[num_batches, global_batch_size]``: the positions in the
      data of the examples of each batch, -1 for padding,
    - the first row to take, an int32 tensor ``[]``,
    - the number of the epoch, an int32 tensor ``[]``,
    - the sums so far, as `training.zero_sums` returns them,
    - the number of steps to take, an int32 tensor ``[]``.

    It returns the sums, including those of these steps, and the number of steps
    taken, which is smaller only if a loss was not finite: the loop ends right
    after that step. A batch holds the data by name, and `index` and `epoch`,
    int32, and `weight`, float32, each ``[batch_size]``. The weight is 0 for
    padding, and otherwise that of the data, or 1.
  """
  strategy = strategy or tf.distribute.get_strategy()
  is_viewed = distribution.on_gpu(strategy) and not jit_compile

  def loop(
      state: training.TrainState,
      data: Data,
      rows: tf.Tensor,
      start: tf.Tensor,
      epoch: tf.Tensor,
      sums: training.Sums,
      num_steps: tf.Tensor,
  ) -> tuple[training.Sums, tf.Tensor]:
    batch = functools.partial(resident_data.batch, is_full=is_full)
    if is_viewed:  # Once per call, not at each step.
      data, like = resident_data.viewed(data, strategy)
      batch = functools.partial(batch, like=like)

    def next_step(taken: tf.Tensor) -> training.Sums:
      row = resident_data.row(rows, start + taken, on_host=is_viewed)
      return step(state, strategy.run(batch, (data, row, epoch)))

    return loops.add_up(next_step, sums, num_steps)

  # TensorFlow counts tracings by the code of a function, and would warn of
  # retracing once a program makes five loops. A partial has no code.
  own: Any = functools.partial(loop)
  own.__name__ = loop.__name__
  return tf.function(own, autograph=False, jit_compile=jit_compile or None)


def make_train_loop(
    state: training.TrainState,
    objective: objectives.Objective,
    optimizer: optimizers.GradientTransformation,
    metric: metrics.Metric | None,
    arrays: Mapping[str, Any],
    strategy: tf.distribute.Strategy | None = None,
    *,
    jit: str = 'auto',
    is_deterministic: bool = False,
    after: updating.After | None = None,
    micro_batch_size: int | None = None,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Places data on the devices and makes an optimized training loop over them.

  XLA compiles the parts that benefit, see `compilation.choose_for`. On a CPU,
  call `xla_flags.tune_for_cpu` first.

  Args:
    state: The state, created under the scope of the strategy.
    objective: The objective to minimize.
    optimizer: The optimizer with which the state was created.
    metric: The metric to compute. If None, only the loss is computed.
    arrays: The data, ``[num_examples, ...]`` each, as for `place`.
    strategy: The strategy under which the state was created.
    jit: One of `compilation.MODES`.
    is_deterministic: Whether `enable_op_determinism` is active.
    after: As for `training.make_train_step`.
    micro_batch_size: As for `training.make_train_step`.

  Returns:
    A function of

    - rows, int32 ``[num_batches, global_batch_size]``: the positions in the
      data of the examples of each batch, -1 for padding,
    - the number of the epoch, at least 0,
    - `start`, the first row to take, 0 by default,
    - `num_steps`, the number of rows to take, by default all remaining ones,
    - `sums`, the sums to add to, by default zeros.

    It trains the state and returns the sums and the number of steps taken, like
    the loop of `make_loop`. Calls with rows of the same shape share one trace.

  Raises:
    ValueError: If the mode is unknown.

  Example:
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from core import losses, metrics, models, objectives, optimizers
    >>> from core import resident, training
    >>> model = models.create('mlp', 2, hidden_sizes=())
    >>> model.build([None, 3])
    >>> optimizer = optimizers.sgd(0.1)
    >>> state = training.TrainState(model, optimizer)
    >>> objective = objectives.supervised(
    ...     losses.softmax_cross_entropy, inputs=lambda batch: batch['x'])
    >>> metric = metrics.collection({'accuracy': metrics.accuracy()})
    >>> x = np.eye(3, dtype=np.float32)
    >>> train = resident.make_train_loop(
    ...     state, objective, optimizer, metric,
    ...     {'x': x, 'label': np.array([0, 1, 1])})
    >>> sums, taken = train(tf.constant([[0, 1], [2, -1]]), epoch=0)
    >>> int(taken), float(sums['weight'])
    (2, 3.0)
  """
  strategy = strategy or tf.distribute.get_strategy()
  tensors = resident_data.tensors(arrays)
  forward, extent = _traced(
      state, objective, tensors, strategy, jit, is_deterministic
  )
  step = training.make_train_step(
      objective,
      optimizer,
      metric,
      strategy,
      extent,
      after=after,
      micro_batch_size=micro_batch_size,
  )
  zeros = training.zero_sums(metric, forward)
  return _over(state, step, strategy, extent, tensors, zeros)


def make_eval_loop(
    state: training.TrainState,
    objective: objectives.Objective,
    metric: metrics.Metric | None,
    arrays: Mapping[str, Any],
    strategy: tf.distribute.Strategy | None = None,
    *,
    global_batch_size: int = 256,
    use_average: bool = False,
    jit: str = 'auto',
    is_deterministic: bool = False,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Places data on the devices and makes an evaluation loop over them.

  Args:
    state: The state, created under the scope of the strategy.
    objective: The objective that computes the loss.
    metric: The metric to compute. If None, only the loss is computed.
    arrays: The data, ``[num_examples, ...]`` each, as for `place`.
    strategy: The strategy under which the state was created.
    global_batch_size: The number of examples per step on all replicas.
    use_average: Whether to evaluate the average of the weights.
    jit: One of `compilation.MODES`.
    is_deterministic: Whether `enable_op_determinism` is active.

  Returns:
    A function like that of `make_train_loop` that does not change the state.
    Called without rows, it evaluates every example exactly once.

  Raises:
    ValueError: If the mode is unknown or a size is not positive.

  Example:
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from core import layers, losses, metrics, objectives, optimizers
    >>> from core import resident, training
    >>> model = layers.Dense(1, w_init=tf.ones)
    >>> model.build([None, 2])
    >>> state = training.TrainState(model, optimizers.sgd(0.1))
    >>> objective = objectives.supervised(losses.squared_error, inputs='x')
    >>> metric = metrics.collection({'mse': metrics.mean_squared_error()})
    >>> evaluate = resident.make_eval_loop(
    ...     state, objective, metric,
    ...     {'x': np.ones([3, 2], 'f'), 'label': np.zeros([3, 1], 'f')},
    ...     global_batch_size=2)
    >>> sums, taken = evaluate()
    >>> int(taken), float(training.summarize(metric, sums)['mse'])
    (2, 4.0)
  """
  strategy = strategy or tf.distribute.get_strategy()
  tensors = resident_data.tensors(arrays)
  forward, extent = _traced(
      state, objective, tensors, strategy, jit, is_deterministic
  )
  step = training.make_eval_step(
      objective, metric, strategy, use_average, extent
  )
  zeros = training.zero_sums(metric, forward)
  loop = _over(state, step, strategy, extent, tensors, zeros)
  num_examples = rows_lib.count(tensors)
  every = batched(tf.range(num_examples), global_batch_size)

  def evaluate(
      rows: tf.Tensor = every, epoch: int = 0, **options: Any
  ) -> tuple[training.Sums, tf.Tensor]:
    return loop(rows, epoch, **options)

  return evaluate


def _traced(
    state: training.TrainState,
    objective: objectives.Objective,
    tensors: Mapping[str, Any],
    strategy: tf.distribute.Strategy,
    jit: str,
    is_deterministic: bool,
) -> tuple[tf.types.experimental.ConcreteFunction, compilation.Extent]:
  """Traces the forward pass on some examples and chooses the extent."""
  rows = tf.range(min(rows_lib.count(tensors), _NUM_TRACED))
  example = resident_data.batch(rows_lib.take(tensors, rows), rows, epoch=0)
  with strategy.scope():  # Layers may depend on the kind of device.
    forward = training.trace(objective, state.model, example)
  extent = compilation.choose_for(
      state.model, forward, strategy, jit, is_deterministic=is_deterministic
  )
  if any(
      isinstance(leaf, tf.RaggedTensor | tf.SparseTensor)
      for _, leaf in rows_lib.leaves(tensors)
  ):  # XLA cannot gather their rows.
    extent = min(extent, compilation.Extent.UPDATE)
  return forward, extent


def _over(
    state: training.TrainState,
    step: training.Step,
    strategy: tf.distribute.Strategy,
    extent: compilation.Extent,
    tensors: Mapping[str, Any],
    zeros: training.Sums,
) -> Callable[..., tuple[training.Sums, tf.Tensor]]:
  """Makes a loop with default arguments over data placed once."""
  is_compiled = extent == compilation.Extent.LOOP
  loops = [  # Each is traced when first called.
      make_loop(step, strategy, jit_compile=is_compiled, is_full=is_full)
      for is_full in (False, True)
  ]
  data = place(tensors, strategy)
  num_examples = rows_lib.count(tensors)

  def over(
      rows: tf.Tensor,
      epoch: int,
      *,
      start: int = 0,
      num_steps: int | None = None,
      sums: training.Sums | None = None,
  ) -> tuple[training.Sums, tf.Tensor]:
    checks.size('epoch', epoch, low=0)
    checks.size('start', start, low=0)
    if num_steps is None:
      num_steps = max(len(rows) - start, 0)
    checks.size('num_steps', num_steps, low=0)
    # XLA would silently clamp positions that are out of range.
    if start + num_steps > len(rows):
      raise ValueError(
          f'start, num_steps: expected a range of the {len(rows)} rows, got '
          f'{start} and {num_steps}.'
      )
    first, last = int(tf.reduce_min(rows)), int(tf.reduce_max(rows))
    if first < -1 or last >= num_examples:
      raise ValueError(
          f'rows: expected positions in [0, {num_examples}), and -1 for '
          f'padding, got {first if first < -1 else last}.'
      )
    is_full = first >= 0
    start, number, count = map(tf.constant, (start, epoch, num_steps))
    return loops[is_full](
        state,
        data,
        rows,
        start,
        number,
        zeros if sums is None else sums,
        count,
    )

  return over
