"""Every model of the registry with data that it learns in a few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets

from core import models

NUM_TEST = 1000
Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
  """A model, what it is trained on, and how.

  Attributes:
    model: Its name.
    arrays: Makes the examples, the test split first.
    arguments: The arguments of the model that are not the defaults.
  """

  model: str
  arrays: Callable[[], Arrays]
  arguments: dict[str, Any]


def digits() -> Arrays:
  """Returns scikit-learn's digits, 8 x 8, in a random order."""
  found = datasets.load_digits()
  order = np.random.default_rng(0).permutation(len(found.target))
  images = (found.images * 15).astype(np.uint8)[order]
  return {'image': images[..., np.newaxis], 'label': found.target[order]}


def masks() -> Arrays:
  """Returns the digits with a class for each pixel: ink or paper."""
  image = digits()['image']
  return {'image': image, 'label': (image[..., 0] > 127).astype(np.int32)}


def numbers() -> Arrays:
  """Returns Friedman's first problem, with a category that shifts it."""
  points, label = datasets.make_friedman1(3000, noise=1.0, random_state=0)
  kind = np.arange(3000) % 3
  return {
      'numbers': points.astype(np.float32),
      'categories': kind,
      'label': (label + 3 * kind).astype(np.float32),
  }


def sentences() -> Arrays:
  """Returns sentences; their class is whether they have a certain word."""
  words = np.array([
      'a',
      'quick',
      'brown',
      'fox',
      'jumps',
      'over',
      'the',
      'lazy',
      'dog',
  ])
  generator = np.random.default_rng(0)
  chosen = [
      words[generator.integers(0, len(words), generator.integers(1, 9))]
      for _ in range(3000)
  ]
  return {
      'sentence': np.array([' '.join(each) for each in chosen]),
      'label': np.array(['fox' in each for each in chosen]).astype(int),
  }


_DATA = {
    'image classification': digits,
    'segmentation': masks,
    'tables': numbers,
    'text classification': sentences,
}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    'speednet': {'channels': (16, 32)},
    'text_classifier': {'pooling': 'attention'},
}
CASES = {
    name: Case(name, _DATA[model.task], _ARGUMENTS.get(name, {}))
    for name, model in models.REGISTRY.items()
}


def splits(case: Case) -> dict[str, Arrays]:
  """Returns the examples of a case by split."""
  arrays = case.arrays()
  return {
      'test': {name: array[:NUM_TEST] for name, array in arrays.items()},
      'train': {name: array[NUM_TEST:] for name, array in arrays.items()},
  }
