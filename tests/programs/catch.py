"""The game of Catch: a ball falls, and a paddle moves below it.

Osband et al. 2019, https://arxiv.org/abs/1908.03568, appendix A.
"""

from __future__ import annotations

import numpy as np

ROWS, COLUMNS = 6, 5
DISCOUNT = 0.9


class Catch:
  """One game after the other."""

  def __init__(self, seed: int):
    """Begins the first game.

    Args:
      seed: Seeds where balls begin.
    """
    self._random = np.random.default_rng(seed)
    self._reset()

  def _reset(self):
    self.row, self.ball = 0, self._random.integers(COLUMNS)
    self.paddle = COLUMNS // 2

  def observe(self) -> np.ndarray:
    """Returns the board, float32 ``[6, 5]``: 1 for the ball and the paddle."""
    board = np.zeros([ROWS, COLUMNS], 'float32')
    board[self.row, self.ball] = board[-1, self.paddle] = 1
    return board

  def move(self, action: int) -> tuple[float, float]:
    """Moves the paddle; after the last move another game begins.

    Args:
      action: 0 for left, 1 for not at all, 2 for right.

    Returns:
      The reward and the discount, 0 at the end of a game.
    """
    self.paddle = np.clip(self.paddle + action - 1, 0, COLUMNS - 1)
    self.row += 1
    if self.row < ROWS - 1:
      return 0.0, DISCOUNT
    reward = 1.0 if self.paddle == self.ball else -1.0
    self._reset()
    return reward, 0.0
