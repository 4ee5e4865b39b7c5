"""Random cases for metrics, and sums over their batches and replicas."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from core import metrics


class Case(NamedTuple):
  """Examples of which some have weight 0 and then hold rubbish."""

  labels: np.ndarray
  predictions: np.ndarray
  weights: np.ndarray

  def real(self) -> Case:
    """The examples that count, in the form that a reference expects."""
    kept = self.weights != 0
    return Case(*(field[kept] for field in self))

  def shaped(self, *sizes: int) -> Case:
    """The same examples as places, their axis made several of these sizes."""
    return Case(*(np.reshape(x, [*sizes, *x.shape[1:]]) for x in self))

  def slices(self, bounds: np.ndarray) -> list[Case]:
    parts = zip(*(np.split(field, bounds) for field in self), strict=True)
    return [Case(*part) for part in parts]


def random_weights(rng: np.random.Generator, size: int) -> np.ndarray:
  """Counts, halves and thirds; a fifth of them 0, the first never."""
  weights = rng.choice([1, 1, 0.5, 1 / 3, 7.25], size)
  weights[rng.random(size) < 0.2] = 0
  weights[0] = 1
  return weights.astype(np.float32)


def classes(rng: np.random.Generator, size: int, num_classes: int) -> Case:
  logits = rng.normal(size=(size, num_classes)) * rng.choice([0.5, 2, 4])
  labels = rng.integers(num_classes, size=size)
  weights = random_weights(rng, size)
  logits[np.arange(size), labels] += rng.choice([0, 1, 3])
  rubbish = weights == 0
  logits[rubbish] = rng.choice([np.nan, np.inf, -np.inf], (sum(rubbish), 1))
  labels[rubbish] = rng.choice([-1, num_classes, 255])
  return Case(labels, logits.astype(np.float32), weights)


def binary(rng: np.random.Generator, size: int) -> Case:
  labels = rng.integers(2, size=size)
  weights = random_weights(rng, size)
  logits = (rng.normal(size=size) + labels) * rng.choice([0.3, 1, 5])
  rubbish = weights == 0
  logits[rubbish] = rng.choice([np.nan, np.inf, -np.inf], sum(rubbish))
  labels[rubbish] = -1
  return Case(labels, logits.astype(np.float32), weights)


def numbers(
    rng: np.random.Generator, size: int, *outputs: int, mean: float = 0.0
) -> Case:
  labels = rng.normal(size=(size, *outputs)) + mean
  predictions = labels + rng.normal(size=labels.shape) * rng.choice([0.1, 2])
  weights = random_weights(rng, size)
  predictions[weights == 0] = np.nan
  labels[weights == 0] = np.inf
  return Case(
      labels.astype(np.float32), predictions.astype(np.float32), weights
  )


def add(*sums: Any) -> Any:
  """Merges sums, as a caller would."""
  return tf.nest.map_structure(lambda *leaves: sum(leaves), *sums)


def traced(metric: metrics.Metric, case: Case) -> Callable[..., Any]:
  """The measure as one graph for batches of every size."""
  return tf.function(
      metric.measure,
      input_signature=[
          tf.TensorSpec([None, *field.shape[1:]], field.dtype) for field in case
      ],
  )


def check_against(
    members: Mapping[str, tuple[metrics.Metric, Callable[[Case], Any]]],
    all_cases: Iterator[Case],
    rng: np.random.Generator,
    tolerance: float = 1e-6,
) -> None:
  """Compares metrics, summed over random batches, with their references.

  Args:
    members: By name, the metric and its reference.
    all_cases: Cases of the same static shapes.
    rng: Draws the batches.
    tolerance: Relative and absolute.
  """
  together = metrics.collection(
      {name: metric for name, (metric, _) in members.items()}
  )
  measure = None
  for index, case in enumerate(all_cases):
    measure = measure or traced(together, case)
    bounds = np.sort(rng.integers(len(case.labels) + 1, size=rng.integers(6)))
    sums = add(*(measure(*batch) for batch in case.slices(bounds)))
    values = together.compute(sums)
    for name, (_, reference) in members.items():
      with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # That a class is absent is the point.
        expected = reference(case.real())
      np.testing.assert_allclose(
          values[name],
          expected,
          tolerance,
          tolerance,
          err_msg=f'{name}, case {index}',
      )
