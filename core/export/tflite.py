"""TensorFlow Lite: one small file for phones and other devices."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .. import checks
from .. import scratch as scratch_lib
from . import classifier as classifier_lib
from . import files, function

_INT8 = 'int8'
QUANTIZATIONS = ('dynamic_range', _INT8)
_LABELS_FILE = 'labels.txt'


def save_tflite(
    classifier: function.Exportable,
    path: str,
    *,
    quantize: str | None = None,
    examples: Sequence[function.Arrays] = (),
) -> None:
  """Saves a classifier, or a function, as a TensorFlow Lite file.

  The signatures of a classifier are ``float`` and ``uint8``, see `Classifier`;
  they share the weights, take batches of any size and return no strings. That
  of a `Function` is ``serving_default``, also without strings. The label names,
  one per line, are the file ``labels.txt`` of a zip archive appended to the
  model, where the format's metadata tools expect associated files: ``unzip -p
  model.tflite labels.txt``.

  Args:
    classifier: The object to save.
    path: The file, replaced if it exists.
    quantize: ``dynamic_range`` stores the larger weights as 8-bit integers: a
      quarter of the size, with differences in probabilities beyond rounding.
      ``int8`` also computes in 8-bit integers, for processors without floats;
      its one signature takes the data set's own types, and outputs keep theirs.
      Default: everything stays float32.
    examples: For ``int8``: inputs ``[1, ...]`` by name, whose activations
      determine the range of the integers; inputs beyond it saturate. A few
      hundred training examples suffice.

  Raises:
    ValueError: If the quantization is unknown, ``int8`` has no examples, or the
      path is a directory; an UnsupportedError if the format lacks an operation.
  """
  if quantize is not None:
    checks.one_of('quantize', quantize, QUANTIZATIONS)
  if os.path.isdir(path):
    raise ValueError(f'path: {path} is a directory; name a file in it.')
  if quantize == _INT8 and not examples:
    raise ValueError('examples: int8 needs some, for the ranges of integers.')
  model = _convert(classifier, quantize, examples)
  labels = zipfile.ZipInfo(_LABELS_FILE)  # Dated 1980: reproducible bytes.
  labels.external_attr = 0o644 << 16
  with files.replaced(path) as scratch:
    with open(scratch, 'wb') as file:
      file.write(model)
    if classifier.label_names:
      with zipfile.ZipFile(scratch, 'a') as archive:
        archive.writestr(labels, '\n'.join(classifier.label_names) + '\n')


def tflite_runner(path: str) -> classifier_lib.Runner:
  """Loads a TensorFlow Lite file, to compare it with the original model.

  Args:
    path: A file written by `save_tflite`.

  Returns:
    A function from images, uint8 or float32 in [0, 1], ``[batch_size, H, W,
    C]``, to probabilities ``[batch_size, num_classes]``. Batch sizes may vary.
    It is not thread-safe.
  """
  interpreter = _interpreter(path)
  runners = {
      name: interpreter.get_signature_runner(name)
      for name in interpreter.get_signature_list()
  }

  def run(images: np.ndarray) -> np.ndarray:
    predict = runners[classifier_lib.signature_of(images)]
    return predict(image=images)['probabilities']

  return run


def tflite_function(path: str) -> function.Runner:
  """Loads a TensorFlow Lite file as a function of named inputs.

  Args:
    path: A file written by `save_tflite`.

  Returns:
    A function from a mapping of arrays ``[batch_size, ...]`` to one of the
    outputs, with the signature for inputs of these names and types. It raises
    ValueError if there is none, and is not thread-safe.
  """
  interpreter = _interpreter(path)
  runners = {
      name: interpreter.get_signature_runner(name)
      for name in interpreter.get_signature_list()
  }
  known = {
      name: {
          key: detail['dtype']
          for key, detail in runner.get_input_details().items()
      }
      for name, runner in runners.items()
  }

  def run(inputs: function.Arrays) -> dict[str, np.ndarray]:
    return runners[function.matching(known, inputs)](**inputs)

  return run


def tflite_labels(path: str) -> list[str]:
  """Returns the label names of a file written by `save_tflite`."""
  with zipfile.ZipFile(path) as archive:
    return archive.read(_LABELS_FILE).decode().splitlines()


def _convert(
    classifier: function.Exportable,
    quantize: str | None,
    examples: Sequence[function.Arrays],
) -> bytes:
  # Through a SavedModel: only from there does the converter take the names of
  # signatures and the variables of a MirroredStrategy.
  if quantize == _INT8:
    functions = dict([function.of_data(classifier)])
  else:
    functions = classifier.numeric_signatures()
  with scratch_lib.folder('quatrain-tflite-') as folder, _no_warnings():
    saved = str(folder / 'saved_model')
    tf.saved_model.save(classifier, saved, signatures=functions)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved, signature_keys=list(functions)
    )
    if quantize is not None:
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == _INT8:
      converter.representative_dataset = lambda: map(dict, examples)
      converter.target_spec.supported_ops = [
          tf.lite.OpsSet.TFLITE_BUILTINS_INT8
      ]
    try:
      return converter.convert()
    except Exception as error:
      if type(error).__name__ != 'ConverterError':  # The class is not public.
        raise
      missing = _missing(str(error))
      raise function.UnsupportedError(
          f'TF Lite lacks operations of the model: {missing}.'
      ) from None


def _missing(message: str) -> str:
  """Returns the operations that the converter names, or its first line."""
  found = re.findall(r'^(?:TF Select|Custom) ops: (.*)$', message, re.MULTILINE)
  return ', '.join(found) or message.strip().splitlines()[0]


def _interpreter(path: str) -> Any:
  """Opens a file with LiteRT if it is installed, else with TensorFlow.

  TensorFlow has announced that LiteRT's interpreter, which has the same
  interface, will replace its own.
  """
  if not os.path.isfile(path):
    raise ValueError(f'path: there is no TensorFlow Lite file {path}.')
  if importlib.util.find_spec('ai_edge_litert'):
    litert = importlib.import_module('ai_edge_litert.interpreter')
    return litert.Interpreter(model_path=path)
  with _no_warnings():
    return tf.lite.Interpreter(model_path=path)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
  """Hides the warning that the interpreter will move to LiteRT."""
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', r'\s*Warning: tf.lite.Interpreter')
    yield
