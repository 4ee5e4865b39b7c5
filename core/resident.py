"""A loop over data that lie on the devices: nothing comes from the host.

    arrays = {'image': images, 'label': labels}
    train = make_train_loop(state, objective, optimizer, metric, arrays)
    sums, taken = train(rows, epoch)

`rows` is the order of an epoch, `[num_batches, global_batch_size]`, which
`batched` makes: its rows are gathered in the graph step by step. (XLA would
compile a slice whose start moves anew at every step.) `make_train_loop` and
`make_eval_loop` are made of `place` and `make_loop`, which serve other steps
too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from . import (
  checks,
  compilation,
  loops,
  metrics,
  objectives,
  optimizers,
  resident_data,
  training,
  updating,
)
from . import rows as rows_lib

# Of one example alone, what compares examples has nothing to compare.
_NUM_TRACED = 256
Data = Mapping[str, Any]  # Of tensors [num_examples, ...], a copy a replica.


def place(
    arrays: Mapping[str, Any], strategy: tf.distribute.Strategy | None = None
) -> Data:
  """Copies data onto the device of every replica.

  Args:
    arrays: Arrays ``[num_examples, ...]``, or tensors, sparse and ragged ones
      too, by the names that they have in a batch, which may be nested; images
      as uint8 take a quarter of the room of floats.
    strategy: The strategy that the state was made under.

  Returns:
    The same as (distributed) tensors.

  Raises:
    ValueError: If the arrays are of different numbers of examples.
  """
  strategy = strategy or tf.distribute.get_strategy()

  @tf.function(autograph=False)
  def copy(tensors: Data) -> Data:
    return strategy.run(lambda mine: _map(tf.identity, mine), (tensors,))

  tensors = resident_data.tensors(arrays)
  # Called as a graph: TensorFlow warns of what it traces for each of its calls.
  return copy.get_concrete_function(tensors)(tensors)


def _map(function: Callable[[tf.Tensor], tf.Tensor], data: Any) -> Any:
  return tf.nest.map_structure(function, data, expand_composites=True)


def batched(
    order: Sequence[int] | tf.Tensor, global_batch_size: int
) -> tf.Tensor:
  """Cuts an order of examples into rows, the batches of an epoch.

  Args:
    order: The positions of the examples, integers ``[num_examples]``.
    global_batch_size: The examples of a batch, at least 1.

  Returns:
    int32 ``[num_batches, global_batch_size]``; the last row is filled up with
    -1, which stands for no example.

  Example:
    >>> from core import resident
    >>> resident.batched([4, 2, 0], global_batch_size=2).numpy().tolist()
    [[4, 2], [0, -1]]
  """
  checks.size('global_batch_size', global_batch_size)
  order = tf.convert_to_tensor(order)
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
  """Makes a loop in the graph over a train or an evaluation step.

  Args:
    step: A step, as `make_train_step` and `make_eval_step` make it.
    strategy: The strategy that the step was made with.
    jit_compile: Whether XLA compiles the whole loop: for one replica, and
      not for convolutions on a CPU; see `compilation.choose`.
    is_full: Whether no row has padding. Then, if replicas divide the batch and
      the data have no weights, steps need not look at weights.

  Returns:
    A `tf.function` of

    - the state,
    - data, as `place` returns them,
    - rows, int32 ``[num_batches, global_batch_size]``: the positions in the
      data of the examples of each batch, -1 for padding,
    - the first row to take, an int32 tensor ``[]``,
    - the number of the epoch, an int32 tensor ``[]``, for the batches,
    - the sums so far, as `training.zero_sums` makes them,
    - the number of steps to take, an int32 tensor ``[]``.

    It returns the sums, with those of these steps added, and the number of
    steps taken, which is smaller only if a loss was not finite: the loop ends
    right after that step. A batch holds the data's names and `index`,
    `epoch` int32 and `weight` float32, each ``[batch_size]``: 0 for padding,
    else the `weight` of the data where they have one, and 1 where not.
  """
  strategy = strategy or tf.distribute.get_strategy()
  batch = functools.partial(resident_data.batch, is_full=is_full)

  @tf.function(autograph=False, jit_compile=jit_compile or None)
  def loop(
      state: training.TrainState,
      data: Data,
      rows: tf.Tensor,
      start: tf.Tensor,
      epoch: tf.Tensor,
      sums: training.Sums,
      num_steps: tf.Tensor,
  ) -> tuple[training.Sums, tf.Tensor]:
    def next_step(taken: tf.Tensor) -> training.Sums:
      row = tf.gather(rows, start + taken)
      return step(state, strategy.run(batch, (data, row, epoch)))

    return loops.add_up(next_step, sums, num_steps)

  return loop


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
  """Places data and makes the train step's loop over them, in its fast form.

  What XLA compiles of it is what gains: see `compilation.choose_for`. On a CPU
  call `xla_flags.tune_for_cpu` first.

  Args:
    state: The state, made under the scope of the strategy.
    objective: What a step minimises.
    optimizer: The optimizer that the state was made with.
    metric: What a step measures; None for the loss alone.
    arrays: The data, ``[num_examples, ...]`` each, as for `place`.
    strategy: The strategy that the state was made under.
    jit: One of `compilation.MODES`.
    is_deterministic: Whether `enable_op_determinism` is in force.
    after: As for `training.make_train_step`.
    micro_batch_size: As for `training.make_train_step`.

  Returns:
    A function of

    - rows, int32 ``[num_batches, global_batch_size]``: the positions in the
      data of the examples of each batch, -1 for padding,
    - the number of the epoch,
    - `start`, the first row to take, by default 0,
    - `num_steps`, the number of rows to take, by default all that are left,
    - `sums`, what to add to, by default nothing.

    It trains the state and returns the sums and the number of steps taken, as
    the loop of `make_loop` does. One trace serves all calls with rows of one
    shape.

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
      objective, optimizer, metric, strategy, extent,
      after=after, micro_batch_size=micro_batch_size,
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
  """Places data and makes the evaluation step's loop over them.

  Args:
    state: The state, made under the scope of the strategy.
    objective: What the loss is computed with.
    metric: What is measured; None for the loss alone.
    arrays: The data, ``[num_examples, ...]`` each, as for `place`.
    strategy: The strategy that the state was made under.
    global_batch_size: The examples of a step of all replicas.
    use_average: Whether to evaluate the average of the weights.
    jit: One of `compilation.MODES`.
    is_deterministic: Whether `enable_op_determinism` is in force.

  Returns:
    A function as that of `make_train_loop`, which measures and changes nothing.
    Called without rows it measures every example exactly once.

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
  """Traces the forward pass of some examples; chooses what is compiled."""
  rows = tf.range(min(rows_lib.count(tensors), _NUM_TRACED))
  example = resident_data.batch(rows_lib.take(tensors, rows), rows, epoch=0)
  with strategy.scope():  # Layers may ask what they are computed on.
    forward = training.trace(objective, state.model, example)
  extent = compilation.choose_for(
      state.model, forward, strategy, jit, is_deterministic=is_deterministic
  )
  if any(
      isinstance(leaf, tf.RaggedTensor | tf.SparseTensor)
      for _, leaf in rows_lib.leaves(tensors)
  ):  # XLA gathers none of their rows.
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
  """Makes a loop over data that are placed once, with defaults."""
  is_compiled = extent == compilation.Extent.LOOP
  loops = [  # Each is traced when it is first called.
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
    if num_steps is None:
      num_steps = len(rows) - start
    # XLA would take the nearest that there is.
    if start < 0 or num_steps < 0 or start + num_steps > len(rows):
      raise ValueError(
          f'start, num_steps: expected some of the {len(rows)} rows, got '
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
        state, data, rows, start, number,
        zeros if sums is None else sums, count,
    )

  return over
