"""Written predictions of a split, and counts of them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Predictions:
  """The written predictions of a split.

  Attributes:
    label: ``[N, ...]``: classes, 0 or 1 per class, or numbers ``[N, K]``.
    prediction: Logits ``[N, ..., C]``, numbers ``[N, K]``, or their quantiles
      ``[N, K, L]``.
    weight: ``[N, ...]``, the leading axes of the labels.
    middle: The index of the quantile that represents the number.
    mean: The mean of each number in training.
    std: The standard deviation of each number in training.
    rounding: The possible error of a prediction, relative to the largest.
  """

  label: np.ndarray
  prediction: np.ndarray
  weight: np.ndarray
  middle: int | None = None
  mean: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(1))
  std: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(1))
  rounding: float = 1e-5

  @functools.cached_property
  def flat(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels ``[M]``, logits ``[M, C]`` and weights ``[M]`` of all places."""
    places = self.label.ndim - self.weight.ndim
    weight = np.broadcast_to(
        self.weight.reshape(self.weight.shape + (1,) * places),
        self.label.shape,
    )
    logits = self.prediction.reshape([-1, self.prediction.shape[-1]])
    return (
        self.label.ravel().astype(np.int64),
        logits.astype(np.float64),
        weight.ravel().astype(np.float64),
    )

  @functools.cached_property
  def matrix(self) -> np.ndarray:
    """The confusion matrix, with a row per class."""
    label, logits, weight = self.flat
    counts = np.zeros([logits.shape[1]] * 2)
    np.add.at(counts, (label, np.argmax(logits, axis=1)), weight)
    return counts

  @functools.cached_property
  def of_classes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives, false positives and false negatives ``[C]``."""
    hits = np.diag(self.matrix)
    return (
        hits,
        self.matrix.sum(axis=0) - hits,
        self.matrix.sum(axis=1) - hits,
    )

  @functools.cached_property
  def of_labels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same ``[C]`` for any number of classes per example."""
    is_label, is_predicted = self.label > 0, self.prediction > 0
    weight = self.weight.astype(np.float64)
    hits, extra, missed = (
        weight @ each
        for each in (
            is_label & is_predicted,
            ~is_label & is_predicted,
            is_label & ~is_predicted,
        )
    )
    return hits, extra, missed

  @functools.cached_property
  def undecided(self) -> float:
    """The weight of places that rounding alone may decide."""
    scores = self.prediction.astype(np.float64)
    limit = self.rounding * max(1.0, np.abs(scores).max(initial=0.0))
    if self.label.shape == scores.shape:  # Each class separately.
      near = (np.abs(scores) <= limit).any(axis=1)
      return float(self.weight @ near)
    _, logits, weight = self.flat
    top = np.sort(logits, axis=1)[:, ::-1]
    near = top[:, 0] - top[:, 1] <= limit
    if top.shape[1] > 5:  # The choice of the five largest.
      near |= top[:, 4] - top[:, 5] <= limit
    return float(weight @ near)

  @functools.cached_property
  def numbers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and predictions ``[N, K]``, and weights ``[N]``."""
    prediction = self.prediction.astype(np.float64)
    if self.middle is not None:
      prediction = prediction[..., self.middle]
    return (
        self.label.astype(np.float64),
        prediction,
        self.weight.astype(np.float64),
    )

  @functools.cached_property
  def errors(self) -> np.ndarray:
    """Predictions minus labels, ``[N, K]``."""
    label, prediction, _ = self.numbers
    return prediction - label
