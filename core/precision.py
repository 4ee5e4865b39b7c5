"""Mixed precision: float32 weights with bfloat16 or float16 computation.

    train_step = make_train_step(
        precision.mixed(objective, 'bfloat16'), optimizer, metric, strategy
    )

Parameters, gradients, optimizer state and the loss stay float32; the model
computes with casts of the parameters. float16 also needs a loss scale, see
`core.loss_scaling`. Half precision pays off on devices that support it
natively; `choose` checks this.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from . import (
    checks,
    distribution,
    objectives,
    processor,
    substitution,
    variables,
    workers,
)

DTYPES = ('bfloat16', 'float16')
PRECISIONS = ('auto', 'float32', *DTYPES)
# The minimum compute capability of GPUs with tensor cores for a dtype.
_CAPABILITIES = {'bfloat16': (8, 0), 'float16': (7, 0)}


def choose(
    precision: str = 'auto', strategy: tf.distribute.Strategy | None = None
) -> str:
  """Chooses the dtype of computation: bfloat16 where it is supported natively.

  Args:
    precision: One of `PRECISIONS`. `auto` is bfloat16 if the devices of all
      workers support it, and float32 otherwise; other values are returned
      unchanged. Every worker must call this.
    strategy: The strategy. Default: the one in scope.

  Returns:
    `float32`, or a dtype for `mixed`.

  Raises:
    ValueError: If the precision is unknown.

  Example:
    >>> from core import precision
    >>> precision.choose('float32')
    'float32'
  """
  checks.one_of('precision', precision, PRECISIONS)
  if precision != 'auto':
    return precision
  strategy = strategy or tf.distribute.get_strategy()
  here = int(is_native('bfloat16', strategy))
  have = [each for (each,) in workers.gather(strategy, [here])]
  return 'bfloat16' if all(have) else 'float32'


def is_native(
    dtype: str, strategy: tf.distribute.Strategy | None = None
) -> bool:
  """Returns whether this worker's devices multiply natively in a dtype.

  Args:
    dtype: `float32`, `bfloat16` or `float16`.
    strategy: The strategy. Default: the one in scope.

  Returns:
    True for float32. For half precision on a CPU, `processor.multiplies_in`; on
    GPUs, whether all have tensor cores for it: NVIDIA Volta and later for
    float16, Ampere and later for bfloat16.

  Raises:
    ValueError: If the dtype is unknown.
  """
  checks.one_of('dtype', dtype, ('float32', *DTYPES))
  if dtype == 'float32':
    return True
  if not distribution.on_gpu(strategy):
    return processor.multiplies_in(dtype)
  capabilities = [
      tf.config.experimental.get_device_details(gpu).get('compute_capability')
      for gpu in tf.config.list_physical_devices('GPU')
  ]
  return all(
      capability is not None and capability >= _CAPABILITIES[dtype]
      for capability in capabilities
  )


def mixed(
    objective: objectives.Objective, dtype: str = 'bfloat16'
) -> objectives.Objective:
  """Makes an objective compute its model in half precision.

  Args:
    objective: An objective that calls its model.
    dtype: `bfloat16` or `float16`.

  Returns:
    The objective, applied to the `autocast` model. Losses, penalties and
    metrics are computed in float32, from float32 outputs and weights.

  Raises:
    ValueError: If the dtype is unknown.

  Reference:
    `Micikevicius et al. 2018 <https://arxiv.org/abs/1710.03740>`_, Mixed
    precision training, sections 3.1 and 3.3.
  """
  checks.one_of('dtype', dtype, DTYPES)

  def mixed_objective(
      model: Any,
      batch: objectives.Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> objectives.Evaluation:
    return objective(autocast(model, dtype), batch, seed, is_training)

  return mixed_objective


def autocast(model: Any, dtype: str = 'bfloat16') -> Any:
  """Returns a view of the model whose call computes in half precision.

  The call casts float32 inputs and trainable variables to the dtype, and casts
  the outputs back to float32. Non-trainable variables, such as moving
  statistics, are not cast; layers cast them where needed.

  Args:
    model: A `tf.Module` whose variables exist.
    dtype: `bfloat16` or `float16`.

  Returns:
    An object of a subclass of the model's class that shares all attributes,
    including the float32 variables. A part of the model called directly, as in
    `model.encoder(x)`, computes in float32 unless it is itself cast.

  Raises:
    ValueError: If the dtype is unknown.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers, precision
    >>> dense = layers.Dense(1, with_bias=False)
    >>> dense.build([None, 1])
    >>> dense.linear.w.assign([[1 + 2**-8]]).numpy().tolist()
    [[1.00390625]]
    >>> precision.autocast(dense)(tf.ones([1, 1])).numpy().tolist()
    [[1.0]]
  """
  checks.one_of('dtype', dtype, DTYPES)

  kind: Any = type(model)

  @functools.wraps(kind.__call__)  # Callers inspect its signature.
  def call(self: Any, *args: Any, **kwargs: Any) -> Any:
    del self
    half = substitution.substitute(
        model, _cast(variables.trainable(model), tf.float32, dtype)
    )
    args, kwargs = _cast((args, kwargs), tf.float32, dtype)
    return _cast(half(*args, **kwargs), tf.as_dtype(dtype), tf.float32)

  view = object.__new__(type(kind)(kind.__name__, (kind,), {'__call__': call}))
  object.__setattr__(view, '__dict__', vars(model))
  return view


def _cast(values: Any, source: tf.DType, target: tf.DType | str) -> Any:
  # Casts components, since casting a sparse tensor loses its static shape.
  return tf.nest.map_structure(
      lambda value: tf.cast(value, target)
      if getattr(value, 'dtype', None) == source
      else value,
      values,
      expand_composites=True,
  )
