"""Strategies, and the one reduction that training needs: a sum.

`all_reduce_sum` adds, `all_stack` and `all_gather` join, each with its
gradient: what all replicas make of a replica's part is added up. On one replica
they return what they are given (`all_stack` with one more axis), and nothing is
sent. Outside of a replica, such as in a forward pass that is traced under
`strategy.scope()`, they do too, but leave a mark: an identity in the name scope
`REDUCTION`, by which the graph tells that it sums over replicas.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context as eager_context

from . import checks, waits

STRATEGIES = ('auto', 'mirrored', 'one_device', 'multi_worker')
_WATCHED: contextvars.ContextVar[list[Any]] = contextvars.ContextVar('watched')
# The name scope of what would be reduced if it were traced for a replica.
REDUCTION = 'sum_over_replicas'


def set_virtual_devices(num_devices: int) -> None:
  """Splits the CPU into logical devices, to try replicas on one machine.

  Args:
    num_devices: How many, at least 1.

  Raises:
    ValueError: If num_devices is not positive.
    RuntimeError: If TensorFlow has already initialized its devices.
  """
  checks.size('num_devices', num_devices)
  cpu = tf.config.list_physical_devices('CPU')[0]
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * num_devices
  )


def create(name: str = 'auto') -> tf.distribute.Strategy:
  """Creates a distribution strategy.

  Args:
    name: `auto` and `mirrored` are a MirroredStrategy over every GPU, or over
      every logical CPU device where there is no GPU; `one_device` uses the
      first of these alone; `multi_worker` is a MultiWorkerMirroredStrategy over
      the workers that TF_CONFIG names.

  Returns:
    The strategy.

  Raises:
    ValueError: If the name is unknown.
  """
  checks.one_of('strategy', name, STRATEGIES)
  if name == 'multi_worker':
    return multi_worker()
  list_devices = tf.config.list_logical_devices
  names = [each.name for each in list_devices('GPU') or list_devices('CPU')]
  if name == 'one_device':
    return tf.distribute.OneDeviceStrategy(names[0])
  return mirrored(names)


def multi_worker(
    start_timeout_s: float = 3600.0
) -> tf.distribute.MultiWorkerMirroredStrategy:
  """Creates a MultiWorkerMirroredStrategy over the workers of TF_CONFIG.

  Args:
    start_timeout_s: How long the workers wait for each other.

  Returns:
    The strategy. It sums over GPUs by NCCL.

  Raises:
    tf.errors.DeadlineExceededError: If a worker did not start in time.
  """
  resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
  jobs = resolver.cluster_spec().as_dict()
  if order := [job for job in ('chief', 'worker') if job in jobs]:
    context = eager_context.context()
    context.configure_coordination_service(
        service_type='standalone',
        service_leader=f'/job:{order[0]}/replica:0/task:0',
        cluster_register_timeout_in_ms=int(1000 * start_timeout_s),
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(
                name=job, num_tasks=len(jobs[job])
            )
            for job in order
        ],
    )
    # Otherwise the others wait longer for a worker that never joins.
    context.coordination_service.cluster_register_with_barrier = True
  kinds = tf.distribute.experimental.CommunicationImplementation
  has_gpus = bool(tf.config.list_physical_devices('GPU'))
  return tf.distribute.MultiWorkerMirroredStrategy(
      communication_options=tf.distribute.experimental.CommunicationOptions(
          implementation=kinds.NCCL if has_gpus else kinds.AUTO
      )
  )


def mirrored(devices: Sequence[str]) -> tf.distribute.MirroredStrategy:
  """Creates a MirroredStrategy over devices of one kind.

  Args:
    devices: Names such as `GPU:0`.

  Returns:
    The strategy. Over CPU devices it adds up on one of them, in a fixed order:
    TensorFlow's collectives there take two strategies of one process for one
    group and fail.
  """
  on_cpu = all('CPU' in device for device in devices)
  return tf.distribute.MirroredStrategy(
      devices,
      cross_device_ops=tf.distribute.ReductionToOneDevice() if on_cpu else None,
  )


def on_gpu(strategy: tf.distribute.Strategy | None = None) -> bool:
  """Returns whether replicas are on GPUs.

  Args:
    strategy: The strategy, by default the one in scope.

  Returns:
    True for a strategy over GPUs, and without one where there is a GPU.
  """
  strategy = strategy or tf.distribute.get_strategy()
  try:
    return any('GPU' in name for name in strategy.extended.worker_devices)
  except RuntimeError:  # There is no strategy: TensorFlow chooses the device.
    return bool(tf.config.list_logical_devices('GPU'))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Returns whether this process is the one that writes the run's files.

  Args:
    strategy: The strategy of the run.

  Returns:
    True on a single worker, on the chief, and on worker 0 without a chief.
  """
  resolver = strategy.cluster_resolver
  if resolver is None or not resolver.cluster_spec():
    return True
  return (resolver.task_type or 'chief') == 'chief' or (
      resolver.task_type == 'worker'
      and resolver.task_id == 0
      and 'chief' not in resolver.cluster_spec().jobs
  )


