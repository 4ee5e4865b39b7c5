"""Keeps the best weights, apart from the last checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import background as background_lib
from core import checkpoints, training

from . import monitor as monitor_lib


class KeepBest:
  """Keeps the weights of the best validation in a folder of its own.

  They are copied when they are scored, and written with the next checkpoint of
  the run: that one remembers which they are.
  """

  state: dict[str, tf.Variable]

  def __init__(
      self,
      folder: str,
      monitor: monitor_lib.Monitor,
      state: training.TrainState,
      strategy: tf.distribute.Strategy,
      background: background_lib.Background | None = None,
  ):
    """Names what is kept where.

    Args:
      folder: The folder of the best checkpoint.
      monitor: What it is the best by.
      state: The train state. Its weights are kept, their average, and the step:
        all that evaluation and export read.
      strategy: The strategy that it was made under.
      background: Writes the files, before those of the checkpoint that it is
        written with. Default: they are written at once.
    """
    self._monitor = monitor
    weights = {
        name: variable
        for name, variable in state.named_variables().items()
        if name.startswith(('model/', 'average/')) or name == 'step'
    }
    self._checkpointer = checkpoints.Checkpointer(
        folder,
        weights,
        max_to_keep=1,
        strategy=strategy,
        background=background,
    )
    self._copies: dict[str, np.ndarray] = {}

  def init(self) -> dict[str, Any]:
    """Begins with no validation."""
    return {'best': self._monitor.worst(), 'step': -1}

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Copies the weights if they are the best so far."""
    value = values[self._monitor.metric]
    if self._monitor.is_better(value, float(self.state['best'])):
      self.state['best'].assign(value)
      self.state['step'].assign(step)
      self._copies = self._checkpointer.copy()

  def close(self) -> None:
    """Waits for what is being written."""
    self._checkpointer.close()

  def before_save(self) -> None:
    """Writes what was copied; a reader sees the best before or this one."""
    if self._copies:
      self._checkpointer.save(int(self.state['step']), self._copies)
      self._copies = {}
