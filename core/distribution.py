"""Distribution strategies and the one reduction that training needs: a sum.

`all_reduce_sum` adds values; `all_stack` and `all_gather` join them. The
gradient of a replica's value is the sum of its gradients on all replicas. Every
replica must call them equally often. On one replica they return their input
(`all_stack` with an extra axis) and communicate nothing. The same holds outside
a replica context, such as in a forward pass traced under `strategy.scope()`,
except that an identity in the name scope `REDUCTION` marks in the graph that it
sums over replicas.
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
# The name scope of values that would be reduced in a replica context.
REDUCTION = 'sum_over_replicas'


def set_virtual_devices(num_devices: int) -> None:
  """Splits the CPU into logical devices, to test replicas on one machine.

  Args:
    num_devices: The number of devices, at least 1.

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
    name: `auto` and `mirrored` create a MirroredStrategy over all GPUs, or over
      all logical CPU devices if there is no GPU; `one_device` uses only the
      first of these; `multi_worker` creates a MultiWorkerMirroredStrategy over
      the workers in TF_CONFIG.

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
    start_timeout_s: float = 3600.0,
) -> tf.distribute.MultiWorkerMirroredStrategy:
  """Creates a MultiWorkerMirroredStrategy over the workers in TF_CONFIG.

  Args:
    start_timeout_s: How long workers wait for each other, in seconds.

  Returns:
    The strategy. It uses NCCL on GPUs.

  Raises:
    ValueError: If the timeout is not positive.
    tf.errors.DeadlineExceededError: If a worker did not start in time.
  """
  checks.positive('start_timeout_s', start_timeout_s)
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
    # Otherwise, workers wait longer for one that never joins.
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
    The strategy. On CPUs it sums on one of the devices, in a fixed order,
    because TensorFlow's CPU collectives mistake two strategies in one process
    for the same group and fail.
  """
  on_cpu = all('CPU' in device for device in devices)
  return tf.distribute.MirroredStrategy(
      devices,
      cross_device_ops=tf.distribute.ReductionToOneDevice() if on_cpu else None,
  )


def on_gpu(strategy: tf.distribute.Strategy | None = None) -> bool:
  """Returns whether replicas are on GPUs.

  Args:
    strategy: The strategy. Default: the one in scope.

  Returns:
    Whether they are; without a strategy, whether there is a GPU.
  """
  strategy = strategy or tf.distribute.get_strategy()
  try:
    return any('GPU' in name for name in strategy.extended.worker_devices)
  except RuntimeError:  # Without a strategy, TensorFlow chooses the device.
    return bool(tf.config.list_logical_devices('GPU'))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Returns whether this process writes the files of the run.

  Args:
    strategy: The strategy of the run.

  Returns:
    True on a single worker, on the chief, and on worker 0 if there is no chief.
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
  """Returns the number of processes that share the strategy.

  Args:
    strategy: The strategy.

  Returns:
    The number of workers, including the chief.
  """
  resolver = strategy.cluster_resolver
  if resolver is None or not resolver.cluster_spec():
    return 1
  spec = resolver.cluster_spec().as_dict()
  return sum(len(spec.get(name, ())) for name in ('chief', 'worker'))


@contextlib.contextmanager
def watched() -> Iterator[list[Any]]:
  """Records reductions over replicas while a graph is traced.

  Yields:
    A list with one entry per call of `all_reduce_sum`.
  """
  token = _WATCHED.set([])
  try:
    yield _WATCHED.get()
  finally:
    _WATCHED.reset(token)


def all_reduce_sum(values: Any) -> Any:
  """Sums a nest of tensors over all replicas of all workers.

  Args:
    values: A nest of tensors, of equal structure, shapes and dtypes everywhere.

  Returns:
    The sums.
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
  # MirroredStrategy accepts at most one int32 tensor per call.
  sums = [tf.cast(x, tf.int64) if x.dtype == tf.int32 else x for x in tensors]
  # GPU collectives concatenate their inputs, so make one call per dtype.
  for dtype in dict.fromkeys(x.dtype for x in sums):
    places = [i for i, x in enumerate(sums) if x.dtype == dtype]
    reduced = context.all_reduce(
        tf.distribute.ReduceOp.SUM, [sums[place] for place in places]
    )
    for place, total in zip(places, reduced, strict=True):
      sums[place] = tf.cast(total, tensors[place].dtype)
  return tf.nest.pack_sequence_as(values, sums)


def all_stack(value: Any) -> tf.Tensor:
  """Stacks the values of a tensor on the replicas of all workers.

  Args:
    value: A numeric tensor, of the same shape and dtype on every replica.

  Returns:
    A tensor ``[num_replicas, ...]`` of the values in the order of replicas,
    with NaN and infinities preserved.

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
  # The sum of a value and zeros is exact; 0 * NaN would not be 0.
  return all_reduce_sum(tf.where(is_own, value, tf.zeros_like(value)))


def all_gather(values: Any) -> Any:
  """Concatenates tensors from all replicas of all workers.

  Losses that compare examples accept it as `gather=`.

  Args:
    values: A tensor ``[size, ...]`` or a nest of them, numeric or boolean, with
      the same structure, dtypes and trailing axes on every replica. Sizes may
      differ between replicas and may be 0.

  Returns:
    The same nest of tensors ``[sum of sizes, ...]``, in the order of replicas.

  Raises:
    TypeError: If a tensor is neither numeric nor boolean.
    ValueError: If a tensor has no axis or an unknown rank.

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
  # The sum of one part and zeros is exact, and its gradient is a slice.
  wholes = all_reduce_sum([
      _between_zeros(part, before[i], after[i]) for i, part in enumerate(parts)
  ])
  dtypes = [part.dtype for part in parts]
  return tf.nest.pack_sequence_as(values, list(map(tf.cast, wholes, dtypes)))


def _marked(values: Any) -> Any:
  """Marks values in a graph as ones that replicas would reduce."""
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
  """Pads the first axis with zeros, in a dtype that collectives can sum."""
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
  """Copies the first replica's values to every replica of every worker.

  Every worker must call this. The copies are exact.

  Args:
    strategy: The strategy under which the variables were created.
    variables: Floating-point or integer variables.
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
  """Returns the first local replica's values, for nests equal on all replicas.

  Args:
    strategy: The strategy that ran the replicas.
    values: A nest returned by `strategy.run`.

  Returns:
    A nest of tensors.
  """
  return tf.nest.map_structure(
      lambda value: strategy.experimental_local_results(value)[0], values
  )


def unequal_replicas(variables: dict[str, tf.Variable]) -> list[str]:
  """Lists the variables whose local copies differ between replicas.

  Replicas start equal and apply equal updates. A variable listed here violates
  that, which no loss curve would show.

  Args:
    variables: The variables by name.

  Returns:
    The names of the variables that differ in any bit.
  """

  def differs(variable: tf.Variable) -> bool:
    copies = getattr(variable, 'values', ())
    return len({copy.numpy().tobytes() for copy in copies}) > 1

  return [name for name, variable in variables.items() if differs(variable)]
