"""The difference between the probabilities of an export and its model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LIMIT = 1e-4  # The maximum difference of probabilities due to rounding.


class Parity(NamedTuple):
  """A comparison of two sets of predictions for the same examples.

  Attributes:
    num_examples: The number of examples.
    max_difference: The maximum absolute difference of a probability; NaN if a
      probability is NaN.
    mean_difference: The mean absolute difference.
    num_disagreements: The number of examples with different predicted classes.
  """

  num_examples: int
  max_difference: float
  mean_difference: float
  num_disagreements: int

  def within(self, limit: float = LIMIT) -> bool:
    """Returns whether no probability differs by more than a limit."""
    return self.max_difference <= limit


def compare(reference: np.ndarray, candidate: np.ndarray) -> Parity:
  """Compares the probabilities of two models for the same examples.

  Args:
    reference: Probabilities ``[num_examples, num_classes]``.
    candidate: Those of the other model.

  Returns:
    The differences.

  Raises:
    ValueError: If the shapes differ, are not of rank 2, or hold no example.

  Example:
    >>> import numpy as np
    >>> from core import export
    >>> parity = export.compare(
    ...     np.array([[0.5, 0.5], [0.75, 0.25]]),
    ...     np.array([[0.25, 0.75], [0.75, 0.25]]))
    >>> parity.max_difference, parity.num_disagreements, parity.within()
    (0.25, 1, False)
  """
  reference, candidate = np.asarray(reference), np.asarray(candidate)
  if reference.ndim != 2 or not reference.size:
    raise ValueError(
        'reference: expected probabilities [num_examples, num_classes], got '
        f'shape {list(reference.shape)}.'
    )
  if candidate.shape != reference.shape:
    raise ValueError(
        f'candidate: expected the shape of reference, {list(reference.shape)}, '
        f'got {list(candidate.shape)}.'
    )
  differences = np.abs(
      reference.astype(np.float64) - candidate.astype(np.float64)
  )
  disagreements = reference.argmax(axis=-1) != candidate.argmax(axis=-1)
  return Parity(
      num_examples=len(reference),
      max_difference=float(differences.max()),
      mean_difference=float(differences.mean()),
      num_disagreements=int(disagreements.sum()),
  )
