"""SavedModel: TensorFlow's own format, for Python, C++ and TF Serving."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from . import classifier as classifier_lib
from . import files, function

# The names that a SavedModel's directory may contain.
CONTENTS = frozenset(
    {'assets', 'fingerprint.pb', 'saved_model.pb', 'variables'}
)


def save_saved_model(classifier: function.Exportable, directory: str) -> None:
  """Saves a classifier, or a function, as a SavedModel for plain TensorFlow.

  The signatures of a classifier are ``float``, which is also
  ``serving_default``, ``uint8``, ``labels`` and ``bytes``, see `Classifier`;
  those of a `Function` are the default and, if its input is an image,
  ``bytes``.

  Args:
    classifier: The object to save.
    directory: The target; an existing SavedModel is replaced.

  Raises:
    ValueError: If the directory exists and holds anything else.

  Example:
    >>> import tempfile
    >>> import tensorflow as tf
    >>> from core import export, models
    >>> model = models.create('mlp', 2, hidden_sizes=(4,))
    >>> model.build((None, 8, 8, 1))
    >>> classifier = export.Classifier(
    ...     model, tf.identity, (8, 8, 1), ['cat', 'dog'])
    >>> with tempfile.TemporaryDirectory() as directory:
    ...   export.save_saved_model(classifier, directory)
    ...   loaded = tf.saved_model.load(directory)
    >>> sorted(loaded.signatures)
    ['bytes', 'float', 'labels', 'serving_default', 'uint8']
    >>> loaded.predict_uint8(tf.zeros([3, 8, 8, 1], tf.uint8))['label'].shape
    TensorShape([3])
  """
  if os.path.lexists(directory) and not _replaceable(directory):
    raise ValueError(
        f'directory: {directory} exists and is not a SavedModel; choose a new '
        'directory, or remove it.'
    )
  with files.replaced(directory) as scratch:
    tf.saved_model.save(classifier, scratch, signatures=classifier.signatures())


def saved_model_runner(directory: str) -> classifier_lib.Runner:
  """Loads a SavedModel, to compare it with the original model.

  Args:
    directory: A directory written by `save_saved_model`.

  Returns:
    A function from images, uint8 or float32 in [0, 1], ``[batch_size, H, W,
    C]``, to probabilities ``[batch_size, num_classes]``.
  """
  loaded = tf.saved_model.load(directory)

  def run(images: np.ndarray) -> np.ndarray:
    predict = loaded.signatures[classifier_lib.signature_of(images)]
    return predict(image=tf.constant(images))['probabilities'].numpy()

  return run


def saved_model_function(directory: str) -> function.Runner:
  """Loads a SavedModel as a function of named inputs.

  Args:
    directory: A directory written by `save_saved_model`.

  Returns:
    A function from a mapping of arrays ``[batch_size, ...]`` to one of the
    outputs, with the signature for inputs of these names and types. It raises
    ValueError if there is none.
  """
  loaded = tf.saved_model.load(directory)
  known = {
      name: {
          key: spec.dtype.as_numpy_dtype
          for key, spec in signature.structured_input_signature[1].items()
      }
      for name, signature in loaded.signatures.items()
  }

  def run(inputs: function.Arrays) -> dict[str, np.ndarray]:
    signature = loaded.signatures[function.matching(known, inputs)]
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return {name: out.numpy() for name, out in signature(**tensors).items()}

  return run


def saved_model_labels(directory: str) -> list[str]:
  """Returns the label names of a directory written by `save_saved_model`."""
  loaded = tf.saved_model.load(directory)
  labels = loaded.signatures['labels']()['labels']
  return [label.decode() for label in labels.numpy()]


def _replaceable(directory: str) -> bool:
  if os.path.islink(directory) or not os.path.isdir(directory):
    return False
  contents = set(os.listdir(directory))
  is_export = 'saved_model.pb' in contents and contents <= CONTENTS
  return is_export or not contents
