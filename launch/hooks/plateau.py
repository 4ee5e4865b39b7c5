"""Lowers the learning rate when validations stop improving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from . import monitor as monitor_lib


class Plateau:
  """Lowers the learning rate after validations without improvement."""

  state: dict[str, tf.Variable]

  def __init__(
      self,
      patience: int,
      factor: float,
      monitor: monitor_lib.Monitor,
      rate_factor: tf.Variable,
      say: Callable[[str], None],
  ):
    """Configures the hook.

    Args:
      patience: The number of consecutive validations without a better value
        after which the learning rate is lowered.
      factor: The factor by which to multiply it then, in (0, 1).
      monitor: The metric to improve.
      rate_factor: The variable by which the optimizer scales its rate, ``[]``.
      say: Prints a message.
    """
    self._patience = patience
    self._factor = factor
    self._monitor = monitor
    self._rate_factor = rate_factor
    self._say = say

  def init(self) -> dict[str, Any]:
    """Returns the state before any validation, with the optimizer's factor."""
    best = self._monitor.worst()
    return {'best': best, 'validations': 0, 'rate_factor': self._rate_factor}

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Counts validations."""
    value = values[self._monitor.metric]
    if self._monitor.is_better(value, float(self.state['best'])):
      self.state['best'].assign(value)
      self.state['validations'].assign(0)
      return
    count = int(self.state['validations'].assign_add(1))
    if count < self._patience:
      return
    self.state['validations'].assign(0)
    rate_factor = self._rate_factor.numpy() * self._factor
    self._rate_factor.assign(rate_factor)
    self._say(
        f'{count} validation(s) without a better {self._monitor.metric}: from '
        f'step {step} on the learning rate is {rate_factor:.4g} of its '
        'schedule.\n'
    )
