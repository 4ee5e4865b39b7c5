"""A split larger than memory, read from disk in every epoch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from . import autograph, diagnosis, in_memory
from . import spec as spec_lib


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
  """The examples of a split, read in a fixed order and shuffled in a buffer.

  Batch functions use it like `in_memory.InMemorySplit`. A key is an example
  that is still encoded, so skipped steps and parts of other workers are read,
  not decoded.

  Attributes:
    read: A function that returns a dataset of the split in order: one dict per
      example, as input to `decode`.
    decode: A function from keys, each entry ``[batch_size]``, to the features
      by name, ``[batch_size, ...]``. It checks the examples.
    explain: A function from an error in reading to the error to raise, which
      names the example.
    num_examples: The number of examples in the split.
    spec: The features of the decoded examples.
    shuffle_buffer: The number of encoded examples to draw from at random. A
      buffer smaller than the split shuffles locally, so examples dropped at the
      end of an epoch are mostly from the end of the split.
    checksums: A function that returns a checksum of each example, uint32
      ``[num_examples]``, without reading them. Default: no checksums.
  """

  read: Callable[[], tf.data.Dataset]
  decode: Callable[[dict[str, Any]], dict[str, tf.Tensor]]
  explain: Callable[[Exception], Exception]
  num_examples: int
  spec: spec_lib.Spec
  shuffle_buffer: int = 10_000
  checksums: Callable[[], np.ndarray] | None = None
  is_resident: bool = dataclasses.field(default=False, init=False)

  def keys(self) -> tf.data.Dataset:
    """Returns the keys of all examples, in the order of the split."""
    return (
        self.read()
        .enumerate()
        .map(autograph.off(lambda index, example: {**example, 'index': index}))
    )

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of all epochs from one on, see `splits.Split`."""
    keys = self.keys()
    buffer = min(self.shuffle_buffer, self.num_examples)

    @autograph.off
    def shuffled_batches(epoch: int) -> Any:
      # Dataset.shuffle mixes in the global seed; fixing it for this graph makes
      # the order a function of (seed, epoch) only.
      tf.random.set_seed(1)
      shuffled = keys.shuffle(
          buffer,
          seed=in_memory.epoch_numbers([], seed, epoch),
          reshuffle_each_iteration=False,
      )
      return shuffled.batch(global_batch_size, drop_remainder=True)

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(
        shuffled_batches
    )

  def load(self, keys: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Decodes the examples for keys, see `splits.Split`."""
    return {**self.decode(keys), 'index': tf.cast(keys['index'], tf.int32)}


@contextlib.contextmanager
def explained(data: Any) -> Iterator[None]:
  """Converts errors in reading streamed examples to ones that name them.

  Args:
    data: The data read in the block; handled only if it has `explain`.

  Yields:
    Nothing.

  Raises:
    DataError: If the block failed at an example.
  """
  try:
    yield
  except Exception as error:
    explain = getattr(data, 'explain', None)
    if explain is None or not diagnosis.is_of_data(error):
      raise
    explanation = explain(error)
    if explanation is error:
      raise
    raise explanation from error
