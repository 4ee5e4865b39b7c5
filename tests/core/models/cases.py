"""Every model of the registry, small, with inputs to try it on.

A model that is new in the registry is tested with its default arguments; a line
in `ARGUMENTS` makes it smaller, and one in `_DRAWS` draws an input that is
neither an image nor five numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from core import models

NUM_CLASSES = 4
ARGUMENTS: dict[str, dict[str, Any]] = {
    'convnet': {'channels': (4, 6), 'hidden_size': 8},
    'mlp': {'hidden_sizes': (12, 8), 'dropout_rate': 0.3},
    'reconstructing_mlp': {'num_units': 8},
    'resnet': {
        'blocks_per_stage': (1, 1),
        'channels': (4, 6),
        'stem_channels': 4,
        'stochastic_depth_rate': 0.2,
    },
    'row_rnn': {'hidden_sizes': (6, 5), 'dropout_rate': 0.3},
    'sparse_mlp': {'hidden_sizes': (8,), 'dropout_rate': 0.3},
    'speednet': {'channels': (4, 6)},
    'tabular': {
        'vocabulary_sizes': (3, 5),
        'embedding_size': 4,
        'hidden_sizes': (12, 8),
        'dropout_rate': 0.3,
    },
    'text_classifier': {
        'vocabulary_size': 9,
        'embedding_size': 8,
        'hidden_sizes': (8,),
        'pooling': 'attention',
        'num_heads': 2,
        'dropout_rate': 0.3,
    },
    'unet': {'channels': (4, 6), 'dropout_rate': 0.3},
    'vit': {'hidden_size': 8, 'num_layers': 1, 'num_heads': 2, 'mlp_size': 12},
    'wide_and_deep': {'hidden_sizes': (12, 8)},
}
IMAGE_SHAPES = ((8, 8, 3), (32, 32, 3), (28, 28, 1))

Shape = tuple[int, ...]
# What is no image and not five numbers: an example's shape, and its integers.
_DRAWS: dict[str, tuple[Shape, Callable[..., np.ndarray]]] = {
    'categories': ((2,), lambda rng, shape: rng.integers(0, 3, shape)),
    # A 0 is padding.
    'tokens': ((7,), lambda rng, shape: rng.integers(0, 9, shape)),
}


def create(name: str, **kwargs: Any) -> models.Model:
  """Constructs a small model of the registry."""
  arguments = {**ARGUMENTS.get(name, {}), **kwargs}
  num_classes = arguments.pop('num_classes', NUM_CLASSES)
  return models.create(name, num_classes, **arguments)


def input_shapes(model: models.Model, image_shape: Shape) -> Any:
  """Returns the shape of the input, or of each by name."""
  shapes = {
      name: (None, *_example_shape(name, image_shape))
      for name in model.input_names
  }
  return shapes if len(shapes) > 1 else shapes[model.input_names[0]]


def _example_shape(name: str, image_shape: Shape) -> Shape:
  if name in _DRAWS:
    return _DRAWS[name][0]
  return image_shape if name == 'image' else (5,)


def places(model: models.Model, image_shape: Shape) -> Shape:
  """Returns the shape of an example's labels, of which a pixel has one."""
  return image_shape[:2] if model.task == 'segmentation' else ()


def batch(
    model: models.Model, image_shape: Shape, size: int, seed: int = 0
) -> dict[str, np.ndarray]:
  """Draws a batch of real examples."""
  generator = np.random.default_rng(seed)
  drawn = {}
  for name in model.input_names:
    shape = (size, *_example_shape(name, image_shape))
    if name in _DRAWS:
      drawn[name] = _DRAWS[name][1](generator, shape).astype(np.int32)
    else:
      drawn[name] = generator.uniform(size=shape).astype(np.float32)
  drawn['label'] = generator.integers(
      0, NUM_CLASSES, (size, *places(model, image_shape))
  )
  drawn['weight'] = np.ones([size], np.float32)
  return drawn


def inputs(model: models.Model, batch: dict[str, Any]) -> Any:
  """Takes a model's inputs out of a batch; a bag is sparse."""
  taken = {name: batch[name] for name in model.input_names}
  if 'bag' in taken:
    taken['bag'] = tf.sparse.from_dense(taken['bag'])
  return taken if len(taken) > 1 else taken[model.input_names[0]]
