"""The formats of `launch.export`, and how to write and run each."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import export as export_lib
from core import scratch

from .. import tasks
from ..web import browser, page

Columns = dict[str, np.ndarray]
Runner = Callable[[Columns], Columns]
INT8 = 'tflite_int8'
_SCALED, _RAW, _PNG = 'float32', 'uint8', 'PNG'


@dataclasses.dataclass(frozen=True)
class Contents:
  """The contents of exports.

  Attributes:
    module: The model.
    quantize: How `tflite` is quantized. Default: no quantization.
    calibration: The inputs that calibrate int8.
    runtime: The files of onnxruntime that a page needs.
    title: The title of the page.
    inputs: Inputs of examples for the page.
    outputs: The model's outputs for these inputs.
  """

  module: Any
  quantize: str | None = None
  calibration: Sequence[Columns] = ()
  runtime: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
  title: str = ''
  inputs: Columns = dataclasses.field(default_factory=dict)
  outputs: Columns = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Format:
  """A format.

  Attributes:
    file: The name of its file or folder.
    write: Writes to a path.
    load: Loads from a path, with the format's own runtime.
    forms: The forms in which it accepts a classifier's images.
    runtime: Returns the name and version of the runtime.
    contents: The names that its folder may contain, or None for a file.
  """

  file: str
  write: Callable[[Contents, str], None]
  load: Callable[[str], Runner]
  forms: tuple[str, ...]
  runtime: Callable[[Runner], str]
  contents: frozenset[str] | None = None

  def kinds(
      self, described: tasks.Export
  ) -> dict[str, Callable[[Columns], Columns]]:
    """Returns functions that convert inputs, by the form's name in a report."""
    named = {_RAW: _same, _SCALED: _scaled}
    found: dict[str, Callable[[Columns], Columns]] = {}
    if described.module is None:
      found[', '.join(described.signature)] = _same
    else:
      found = {form: named[form] for form in self.forms if form in named}
    if _PNG in self.forms and _has_pictures(described):
      found[_PNG] = _encoded
    return found


def _has_pictures(described: tasks.Export) -> bool:
  [spec, *others] = described.signature.values()
  return not others and export_lib.is_picture(spec.shape[1:], spec.dtype)


def _same(inputs: Columns) -> Columns:
  return inputs


def _scaled(inputs: Columns) -> Columns:
  return {
      name: value.astype(np.float32) / np.float32(255)
      for name, value in inputs.items()
  }


def _encoded(inputs: Columns) -> Columns:
  [images] = inputs.values()
  contents = [tf.io.encode_png(image).numpy() for image in images]
  return {export_lib.IMAGE_BYTES: np.array(contents, object)}


def _tflite(contents: Contents, path: str) -> None:
  export_lib.save_tflite(contents.module, path, quantize=contents.quantize)


def _int8(contents: Contents, path: str) -> None:
  export_lib.save_tflite(
      contents.module, path, quantize='int8', examples=contents.calibration
  )


def _web(contents: Contents, path: str) -> None:
  with scratch.folder('quatrain-onnx-') as folder:
    file = folder / 'model.onnx'
    export_lib.save_onnx(contents.module, str(file))
    model = file.read_bytes()
  given = export_lib.onnx_function(model)(contents.inputs)
  expected = {n: v for n, v in contents.outputs.items() if n in given}
  examples = page.examples_of(
      contents.title,
      contents.inputs,
      expected,
      contents.module.label_names,
      export_lib.PARITY_LIMIT,
  )
  page.write(path, model, contents.runtime, examples)


def _version(package: str) -> str:
  return f'{package} {importlib.metadata.version(package)}'


def _of_tflite(_: Runner) -> str:
  is_there = importlib.util.find_spec('ai_edge_litert')
  return _version('ai-edge-litert' if is_there else 'tensorflow')


def _of_web(runner: Runner) -> str:
  if isinstance(runner, browser.Page):
    return runner.version.replace('/', ' ')
  return f'no browser, {_version("onnxruntime")}'


FORMATS = {
    'saved_model': Format(
        'saved_model',
        lambda contents, path: export_lib.save_saved_model(
            contents.module, path
        ),
        export_lib.saved_model_function,
        (_RAW, _SCALED, _PNG),
        lambda _: f'tensorflow {tf.__version__}',
        export_lib.SAVED_MODEL_CONTENTS,
    ),
    'tflite': Format(
        'model.tflite',
        _tflite,
        export_lib.tflite_function,
        (_RAW, _SCALED),
        _of_tflite,
    ),
    INT8: Format(
        'model_int8.tflite',
        _int8,
        export_lib.tflite_function,
        (_RAW,),
        _of_tflite,
    ),
    'onnx': Format(
        'model.onnx',
        lambda contents, path: export_lib.save_onnx(contents.module, path),
        export_lib.onnx_function,
        (_RAW,),
        lambda _: _version('onnxruntime'),
    ),
    'web': Format('web', _web, page.function, (_RAW,), _of_web, page.CONTENTS),
}


def size_of(path: pathlib.Path) -> int:
  """Returns the size of a file, or of all files of a folder, in bytes."""
  return sum(each.stat().st_size for each in files_of(path))


def files_of(path: pathlib.Path) -> list[pathlib.Path]:
  """Returns a file, or all files of a folder, sorted."""
  return sorted(each for each in (path, *path.rglob('*')) if each.is_file())
