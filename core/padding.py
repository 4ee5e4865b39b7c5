"""Tells layers that compare examples which examples are padding.

Models are called with inputs only, but layers that normalize over the batch
must exclude examples of weight 0. The train step passes this information here.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

# In a batch, the Python value False says that all weights are 1. Unlike the
# values of tensors, it is part of the signature for which a step is traced.
IS_PADDED = 'is_padded'
_IS_COUNTED: contextvars.ContextVar[tf.Tensor | None] = contextvars.ContextVar(
    'is_counted', default=None
)


def split(batch: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
  """Removes the entry `is_padded` from a batch.

  Args:
    batch: A batch.

  Returns:
    The batch without it, and whether weights may differ from 1.
  """
  rest = {name: part for name, part in batch.items() if name != IS_PADDED}
  return rest, batch.get(IS_PADDED, True) is not False


@contextlib.contextmanager
def of(weight: tf.Tensor | None) -> Iterator[None]:
  """Sets which examples count for layers called inside the context.

  Args:
    weight: The batch's weights ``[batch_size, ...]``. An example counts if any
      of its positions has a weight. If None, all examples count.

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
    1 for each example that counts and 0 for padding, float32 ``[batch_size]``.
    None if there is no padding, or if the static batch size of the inputs
    differs from that of the batch, as for several views of each example.

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
