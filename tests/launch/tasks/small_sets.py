"""A small data set for each task, which processes import by name."""

from __future__ import annotations

import numpy as np

SIZES = {'train': 40, 'validation': 17, 'test': 16}


def _split(arrays):
  """Cuts arrays into the splits of a data set."""
  bounds = np.cumsum([0, *SIZES.values()])
  return {
      name: {key: array[start:end] for key, array in arrays.items()}
      for name, start, end in zip(SIZES, bounds, bounds[1:])
  }


def _points():
  generator = np.random.default_rng(0)
  return generator.normal(size=[sum(SIZES.values()), 4]).astype(np.float32)


def classification():
  points = _points()
  return _split({'points': points, 'label': np.argmax(points[:, :3], axis=1)})


def multi_label():
  points = _points()
  return _split({'points': points, 'label': (points[:, :3] > 0).astype(int)})


def regression():
  """Two numbers of four others and of a category."""
  points = _points()
  kind = np.arange(len(points)) % 3
  label = points @ np.array([[1.0, 0.5], [-2.0, 0], [0, 1], [1, 1]])
  label = (label + kind[:, np.newaxis]).astype(np.float32)
  return _split({'numbers': points, 'categories': kind, 'label': label})


def text():
  """Sentences of one to six words; the class is which word stands first."""
  words = np.array(['one', 'two', 'three', 'four', 'five', 'six'])
  generator = np.random.default_rng(0)
  chosen = [
      words[generator.integers(0, 6, generator.integers(1, 7))]
      for _ in range(sum(SIZES.values()))
  ]
  label = np.array([each[0] in ('one', 'two', 'three') for each in chosen])
  sentences = np.array([' '.join(each) for each in chosen])
  return _split({'sentence': sentences, 'label': label.astype(int)})


def segmentation():
  generator = np.random.default_rng(0)
  shape = [sum(SIZES.values()), 8, 8]
  image = generator.integers(0, 256, shape, dtype=np.uint8)
  return _split({'image': image, 'label': (image > 127).astype(np.int32)})