def num_workers(strategy: tf.distribute.Strategy) -> int:
  """Returns how many processes share the strategy, this one included.

  Args:
    strategy: The strategy.

  Returns:
    The number of workers, the chief included.
  """
  resolver = strategy.cluster_resolver
  if resolver is None or not resolver.cluster_spec():
    return 1
  spec = resolver.cluster_spec().as_dict()
  return sum(len(spec.get(name, ())) for name in ('chief', 'worker'))


@contextlib.contextmanager
def watched() -> Iterator[list[Any]]:
  """Watches what is reduced over replicas while a graph is traced.

  Yields:
    A list, which has an entry for each call of `all_reduce_sum`.
  """
  token = _WATCHED.set([])
  try:
    yield _WATCHED.get()
  finally:
    _WATCHED.reset(token)


def all_reduce_sum(values: Any) -> Any:
  """Sums a nest of tensors over all replicas of all workers.

  Every replica must call it, and as often as the others.

  Args:
    values: A nest of tensors, with the same structure, shapes and dtypes on
      every replica.

  Returns:
    The sums, whose gradient is the sum of all replicas' gradients; the values
    themselves outside of a replica context and where there is one replica.
  """
  context = tf.distribute.get_replica_context()
  if context is None:
    return _marked(values)
  if context.num_replicas_in_sync == 1:
    return values
  _WATCHED.get([]).append(values)
  tensors = [
      x if isinstance(x, tf.IndexedSlices) else tf.convert_to_tensor(x)
      for x in tf.nest.flatten(values)
  ]
  # MirroredStrategy takes no more than one int32 tensor in a call.
  sums = [tf.cast(x, tf.int64) if x.dtype == tf.int32 else x for x in tensors]
  # Collectives over GPUs concatenate their inputs: one call for each dtype.
  for dtype in dict.fromkeys(x.dtype for x in sums):
    places = [i for i, x in enumerate(sums) if x.dtype == dtype]
    reduced = context.all_reduce(
        tf.distribute.ReduceOp.SUM, [sums[place] for place in places]
    )
    for place, total in zip(places, reduced, strict=True):
      sums[place] = tf.cast(total, tensors[place].dtype)
  return tf.nest.pack_sequence_as(values, sums)


def all_stack(value: Any) -> tf.Tensor:
  """Stacks what the replicas of all workers have of one tensor.

  Every replica must call it, and as often as the others.

  Args:
    value: A tensor of numbers, of the same shape and dtype on every replica.

  Returns:
    A tensor ``[num_replicas, ...]``: the values in the order of replicas, NaN
    and infinities as they are. The gradient of a value is the sum of what all
    replicas make of it. On one replica, or outside any, it has one entry.

  Example:
    >>> import tensorflow as tf
    >>> from core import distribution
    >>> distribution.all_stack([1.0, 2.0]).numpy().tolist()
    [[1.0, 2.0]]
  """
  value = tf.convert_to_tensor(value)
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return all_reduce_sum(value)[tf.newaxis]
  replicas = tf.range(context.num_replicas_in_sync)
  is_own = tf.equal(replicas, context.replica_id_in_sync_group)
  is_own = tf.reshape(is_own, [-1] + [1] * value.shape.rank)
  # A sum of one value and of zeros is exact. 0 * NaN would not be 0.
  return all_reduce_sum(tf.where(is_own, value, tf.zeros_like(value)))


