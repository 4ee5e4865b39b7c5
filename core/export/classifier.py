"""A model with everything for serving: from pixels to a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .. import checks, objectives, variables
from ..models import model as model_lib
from . import pictures

Preprocess = Callable[[tf.Tensor], Any]
Runner = Callable[[np.ndarray], np.ndarray]

# The outputs of every export; a SavedModel also has the string ``label``.
OUTPUTS = ('logits', 'probabilities', 'class')


class Classifier(tf.Module):
  """Maps images, float32 in [0, 1] or raw uint8, to probabilities and labels.

  It owns only the model's variables: saved files contain no optimizer state.

  Attributes:
    model: The model.
    label_names: The name of each class.
    predict_float: A `tf.function` of ``image``, float32 ``[batch_size, H, W,
      C]`` in [0, 1]. It returns ``logits`` and ``probabilities``, float32
      ``[batch_size, num_classes]``, ``class``, int64 ``[batch_size]``, and
      ``label``, strings ``[batch_size]``.
    predict_uint8: The same for a raw uint8 ``image``, which it divides by 255.
    labels: A `tf.function` without arguments that returns ``labels``, strings
      ``[num_classes]``.
  """

  def __init__(
      self,
      model: tf.Module,
      preprocess: Preprocess,
      image_shape: Sequence[int],
      label_names: Sequence[str],
  ):
    """Wraps a built model, and runs it once, on zeros.

    Args:
      model: Called as ``model(inputs)``, with ``is_training=False`` if its
        signature has that argument; returns logits ``[batch_size,
        num_classes]``, or a mapping with them as ``logits``.
      preprocess: From images, float32 ``[batch_size, H, W, C]`` in [0, 1], to
        the model's inputs: a tensor, or a mapping for several named inputs.
      image_shape: The shape ``(H, W, C)`` of an image.
      label_names: The name of each class, one line of text each.

    Raises:
      ValueError: If the model is not built, or there is not one name per class.
    """
    super().__init__(name='classifier')
    checks.sizes('image_shape', image_shape)
    if not variables.named(model):
      raise ValueError(
          'model: it has no variables; build it and restore its checkpoint '
          'before wrapping it.'
      )
    self.model = model
    self.label_names = tuple(label_names)
    self._preprocess = preprocess
    self._image_shape = tuple(image_shape)
    self._check_names()
    self.predict_float = self._function(self._label_float, tf.float32)
    self.predict_uint8 = self._function(self._label_uint8, tf.uint8)
    self.labels = tf.function(self._labels, input_signature=[], autograph=False)

  def signatures(self) -> dict[str, Any]:
    """Returns ``float`` (the default), ``uint8``, ``labels`` and ``bytes``.

    ``bytes`` takes ``image_bytes``, strings ``[batch_size]``: PNG or JPEG files
    of images of any size. It requires images with 1 or 3 channels.
    """
    return {
        'serving_default': self.predict_float,
        'float': self.predict_float,
        'uint8': self.predict_uint8,
        'labels': self.labels,
        **pictures.signatures(self._label_uint8, self._image_shape, tf.uint8),
    }

  def numeric_signatures(self) -> dict[str, Any]:
    """Returns ``float`` and ``uint8`` for runtimes without strings."""
    return {
        'float': self._function(self._score_float, tf.float32),
        'uint8': self._function(self._score_uint8, tf.uint8),
    }

  def _function(self, method: Callable[..., Any], dtype: tf.DType) -> Any:
    image = tf.TensorSpec([None, *self._image_shape], dtype, name='image')
    return tf.function(method, input_signature=[image], autograph=False)

  def _check_names(self) -> None:
    logits = self._score_float(tf.zeros([1, *self._image_shape]))['logits']
    if logits.shape[1:] != (len(self.label_names),):
      raise ValueError(
          f'label_names: expected {logits.shape[-1]} names, one per class, got '
          f'{len(self.label_names)}.'
      )
    for name in self.label_names:
      if name.splitlines() != [name]:
        raise ValueError(f'label_names: {name!r} is not one line of text.')

  def _score_float(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
    outputs = objectives.call(
        self.model, self._preprocess(image), is_training=False, seed=None
    )
    logits = tf.cast(model_lib.logits(outputs), tf.float32)
    return {
        'logits': logits,
        'probabilities': tf.nn.softmax(logits),
        'class': tf.argmax(logits, axis=-1),
    }

  def _score_uint8(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
    return self._score_float(tf.cast(image, tf.float32) / 255)

  def _label_float(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
    return self._with_label(self._score_float(image))

  def _label_uint8(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
    return self._with_label(self._score_uint8(image))

  def _with_label(self, scores: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**scores, 'label': tf.gather(self.label_names, scores['class'])}

  def _labels(self) -> dict[str, tf.Tensor]:
    return {'labels': tf.constant(self.label_names)}


def signature_of(images: np.ndarray) -> str:
  """Returns the signature for images: ``uint8``, or ``float`` for [0, 1].

  Raises:
    TypeError: If the images are neither uint8 nor float32.
  """
  if images.dtype == np.uint8:
    return 'uint8'
  if images.dtype == np.float32:
    return 'float'
  raise TypeError(
      f'images: expected raw uint8, or float32 in [0, 1], got {images.dtype}.'
  )


def classifier_runner(classifier: Classifier) -> Runner:
  """Runs a classifier in Python like its exports.

  Args:
    classifier: The classifier.

  Returns:
    A function from images, uint8 or float32 in [0, 1], ``[batch_size, H, W,
    C]``, to probabilities ``[batch_size, num_classes]``.
  """
  functions = {
      'float': classifier.predict_float,
      'uint8': classifier.predict_uint8,
  }

  def run(images: np.ndarray) -> np.ndarray:
    predict = functions[signature_of(images)]
    return predict(tf.constant(images))['probabilities'].numpy()

  return run
