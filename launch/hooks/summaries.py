"""TensorBoard's scalars, written by the chief."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

import tensorflow as tf

from core import distribution

from .. import programs


class Summaries:
  """Writes scalars under a directory for each split.

  What cannot be written, as on a full disk, is said once and ends no run: the
  numbers are in metrics.jsonl as well.
  """

  def __init__(self, directory: str, strategy: tf.distribute.Strategy):
    """Names the directory; files are made by the first scalar."""
    self._directory = directory
    self._is_chief = distribution.is_chief(strategy)
    self._has_failed = False
    self._writers: dict[str, tf.summary.SummaryWriter] = {}

  def close(self) -> None:
    """Closes the files."""
    with self._tolerant():
      for writer in self._writers.values():
        writer.close()

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Writes values by name, at a step, under a split."""
    if not self._is_chief or self._has_failed:
      return
    with self._tolerant():
      self._write(step, split, values)

  def _write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    if split not in self._writers:
      self._writers[split] = tf.summary.create_file_writer(
          os.path.join(self._directory, split)
      )
    with self._writers[split].as_default(step):
      for name, value in values.items():
        tf.summary.scalar(name, value)
    self._writers[split].flush()

  @contextlib.contextmanager
  def _tolerant(self) -> Iterator[None]:
    try:
      yield
    except (OSError, tf.errors.OpError) as error:
      if not self._has_failed:
        reason = programs.reason(error)
        programs.warn(f'{self._directory}/ is not complete: {reason}.')
      self._has_failed = True
