"""Every per-example loss with a batch to try it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from core import losses

NUM_CLASSES = 4


class Case(NamedTuple):
  """A loss of (labels, predictions), and how to draw its labels.

  Attributes:
    loss: The loss, its options bound.
    labels: From (generator, batch size) to labels.
    shape: The shape of the predictions of an example.
    batch_wide: Whether examples are compared with each other, so that the loss
      takes the weights too.
  """

  loss: Callable[..., tf.Tensor]
  labels: Callable[[np.random.Generator, int], Any]
  shape: tuple[int, ...]
  batch_wide: bool = False

  def batch(
      self, size: int = 6, seed: int = 0, dtype: Any = np.float32
  ) -> tuple[Any, np.ndarray]:
    generator = np.random.default_rng(seed)
    predictions = generator.normal(size=(size, *self.shape)).astype(dtype)
    return self.labels(generator, size), predictions

  def __call__(
      self, labels: Any, predictions: Any, weights: Any = None
  ) -> tf.Tensor:
    if self.batch_wide:
      return self.loss(labels, predictions, weights=weights)
    return self.loss(labels, predictions)


def classes(generator: np.random.Generator, size: int) -> np.ndarray:
  return generator.integers(0, NUM_CLASSES, size)


def probabilities(generator: np.random.Generator, size: int) -> np.ndarray:
  return generator.dirichlet(np.ones(NUM_CLASSES), size).astype(np.float32)


def reals(generator: np.random.Generator, size: int) -> np.ndarray:
  return generator.normal(size=(size, 3)).astype(np.float32)


def _bind(loss: Callable[..., tf.Tensor], **options: Any) -> Any:
  return lambda *args, **kwargs: loss(*args, **options, **kwargs)


_SMOOTH = {'class_weights': [1.0, 2.0, 0.5, 3.0], 'label_smoothing': 0.1}

CASES = {
    'softmax_cross_entropy': Case(
        _bind(losses.softmax_cross_entropy, **_SMOOTH), classes, (NUM_CLASSES,)
    ),
    'softmax_cross_entropy_with_probabilities': Case(
        _bind(losses.softmax_cross_entropy_with_probabilities, **_SMOOTH),
        probabilities,
        (NUM_CLASSES,),
    ),
    'squared_error': Case(losses.squared_error, reals, (3,)),
    'absolute_error': Case(losses.absolute_error, reals, (3,)),
    'huber': Case(_bind(losses.huber, delta=0.7), reals, (3,)),
    'log_cosh': Case(losses.log_cosh, reals, (3,)),
    'quantile': Case(_bind(losses.quantile, level=0.8), reals, (3,)),
}
