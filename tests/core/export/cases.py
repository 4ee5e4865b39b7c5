"""Every model, small and with random weights, wrapped for export."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import export, layers, models
from pipelines import preprocessing

IMAGE_SHAPE = (12, 10, 3)
LABELS = ('T-shirt', 'crème brûlée', 'bag, big', '4')

ARGUMENTS: dict[str, dict[str, Any]] = {
    'convnet': {'channels': (4, 6), 'hidden_size': 16},
    'mlp': {'hidden_sizes': (16, 8)},
    'reconstructing_mlp': {'num_units': 16},
    'resnet': {'blocks_per_stage': (1, 1), 'channels': (4, 6)},
    'row_rnn': {'hidden_sizes': (8,)},
    'sparse_mlp': {'hidden_sizes': (8,)},
    'speednet': {'channels': (4, 6)},
    'vit': {'patch_size': 2, 'hidden_size': 16, 'num_layers': 2},
    'wide_and_deep': {'hidden_sizes': (16, 8)},
}
NAMES = [
    name
    for name, model in models.REGISTRY.items()
    if model.task == 'image classification'
]


def temporary_folder(test: unittest.TestCase) -> str:
  """Makes a folder that is removed after the test."""
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return folder.name


def preprocess(model: Any, images: tf.Tensor) -> Any:
  """Normalises, and makes a second input for a model that has two."""
  if model.input_names == ('bag',):
    return preprocessing.bag_of_words(images)
  image = (images - 0.3) / [0.5, 0.4, 0.3]
  if len(model.input_names) == 1:
    return image
  projections = tf.reduce_mean(image, axis=[1])
  return dict(zip(model.input_names, (projections, image)))


def build(name: str) -> Any:
  model = models.create(name, len(LABELS), **ARGUMENTS[name])
  inputs = preprocess(model, tf.zeros([1, *IMAGE_SHAPE]))
  model.build(tf.nest.map_structure(lambda x: tuple(x.shape), inputs))
  return model


def wrap(model: Any) -> export.Classifier:
  return export.Classifier(
      model, lambda images: preprocess(model, images), IMAGE_SHAPE, LABELS
  )


def images(size: int) -> np.ndarray:
  generator = np.random.default_rng(size)
  return generator.integers(0, 256, [size, *IMAGE_SHAPE], np.uint8)


def probabilities(model: Any, pixels: np.ndarray) -> np.ndarray:
  """Computes what every export must give, without the exporter."""
  inputs = preprocess(model, tf.constant(pixels.astype(np.float32) / 255))
  outputs = model(inputs, is_training=False)
  logits = outputs['logits'] if isinstance(outputs, dict) else outputs
  logits = logits.numpy().astype(np.float64)
  exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
  return exponentials / exponentials.sum(axis=-1, keepdims=True)


def function(label_names: Sequence[str] = ()) -> export.Function:
  """Wraps a function of two inputs, with strings among its outputs."""
  model = layers.Dense(2)
  model.build([None, 3])

  def call(inputs):
    total = model(inputs['numbers']) + tf.cast(inputs['counts'], tf.float32)
    best = tf.argmax(total, axis=1)
    return {
        'total': total,
        'best': best,
        'name': tf.gather(['low', 'high'], best),
    }

  return export.Function(
      model,
      call,
      {
          'numbers': tf.TensorSpec([None, 3], tf.float32),
          'counts': tf.TensorSpec([None, 2], tf.int32),
      },
      label_names,
  )


def inputs_of_function(size: int = 5) -> dict[str, np.ndarray]:
  generator = np.random.default_rng(0)
  return {
      'numbers': generator.normal(size=[size, 3]).astype(np.float32),
      'counts': generator.integers(0, 3, [size, 2]).astype(np.int32),
  }
