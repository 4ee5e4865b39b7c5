"""A split beyond memory: read from disk in every epoch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from . import autograph, diagnosis, examples
from . import spec as spec_lib


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
  """The examples of a split, read in a fixed order and shuffled in a buffer.

  It serves the batch functions as `examples.Examples` does; a key is an
  example that is still encoded. So skipping to a step and passing
  over another worker's part cost the reading of examples, not decoding.

  Attributes:
    read: Gives a dataset of the split in order: a dict per example, of what
      `decode` needs.
    decode: A function of keys, each entry ``[batch_size]``, to the features by
      name, ``[batch_size, ...]``. It checks what can be checked.
    explain: A function of the error that reading has raised to the one to
      raise, which names the example.
    num_examples: The number of examples in the split.
    spec: The features of the decoded examples.
    shuffle_buffer: The number of encoded examples to draw from at random. A
      buffer smaller than the split shuffles locally, and what an epoch drops
      for not filling a batch is then mostly from the split's end.
    checksums: Returns a checksum of each example, uint32 ``[num_examples]``,
      without reading them. Default: there are none.
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
    """Returns the key of each example, in the order of the split."""
    return self.read().enumerate().map(
        autograph.off(lambda index, example: {**example, 'index': index})
    )

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of the global batches of all epochs from one on.

    Args:
      seed: The run's seed.
      first_epoch: The epoch to begin with, from 0.
      global_batch_size: The number of keys in a row.

    Returns:
      An endless dataset of nests of ``[global_batch_size]``. What does not
      fill a row is dropped.
    """
    keys = self.keys()
    buffer = min(self.shuffle_buffer, self.num_examples)

    @autograph.off
    def rows(epoch):
      # Dataset.shuffle mixes in the global seed; a fixed one for this graph
      # leaves the order a function of (seed, epoch) alone.
      tf.random.set_seed(1)
      shuffled = keys.shuffle(
          buffer,
          seed=examples.epoch_numbers([], seed, epoch),
          reshuffle_each_iteration=False,
      )
      return shuffled.batch(global_batch_size, drop_remainder=True)

    return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(rows)

  def load(self, keys: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Decodes examples.

    Args:
      keys: What `read` gives and `index`, each ``[batch_size]``.

    Returns:
      Each feature ``[batch_size, ...]``, and `index` int32 ``[batch_size]``,
      the positions in the split.
    """
    return {**self.decode(keys), 'index': tf.cast(keys['index'], tf.int32)}


@contextlib.contextmanager
def explained(data: Any) -> Iterator[None]:
  """Turns an error of reading streamed examples into one that names them.

  Args:
    data: What is read in the block; only what has `explain` can be damaged.

  Returns:
    The context of the block.

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
