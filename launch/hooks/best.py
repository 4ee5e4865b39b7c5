"""Keeps the best weights, separately from the latest checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import background as background_lib
from core import checkpoints, training

from . import monitor as monitor_lib


class KeepBest:
  """Keeps the weights of the best validation in a separate folder.

  They are copied when they are scored, and written with the next checkpoint of
  the run, which records their step.
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
    """Makes the checkpointer of the best weights.

    Args:
      folder: The folder of the best checkpoint.
      monitor: The metric that decides which weights are best.
      state: The train state. Its weights, their average and the step are kept,
        which is all that evaluation and export read.
      strategy: The strategy under which the state was created.
      background: Writes the files, before those of the checkpoint that follows.
        Default: files are written synchronously.
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
    """Returns the state before any validation."""
    return {'best': self._monitor.worst(), 'step': -1}

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Copies the weights if they are the best so far."""
    value = values[self._monitor.metric]
    if self._monitor.is_better(value, float(self.state['best'])):
      self.state['best'].assign(value)
      self.state['step'].assign(step)
      self._copies = self._checkpointer.copy()

  def close(self) -> None:
    """Waits for pending writes."""
    self._checkpointer.close()

  def before_save(self) -> None:
    """Writes the copy; a reader sees either the previous best or this one."""
    if self._copies:
      self._checkpointer.save(int(self.state['step']), self._copies)
      self._copies = {}
