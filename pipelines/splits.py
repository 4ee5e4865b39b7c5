"""The interface of a split."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from . import spec as spec_lib


class Split(Protocol):
  """The examples of a split, in memory, on disk or in records.

  Keys represent examples in an order: positions, paths, or encoded records.
  `load` turns a batch of keys into examples. Resident splits also have
  `arrays`, all examples by feature.
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
    """Returns the keys of all examples, in the order of the split."""

  def epochs(
      self, seed: int, first_epoch: int, global_batch_size: int
  ) -> tf.data.Dataset:
    """Returns the keys of the global batches of all epochs from a given one on.

    Args:
      seed: The seed of the run.
      first_epoch: The first epoch, counted from 0.
      global_batch_size: The number of keys per row.

    Returns:
      An endless dataset of nests of ``[global_batch_size]``, a function of seed
      and epoch only. Keys that do not fill a row are dropped.
    """

  def load(self, keys: Any) -> dict[str, tf.Tensor]:
    """Returns the examples for keys.

    Args:
      keys: Keys, each entry ``[batch_size]``.

    Returns:
      Each feature ``[batch_size, ...]``, and `index` int32 ``[batch_size]``,
      the positions in the split.
    """
