"""Every model of the registry, small, with inputs to try it on.

A model that is new in the registry is tested with its default arguments; a line
in `ARGUMENTS` makes it smaller.
"""

from __future__ import annotations

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
    'vit': {'hidden_size': 8, 'num_layers': 1, 'num_heads': 2, 'mlp_size': 12},
    'wide_and_deep': {'hidden_sizes': (12, 8)},
}
IMAGE_SHAPES = ((8, 8, 3), (32, 32, 3), (28, 28, 1))


def create(name: str, **kwargs: Any) -> models.Model:
  """Constructs a small model of the registry."""
  arguments = {**ARGUMENTS.get(name, {}), **kwargs}
  return models.create(name, NUM_CLASSES, **arguments)


def input_shapes(model: models.Model, image_shape: tuple[int, ...]) -> Any:
  """Returns the shape of the input, or of each: images, and five features."""
  shapes = {
      name: (None, *image_shape) if name == 'image' else (None, 5)
      for name in model.input_names
  }
  return shapes if len(shapes) > 1 else shapes[model.input_names[0]]


def batch(
    model: models.Model,
    image_shape: tuple[int, ...],
    size: int,
    seed: int = 0,
) -> dict[str, np.ndarray]:
  """Draws a batch of real examples."""
  generator = np.random.default_rng(seed)
  drawn = {}
  for name in model.input_names:
    shape = (size, *image_shape) if name == 'image' else (size, 5)
    drawn[name] = generator.uniform(size=shape).astype(np.float32)
  drawn['label'] = generator.integers(0, NUM_CLASSES, size)
  drawn['weight'] = np.ones([size], np.float32)
  return drawn


def inputs(model: models.Model, batch: dict[str, Any]) -> Any:
  """Takes a model's inputs out of a batch; a bag is sparse."""
  taken = {name: batch[name] for name in model.input_names}
  if 'bag' in taken:
    taken['bag'] = tf.sparse.from_dense(taken['bag'])
  return taken if len(taken) > 1 else taken[model.input_names[0]]
