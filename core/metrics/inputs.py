"""Checked, flattened and masked inputs, the same for every metric.

Each place of the labels counts as an example: inputs are flattened to
``[size]``. In a step whose loss is per place, such as per token, labels of
whole examples have the weights of the batch; see `of_batch`.

Examples of weight 0 are replaced before any arithmetic. At any other weight a
label out of range raises a ValueError eagerly; inside a `tf.function`, where it
cannot be detected, it turns the sums into NaN. So does a prediction that is NaN
or, for classes, infinite, except for classes excluded by a logit of minus
infinity: a wrong example is never dropped silently.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from .. import checks

Examples = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
_OF_BATCH: contextvars.ContextVar[Callable[[], tf.Tensor] | None] = (
    contextvars.ContextVar('of_batch', default=None)
)


@contextlib.contextmanager
def of_batch(weights: Callable[[], tf.Tensor]) -> Iterator[None]:
  """Sets the weights for labels that have fewer axes than a step's values.

  Args:
    weights: Returns the batch's weights, ``[batch_size, ...]``. If they have
      more axes than labels, an example with any nonzero weight counts 1.

  Yields:
    Nothing.
  """
  token = _OF_BATCH.set(weights)
  try:
    yield
  finally:
    _OF_BATCH.reset(token)


def fitting(weights: Any, like: Any) -> Any:
  """Returns a step's weights for labels or predictions `like`.

  If the weights have more axes than `like`, they are those of `of_batch`.

  Example:
    >>> import tensorflow as tf
    >>> from core.metrics import inputs
    >>> of_tokens, labels = tf.ones([2, 3]), tf.constant([5, 6])
    >>> with inputs.of_batch(lambda: tf.constant([1.0, 0.0])):
    ...   print(inputs.fitting(of_tokens, labels).numpy().tolist())
    [1.0, 0.0]
  """
  read = _OF_BATCH.get()
  if weights is None or read is None or _is_no_array(like):
    return weights
  rank = tf.convert_to_tensor(like).shape.rank
  own = tf.convert_to_tensor(weights).shape.rank
  if not rank or own is None or own <= rank:
    return weights
  others = read()
  further = list(range(rank, others.shape.rank or 0))
  if further:
    counts = tf.reduce_any(tf.not_equal(others, 0), axis=further)
    return tf.cast(counts, others.dtype)
  return others


def at_least(argument: str, value: int, low: int) -> int:
  """Checks an integer's type and minimum; returns it as Python's int."""
  try:
    number = operator.index(value)
  except TypeError:
    message = f'{argument}: expected an integer, got {value!r}.'
    raise TypeError(message) from None
  if number < low:
    raise ValueError(f'{argument}: expected at least {low}, got {value}.')
  return number


def classes(
    labels: tf.Tensor,
    predictions: tf.Tensor,
    weights: tf.Tensor | None,
    num_classes: int | None = None,
) -> Examples:
  """Prepares integer labels ``[batch_size, ...]`` and their logits.

  Returns:
    Labels ``[size]`` int32, logits ``[size, num_classes]`` float32 (float64 if
    float32 cannot represent them) and weights ``[size]`` float32.

  Raises:
    ValueError: If a shape is wrong or, eagerly, a label is out of range.
    TypeError: If the labels are not integers.
  """
  labels = _batched('labels', labels)
  logits = _floats('predictions', predictions)
  checks.integers('labels', labels)
  logits = checks.shape(
      'predictions', logits, [*checks.sizes_of(labels), num_classes]
  )
  weights = _spread(weights, labels)
  if labels.shape.rank > 1:
    labels, weights = (tf.reshape(x, [-1]) for x in (labels, weights))
    logits = tf.reshape(logits, [-1, checks.sizes_of(logits)[-1]])
  seen = tf.not_equal(weights, 0)
  labels = tf.cast(labels, tf.int64)  # Narrower types may not hold the size.
  in_range = (labels >= 0) & (labels < tf.shape(logits, tf.int64)[-1])
  _check_labels(seen, in_range, f'[0, {logits.shape[-1]})')
  logits = tf.where(seen[:, tf.newaxis], logits, tf.zeros_like(logits))
  is_number = ~tf.reduce_any(tf.math.is_nan(logits), axis=-1)
  is_number &= tf.math.is_finite(tf.reduce_max(logits, axis=-1))
  labels = tf.where(in_range, tf.cast(labels, tf.int32), 0)
  return labels, logits, _poison(weights, seen, in_range & is_number)


def binary(
    labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None
) -> Examples:
  """Prepares labels ``[batch_size, ...]``, 0 or 1 of any dtype, and logits.

  Returns:
    Labels, logits and weights, ``[size]`` float32; logits float64 if float32
    cannot represent them.

  Raises:
    ValueError: If a shape is wrong or, eagerly, a label is not 0 or 1.
  """
  labels = _batched('labels', labels)
  logits = _floats('predictions', predictions)
  labels, logits = checks.same_shape(labels=labels, predictions=logits)
  weights = _spread(weights, labels)
  if labels.shape.rank > 1:
    labels, logits, weights = (
        tf.reshape(x, [-1]) for x in (labels, logits, weights)
    )
  seen = tf.not_equal(weights, 0)
  if labels.dtype == tf.bool:
    labels = tf.cast(labels, tf.float32)
  # Before they are rounded to float32.
  in_range = tf.equal(labels, 0) | tf.equal(labels, 1)
  _check_labels(seen, in_range, '{0, 1}')
  logits = tf.where(seen, logits, tf.zeros_like(logits))
  labels = tf.where(in_range, tf.cast(labels, tf.float32), 0.0)
  is_number = ~tf.math.is_nan(logits)
  return labels, logits, _poison(weights, seen, in_range & is_number)


def numbers(
    weights: tf.Tensor | None,
    dtype: tf.DType | None = None,
    **values: tf.Tensor,
) -> list[tf.Tensor]:
  """Prepares real values, one or more per weight.

  Args:
    weights: Of the values' shape or its leading axes. If None, 1 per example.
    dtype: The float dtype to compute in. If None, float32, or float64 if
      float32 cannot represent a value: rounding must not precede subtraction.
    **values: By argument name, numbers ``[batch_size, ...]``, all of one shape.

  Returns:
    The values in order, ``[size, num_values]``, where size covers the axes of
    the weights and num_values the others; then the weights, ``[size]``. All
    have the given dtype.

  Raises:
    ValueError: If a shape differs or is [].
  """
  tensors = {
      name: _floats(name, value, dtype) for name, value in values.items()
  }
  dtype = max((t.dtype for t in tensors.values()), key=lambda d: d.size)
  tensors = {name: tf.cast(t, dtype) for name, t in tensors.items()}
  first, *others = checks.same_shape(**tensors)
  if weights is None:
    weights = tf.ones(checks.sizes_of(first)[:1])
  else:
    weights = _leading(weights, first)
  rank = weights.shape.rank
  flat = [_flatten(tensor, rank) for tensor in (first, *others)]
  if rank > 1:
    weights = tf.reshape(weights, [-1])
  weights = tf.cast(weights, dtype)
  seen = tf.not_equal(weights, 0)[:, tf.newaxis]
  return [
      *(tf.where(seen, tensor, tf.zeros_like(tensor)) for tensor in flat),
      weights,
  ]


def product(
    weights: tf.Tensor | None, argument: str, factor: tf.Tensor
) -> tf.Tensor:
  """Multiplies weights by a factor, in float32; 0 times anything is 0.

  Both are ``[batch_size, ...]``, and the shape of one must begin with the
  other's; the result has the longer one. If `weights` is None, each is 1.

  Raises:
    ValueError: If the shapes differ in an axis that both have.
  """
  factor = tf.cast(_batched(argument, factor), tf.float32)
  if weights is None:
    return factor
  weights = tf.cast(_batched('weights', weights), tf.float32)
  ranks = weights.shape.rank, factor.shape.rank
  known = checks.sizes_of(weights)[: ranks[1]]
  factor = checks.shape(
      argument, factor, [*known, *[None] * (ranks[1] - len(known))]
  )
  weights, factor = (_column(x, max(ranks)) for x in (weights, factor))
  # Not just the product: 0 times NaN is NaN.
  is_zero = tf.equal(weights, 0) | tf.equal(factor, 0)
  return tf.where(is_zero, 0.0, weights * factor)


def _is_no_array(values: Any) -> bool:
  nests = (Mapping, tf.RaggedTensor, tf.SparseTensor)
  return values is None or isinstance(values, nests)


def _batched(argument: str, values: Any) -> tf.Tensor:
  """Converts to a tensor of known rank, at least 1."""
  if isinstance(values, Mapping):
    names = ', '.join(repr(name) for name in values)
    raise ValueError(
        f'{argument}: expected a tensor, got a mapping of {names}; measure one '
        'of them with metrics.of(metric, name).'
    )
  if values is None:
    raise ValueError(
        f'{argument}: expected a tensor, got None; give it in the batch or the '
        "objective's Evaluation, or pass its entry's name to metrics.of."
    )
  if isinstance(values, (tf.RaggedTensor, tf.SparseTensor)):
    raise ValueError(
        f'{argument}: expected a dense tensor, got {type(values).__name__}.'
    )
  values = tf.convert_to_tensor(values)
  if values.shape.rank is None:
    raise ValueError(
        f'{argument}: expected [batch_size, ...], got a tensor of unknown rank;'
        ' set its rank with tf.ensure_shape.'
    )
  if not values.shape.rank:
    raise ValueError(f'{argument}: expected [batch_size, ...], got a scalar.')
  return values


def _floats(
    argument: str, values: tf.Tensor, dtype: tf.DType | None = None
) -> tf.Tensor:
  values = _batched(argument, values)
  given = values.dtype
  if not (given.is_floating or given.is_integer):
    raise TypeError(f'{argument}: expected numbers, got {given.name}.')
  is_held = given.size < 4 or given == tf.float32
  return tf.cast(values, dtype or (tf.float32 if is_held else tf.float64))


def _flatten(values: tf.Tensor, rank: int) -> tf.Tensor:
  """Flattens the first `rank` axes into one, and the rest into another."""
  rest = values.shape[rank:]
  if not rest.is_fully_defined():
    rest = tf.shape(values)[rank:]
  size = tf.reduce_prod(rest) if tf.is_tensor(rest) else math.prod(rest)
  return tf.reshape(values, [-1, size])


def _leading(weights: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
  """Checks that weights have a tensor's shape or its leading axes."""
  weights = fitting(weights, like)
  weights = tf.cast(_batched('weights', weights), tf.float32)
  rank = weights.shape.rank
  if rank > like.shape.rank:
    raise ValueError(
        f'weights: expected shape {like.shape} or its leading axes, got '
        f'{weights.shape}.'
    )
  return checks.shape('weights', weights, checks.sizes_of(like)[:rank])


def _column(weights: tf.Tensor, rank: int) -> tf.Tensor:
  """Appends axes of size 1."""
  missing = rank - weights.shape.rank
  if not missing:
    return weights
  return tf.reshape(weights, [*checks.sizes_of(weights), *[1] * missing])


def _spread(weights: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
  """Gives each place of a tensor its weight."""
  if weights is None:
    return tf.ones_like(like, tf.float32)
  weights = fitting(weights, like)
  weights = tf.cast(_batched('weights', weights), tf.float32)
  return checks.leading('weights', weights, like)


def _check_labels(seen: tf.Tensor, in_range: tf.Tensor, known: str) -> None:
  if not tf.is_symbolic_tensor(in_range) and tf.reduce_any(seen & ~in_range):
    raise ValueError(
        f'labels: expected values in {known}, got others; to ignore examples, '
        'give them weight 0.'
    )


def _poison(
    weights: tf.Tensor, seen: tf.Tensor, is_valid: tf.Tensor
) -> tf.Tensor:
  return tf.where(seen & ~is_valid, math.nan, weights)