def all_gather(values: Any) -> Any:
  """Joins the parts that all replicas of all workers have of some tensors.

  For losses that compare examples, which take it as `gather=`. Every replica
  must call it, and as often as the others.

  Args:
    values: A tensor ``[size, ...]`` or a nest of them, numbers or booleans,
      with the same structure, dtypes and further axes on every replica. Sizes
      may differ between replicas and be 0.

  Returns:
    The same nest of tensors ``[sum of sizes, ...]``: the parts in the order of
    replicas, along the first axis. The gradient of a part is the sum of what
    all replicas make of it. The values themselves outside of a replica context
    and where there is one replica.

  Raises:
    TypeError: If a tensor holds neither numbers nor booleans.
    ValueError: If a tensor has no axis, or a rank that is not known.

  Example:
    >>> import tensorflow as tf
    >>> from core import distribution
    >>> @tf.function
    ... def gathered():
    ...   return distribution.all_gather(tf.constant([[1.0, 2.0]]))
    >>> tf.distribute.get_strategy().run(gathered).numpy().tolist()
    [[1.0, 2.0]]
  """
  for value in tf.nest.flatten(values):
    _check_part(value)
  context = tf.distribute.get_replica_context()
  if context is None or context.num_replicas_in_sync == 1:
    return all_reduce_sum(values)
  parts = [tf.convert_to_tensor(value) for value in tf.nest.flatten(values)]
  own = tf.stack([tf.shape(part, tf.int64)[0] for part in parts])
  sizes = all_stack(own)  # [num_replicas, num_parts]
  before = tf.cumsum(sizes, exclusive=True)[context.replica_id_in_sync_group]
  after = tf.reduce_sum(sizes, axis=0) - before - own
  # A sum of one part and of zeros: exact, and its gradient is a slice.
  wholes = all_reduce_sum([
      _between_zeros(part, before[i], after[i]) for i, part in enumerate(parts)
  ])
  dtypes = [part.dtype for part in parts]
  return tf.nest.pack_sequence_as(values, list(map(tf.cast, wholes, dtypes)))


def _marked(values: Any) -> Any:
  """Returns values, marked in a graph as such that replicas would reduce."""
  if tf.executing_eagerly():
    return values
  with tf.name_scope(REDUCTION):
    return tf.nest.map_structure(tf.identity, values)


def _check_part(value: Any) -> None:
  shape = tf.TensorShape(getattr(value, 'shape', ()))
  if not shape.rank:
    raise ValueError(
        f'values: expected tensors with a first axis, got shape {shape}.'
    )
  dtype = tf.as_dtype(value.dtype)
  if not (dtype.is_bool or dtype.is_integer or dtype.is_floating):
    raise TypeError(f'values: expected numbers or booleans, got {dtype.name}.')


def _between_zeros(
    part: tf.Tensor, before: tf.Tensor, after: tf.Tensor
) -> tf.Tensor:
  """Pads the first axis, in a dtype that collectives can sum."""
  if not part.dtype.is_floating:
    part = tf.cast(part, tf.int64)
  first = tf.stack([before, after])[tf.newaxis]
  paddings = tf.pad(first, [[0, part.shape.rank - 1], [0, 0]])
  padded = tf.pad(part, paddings)
  padded.set_shape([None, *part.shape[1:]])
  return padded


def broadcast(
    strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]
) -> None:
  """Gives every replica of every worker the first replica's values, bit by bit.

  Every worker must call it.

  Args:
    strategy: The strategy that the variables were made under.
    variables: Floating or integer variables.
  """
  if strategy.num_replicas_in_sync == 1:
    return

  def assign() -> None:
    context = tf.distribute.get_replica_context()
    is_first = tf.equal(context.replica_id_in_sync_group, 0)
    values = [tf.where(is_first, v, tf.zeros_like(v)) for v in variables]
    sums = all_reduce_sum(values)
    for variable, value in zip(variables, sums, strict=True):
      variable.assign(value)

  with waits.waiting():
    tf.function(strategy.run, autograph=False)(assign)


def first_replica(strategy: tf.distribute.Strategy, values: Any) -> Any:
  """Takes the first local replica's tensors of a nest that all agree on.

  Args:
    strategy: The strategy that ran the replicas.
    values: A nest of what `strategy.run` returned.

  Returns:
    A nest of tensors.
  """
  return tf.nest.map_structure(
      lambda value: strategy.experimental_local_results(value)[0], values
  )


def unequal_replicas(variables: dict[str, tf.Variable]) -> list[str]:
  """Names the variables whose local copies differ between replicas.

  Replicas start equal and apply equal updates; a variable that is listed here
  breaks that, which no loss curve would show.

  Args:
    variables: The variables by name.

  Returns:
    The names of those that differ, by any bit.
  """

  def differs(variable: tf.Variable) -> bool:
    copies = getattr(variable, 'values', ())
    return len({copy.numpy().tobytes() for copy in copies}) > 1

  return [name for name, variable in variables.items() if differs(variable)]
