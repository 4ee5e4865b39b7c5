r"""Exports the model of a run and verifies the outputs of the exports.

  python -m launch.export --workdir=runs/fashion_mnist_convnet
  python -m launch.export --workdir=runs/fashion_mnist_convnet \
    --formats=saved_model,tflite,tflite_int8,onnx,web
  python -m launch.export --workdir=runs/fashion_mnist_convnet --verify

Writes saved_model, model.tflite, model_int8.tflite, model.onnx and web, a page
that runs the model in a browser, into the folder exports of the work directory,
with a report, parity.json. All examples of the test split run through the
Python model and through each export in its own runtime. If the outputs of one
differ, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from absl import flags

from . import config as config_lib
from . import extras, programs
from . import workdir as workdir_lib
from .files import paths
from .settings import flag_types

_FORMATS = ('saved_model', 'tflite', 'tflite_int8', 'onnx', 'web')
_DEFAULTS = ['saved_model', 'tflite']

_PLACE = config_lib.define_flags(
    'workdir', 'data_dir', 'archives_dir', 'accept_changes'
)
_FORMAT = flags.DEFINE_list(
    'formats',
    _DEFAULTS,
    f'The formats to write, out of {", ".join(_FORMATS)}. Without the flag, '
    'tflite is skipped if it does not support an operation.',
)
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'last, best, or the path of a checkpoint. Default: the last one.',
)
_OUTPUT_DIR = flag_types.DEFINE_path(
    'output_dir', 'The folder to write to. Default: WORKDIR/exports.'
)
_QUANTIZE = flags.DEFINE_enum(
    'quantize',
    None,
    ['dynamic_range'],
    'Store the weights of model.tflite in 8 bits, a quarter of the size. '
    'Differences beyond rounding are then reported, but are not an error.',
)
_CALIBRATION = flags.DEFINE_integer(
    'calibration_examples',
    256,
    'The number of training examples that calibrate tflite_int8, chosen by '
    "the run's seed.",
    lower_bound=1,
    upper_bound=1_000_000,
)
_WEB_RUNTIME = flag_types.DEFINE_path(
    'web_runtime_dir',
    'The folder `dist` of the npm package onnxruntime-web, for the page. '
    'Default: npm downloads the package once.',
)
_VERIFY = flags.DEFINE_bool(
    'verify',
    False,
    'Compare existing exports again (all, or --formats), and write nothing. '
    'This runs the files, so verify only files you trust.',
)


def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags(*_PLACE)
  wanted = list(dict.fromkeys(_FORMAT.value))
  if not wanted or not set(wanted) <= set(_FORMATS):
    raise programs.UserError(
        f'--formats={",".join(wanted)}: expected some of '
        f'{", ".join(_FORMATS)}, separated by commas.'
    )
  is_given = flags.FLAGS['formats'].present
  if _QUANTIZE.value and 'tflite' not in wanted:
    raise programs.UserError(
        f'--quantize={_QUANTIZE.value}: it is for tflite, which is not among '
        '--formats.'
    )
  directory = workdir_lib.of_run(place.workdir)
  directory.read_start()
  flag, output_dir = 'workdir', directory.path / 'exports'
  if _OUTPUT_DIR.value:
    flag = 'output_dir'
    output_dir = paths.local(flag, _OUTPUT_DIR.value)
  if not _VERIFY.value:
    paths.check_writable(flag, output_dir)
  if _VERIFY.value and not is_given:
    wanted = []
    needs_onnx = any((output_dir / n).exists() for n in ('model.onnx', 'web'))
  else:
    needs_onnx = bool({'onnx', 'web'} & set(wanted))
  if needs_onnx:
    extras.require('onnx')
  runtime: Mapping[str, bytes] = {}
  if 'web' in wanted and not _VERIFY.value:
    from .web import runtime as runtime_lib

    runtime = runtime_lib.files(_WEB_RUNTIME.value)
  programs.import_tensorflow()
  from . import finished_run
  from .exporting import writing as exporting
  from .machine import devices

  run = finished_run.load(
      place, _CHECKPOINT.value, devices.strategy('one_device')
  )
  options = exporting.Options(
      output_dir=output_dir,
      formats=wanted,
      quantize=_QUANTIZE.value,
      may_leave_out=not is_given,
      calibration_examples=_CALIBRATION.value,
      runtime=runtime,
  )
  work = exporting.verify if _VERIFY.value else exporting.export
  return work(run, options)


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
