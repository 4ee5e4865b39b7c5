"""Which examples of a step's batch are padding, for layers that compare them.

A model is called with inputs alone. What normalises over the batch has to leave
out examples of weight 0 all the same, which the train step tells it here.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

# In a batch the Python value False says that all of its weights are 1. It is
# part of what a step is traced for, as no value of a tensor is.
IS_PADDED = 'is_padded'
_IS_COUNTED: contextvars.ContextVar[tf.Tensor | None] = contextvars.ContextVar(
    'is_counted', default=None
)


def split(batch: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
  """Takes out of a batch what says whether it may have padding.

  Args:
    batch: A batch.

  Returns:
    The batch without it, and whether weights have to be looked at.
  """
  rest = {name: part for name, part in batch.items() if name != IS_PADDED}
  return rest, batch.get(IS_PADDED, True) is not False


@contextlib.contextmanager
def of(weight: tf.Tensor | None) -> Iterator[None]:
  """Tells the layers that are called in the context which examples count.

  Args:
    weight: The batch's weights ``[batch_size, ...]``, or None if it has none:
      then all examples count. One counts if any of its places does.

  Yields:
    Nothing.
  """
  is_counted = None
  if weight is not None:
    places = list(range(1, weight.shape.rank or 1))
    is_counted = tf.cast(
        tf.reduce_any(tf.not_equal(weight, 0), axis=places), tf.float32
    )
  token = _IS_COUNTED.set(is_counted)
  try:
    yield
  finally:
    _IS_COUNTED.reset(token)


def counted(inputs: tf.Tensor) -> tf.Tensor | None:
  """Returns which examples of a layer's inputs count.

  Args:
    inputs: A tensor ``[batch_size, ...]``.

  Returns:
    1 for each example that counts and 0 for padding, float32 ``[batch_size]``;
    None if nothing is padding, or the inputs are not as many as the examples of
    the batch, while tracing, such as several views of each.

  Example:
    >>> import tensorflow as tf
    >>> from core import padding
    >>> with padding.of(tf.constant([0.5, 0.0])):
    ...   print(padding.counted(tf.zeros([2, 8])).numpy().tolist())
    [1.0, 0.0]
  """
  is_counted = _IS_COUNTED.get()
  if is_counted is None or not is_counted.shape.is_fully_defined():
    return None
  return is_counted if inputs.shape[:1] == is_counted.shape else None
