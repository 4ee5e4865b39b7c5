"""What the rest of Quatrain needs to know of the examples of one split."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from . import spec as spec_lib


class Split(Protocol):
  """The examples of a split, wherever they are: memory, disk, records.

  A key is what an order of examples is made of: a position, a path, a record
  that is not decoded yet. `load` turns a batch of keys into examples.

  One that is resident has `arrays`, all examples by feature.
  """

  @property
  def spec(self) -> spec_lib.Spec:
    """The features of every example."""

  @property
  def is_resident(self) -> bool:
    """Whether all examples are in memory."""

  @property
  def num_examples(self) -> int:
    """The number of examples."""

  def keys(self) -> tf.data.Dataset:
    """Returns the key of each example, in the order of the split."""

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of the global batches of all epochs from one on.

    Args:
      seed: The run's seed.
      first_epoch: The epoch to begin with, from 0.
      global_batch_size: The number of keys in a row.

    Returns:
      An endless dataset of nests of ``[global_batch_size]``, a function of
      seed and epoch alone. What does not fill a row is dropped.
    """

  def load(self, keys: Any) -> dict[str, tf.Tensor]:
    """Returns the examples of some keys.

    Args:
      keys: Keys, each entry ``[batch_size]``.

    Returns:
      Each feature ``[batch_size, ...]``, and `index` int32 ``[batch_size]``,
      the positions in the split.
    """
