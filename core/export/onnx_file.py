"""ONNX: a file for onnxruntime, browsers and compilers for many devices."""

from __future__ import annotations

import importlib
import logging
import os
import re
from typing import Any

import numpy as np
import tensorflow as tf

from . import files, function

_OPSET = 17  # That of ONNX 1.12, which runtimes since 2022 can load.
_LABELS = 'labels'


def save_onnx(classifier: function.Exportable, path: str) -> None:
  """Saves a classifier, or a function, as an ONNX file.

  Inputs have the types of the data set, so a classifier takes raw uint8, in
  batches of any size. The file's metadata contain the label names as
  ``labels``, one per line. This requires the packages tf2onnx and onnxruntime.

  Args:
    classifier: The object to save.
    path: The file, replaced if it exists.

  Raises:
    UnsupportedError: If the format lacks an operation of the model.
  """
  tf2onnx = importlib.import_module('tf2onnx')
  # It logs an error per unsupported node; `_session` raises one for all.
  logging.getLogger('tf2onnx').setLevel(logging.CRITICAL)
  concrete = function.of_data(classifier)[1]
  specs = tf.nest.flatten(concrete.structured_input_signature)

  def positional(*inputs: tf.Tensor) -> Any:
    named = zip((spec.name for spec in specs), inputs, strict=True)
    return concrete(**dict(named))

  proto, _ = tf2onnx.convert.from_function(
      tf.function(positional, input_signature=specs, autograph=False),
      input_signature=specs,
      opset=_OPSET,
      custom_op_handlers={'Erfc': (_erfc, [])},
  )
  for value in (*proto.graph.input, *proto.graph.output):
    value.type.tensor_type.shape.dim[0].dim_param = 'batch_size'
  if classifier.label_names:
    labels = proto.metadata_props.add()
    labels.key, labels.value = _LABELS, '\n'.join(classifier.label_names)
  contents = proto.SerializeToString()
  _session(contents)
  with files.replaced(path) as scratch, open(scratch, 'wb') as file:
    file.write(contents)


def onnx_function(path: str | bytes) -> function.Runner:
  """Loads an ONNX file with onnxruntime, as a function of named inputs.

  Args:
    path: A file written by `save_onnx`, or its contents.

  Returns:
    A function from a mapping of arrays ``[batch_size, ...]`` to one of the
    outputs. It raises ValueError for inputs with other names or types.
  """
  if isinstance(path, str) and not os.path.isfile(path):
    raise ValueError(f'path: there is no ONNX file {path}.')
  session = _session(path)
  types = {'float': 'float32', 'double': 'float64'}
  known = {}
  for each in session.get_inputs():
    name = each.type.removeprefix('tensor(').removesuffix(')')
    known[each.name] = np.dtype(types.get(name, name))
  outputs = [each.name for each in session.get_outputs()]

  def run(inputs: function.Arrays) -> dict[str, np.ndarray]:
    function.matching({'the file': known}, inputs)
    return dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))

  return run


def onnx_labels(path: str) -> list[str]:
  """Returns the label names of a file written by `save_onnx`."""
  known = _session(path).get_modelmeta().custom_metadata_map
  return known.get(_LABELS, '').splitlines()


def _session(model: str | bytes) -> Any:
  """Loads a model; raises UnsupportedError for operations that ONNX lacks."""
  onnxruntime = importlib.import_module('onnxruntime')
  try:
    return onnxruntime.InferenceSession(
        model, providers=['CPUExecutionProvider']
    )
  except Exception as error:
    if type(error).__name__ not in ('InvalidGraph', 'NotImplemented'):
      raise
    found = re.findall(r'No Op registered for (\w+)', str(error))
    missing = ', '.join(found) or str(error).splitlines()[0]
    raise function.UnsupportedError(
        f'ONNX lacks operations of the model: {missing}.'
    ) from None


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
  """Converts the complementary error function, which ONNX lacks, to 1 - erf.

  TensorFlow uses it for the exact GELU, since 1 - erf loses relative precision
  far below 0; the absolute difference is below 1e-7.
  """
  one = context.make_const(f'{name}/one', np.ones([], np.float32))
  inputs, outputs = list(node.input), list(node.output)
  context.remove_node(node.name)
  erf = context.make_node('Erf', inputs)
  context.make_node(
      'Sub', [one.output[0], erf.output[0]], outputs=outputs, name=name
  )
