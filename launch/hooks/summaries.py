"""TensorBoard's files, written by the chief."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from core import distribution

from .. import programs
from ..lookup import own
from ..settings import options as options_lib


class Summaries:
  """Writes summaries under a directory per split.

  A failed write, as on a full disk, is reported once and does not stop the
  run: metrics.jsonl has the same numbers.

  Attributes:
    start: The step that the run resumes from. TensorBoard drops later points,
      whose steps are repeated, when a split is next written.
  """

  def __init__(
      self,
      directory: str,
      strategy: tf.distribute.Strategy,
      parameters: Mapping[str, bool | int | float | str] | None = None,
  ):
    """Sets the directory; the first summary creates files.

    Args:
      directory: The directory.
      strategy: The strategy, which determines whether this is the chief.
      parameters: The hyper-parameters of the run, for TensorBoard's comparison
        of runs. Default: those in the directory are kept.
    """
    self.start = 0
    self._directory = directory
    self._is_chief = distribution.is_chief(strategy)
    self._parameters = parameters
    self._has_failed = False
    self._writers: dict[str, tf.summary.SummaryWriter] = {}

  def close(self) -> None:
    """Closes the files; the next summary of a split opens a new one."""
    with self._tolerant():
      while self._writers:
        self._writers.popitem()[1].close()

  def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
    """Writes values by name for a step of a split."""
    self.call(
        step,
        split,
        lambda: add(self._writers[split], step, values, time.time()),
    )

  def call(self, step: int, split: str, write: Callable[[], None]) -> None:
    """Calls, on the chief, a function that uses `tf.summary`, at a step."""
    if not self._is_chief or self._has_failed:
      return
    with self._tolerant():
      if self._parameters is not None:
        self._write_parameters(self._parameters)
        self._parameters = None
      if split not in self._writers:
        self._writers[split] = self._opened(step, split)
      with self._writers[split].as_default(step):
        write()
      self._writers[split].flush()

  def _opened(self, step: int, split: str) -> tf.summary.SummaryWriter:
    """Opens a split's file, and has TensorBoard drop points from a step on."""
    writer = tf.summary.create_file_writer(os.path.join(self._directory, split))
    # torch.utils.tensorboard does the same for `purge_step`.
    event = tf.compat.v1.Event(
        wall_time=time.time(),
        step=min(step, self.start + 1),
        session_log=tf.compat.v1.SessionLog(
            status=tf.compat.v1.SessionLog.START
        ),
    )
    _import(writer, event)
    return writer

  def _write_parameters(self, parameters: Mapping[str, Any]) -> None:
    """Writes the hyper-parameters, and removes older files of them."""
    from tensorboard.plugins.hparams import summary_v2

    for path in tf.io.gfile.glob(os.path.join(self._directory, 'events.*')):
      os.remove(path)
    writer = tf.summary.create_file_writer(self._directory)
    with writer.as_default(0):
      # Runs of the same name would share a row; TensorBoard cuts long names.
      run = os.path.dirname(self._directory)
      summary_v2.hparams(parameters, min(run, os.path.relpath(run), key=len))
    writer.close()

  @contextlib.contextmanager
  def _tolerant(self) -> Iterator[None]:
    try:
      yield
    except (OSError, tf.errors.OpError) as error:
      if not self._has_failed:
        reason = programs.reason(error)
        programs.warn(f'{self._directory}/ is not complete: {reason}.')
      self._has_failed = True


def add(
    writer: tf.summary.SummaryWriter,
    step: int,
    values: Mapping[str, float],
    wall_time: float,
) -> None:
  """Writes values by name, as one event.

  Args:
    writer: The file.
    step: The step.
    values: The values.
    wall_time: When they were logged, in seconds since 1970.
  """
  # Imported late: it is slow, and most programs write no summaries.
  from tensorboard.compat.proto import event_pb2
  from tensorboard.plugins.scalar import summary_v2

  event = event_pb2.Event(wall_time=wall_time, step=step)
  for name, value in values.items():
    event.summary.MergeFrom(summary_v2.scalar_pb(name, value))
  _import(writer, event)


def _import(writer: tf.summary.SummaryWriter, event: Any) -> None:
  """Writes an event of TensorFlow or TensorBoard unchanged."""
  tf.raw_ops.ImportEvent(
      writer=writer._resource,  # pylint: disable=protected-access
      event=event.SerializeToString(),
  )


def parameters_of(
    options: Mapping[str, Any],
) -> dict[str, bool | int | float | str]:
  """Returns options as hyper-parameters, without those that have no value.

  Arguments have one each, such as `model_arg.dropout_rate`.
  """
  return {
      name: (
          value
          if isinstance(value, bool | int | float)
          else own.name_of(value)
          if callable(value)
          else str(value)
      )
      for name, value in options_lib.flat(options).items()
  }
