"""Writes the page: the model, the runtime and examples for comparison."""

from __future__ import annotations

import base64
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core import export as export_lib

from . import browser, runtime

NUM_EXAMPLES = 20
CONTENTS = frozenset({'index.html', 'runtime.js', 'model.js', 'examples.js'})
_MODEL = "const MODEL = '"


def write(
    directory: str,
    model: bytes,
    runtime_files: Mapping[str, bytes],
    examples: Mapping[str, Any],
) -> None:
  """Writes the page.

  Args:
    directory: A folder that does not exist yet.
    model: The contents of an ONNX file.
    runtime_files: The result of `runtime.files`.
    examples: The result of `examples_of`.
  """
  os.makedirs(directory)
  script, wasm = (_base64(runtime_files[name]) for name in runtime.FILES)
  in_script = json.dumps({'script': script, 'wasm': wasm})
  page = pathlib.Path(__file__).with_name('page.html').read_text()
  for name, text in {
      'index.html': page,
      'runtime.js': f'const RUNTIME = {in_script};\n',
      'model.js': f"{_MODEL}{_base64(model)}';\n",
      'examples.js': f'const EXAMPLES = {json.dumps(examples)};\n',
  }.items():
    (pathlib.Path(directory) / name).write_text(text)


def examples_of(
    title: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    classes: Sequence[str],
    limit: float,
) -> dict[str, Any]:
  """Describes examples for the page.

  Args:
    title: The title of the page.
    inputs: ``[num_examples, ...]`` by name; the page uses the first 20.
    outputs: The model's outputs for them in Python.
    classes: The names of the classes, if any.
    limit: The maximum difference attributed to rounding.

  Returns:
    The contents of the page's constant EXAMPLES.
  """
  [(name, first), *others] = inputs.items()
  is_image = not others and export_lib.is_picture(first.shape[1:], first.dtype)

  def some(arrays: Mapping[str, np.ndarray]) -> browser.Tensors:
    return browser.encoded({n: a[:NUM_EXAMPLES] for n, a in arrays.items()})

  return {
      'title': title,
      'classes': list(classes),
      'image': name if is_image else None,
      'size': min(len(first), NUM_EXAMPLES),
      'limit': limit,
      'inputs': some(inputs),
      'outputs': some(outputs),
  }


def model_of(directory: str) -> bytes:
  """Extracts the ONNX file from a page."""
  text = (pathlib.Path(directory) / 'model.js').read_text()
  return base64.b64decode(text.removeprefix(_MODEL).rstrip("';\n"))


def function(directory: str) -> export_lib.FunctionRunner:
  """Loads a page's model in a browser, or else with onnxruntime in Python.

  Args:
    directory: The folder of the page.

  Returns:
    A `browser.Page`, or the result of `core.export.onnx_function`.
  """
  if browser.installed():
    return browser.Page(directory)
  return export_lib.onnx_function(model_of(directory))


def _base64(contents: bytes) -> str:
  return base64.b64encode(contents).decode()
