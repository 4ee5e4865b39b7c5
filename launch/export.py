"""Exports the model of a run, and proves that the export computes the same.

  python -m launch.export --workdir=runs/fashion_mnist_convnet

Writes exports/saved_model, exports/model.tflite and exports/parity.json into
the work directory. Both take images as float32 in [0, 1] and as raw uint8, and
hold the names of the labels; SavedModel loads with TensorFlow alone. All images
of the test split go through the Python model and through each export.
"""

from __future__ import annotations

from absl import flags

from . import config as config_lib
from . import flag_types, paths, programs
from . import workdir as workdir_lib

_FORMATS = ('saved_model', 'tflite')

_PLACE = config_lib.define_flags(
    'workdir', 'data_dir', 'archives_dir', 'accept_changes')
_FORMAT = flags.DEFINE_list(
    'formats', list(_FORMATS), f'What to write: {" and ".join(_FORMATS)}. By '
    'default tflite is left out where the format lacks an operation.')
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'last, best, or the path of a checkpoint. Default: the last one.')
_OUTPUT_DIR = flag_types.DEFINE_path(
    'output_dir', 'Where to write. Default: WORKDIR/exports.')
_QUANTIZE = flags.DEFINE_enum(
    'quantize', None, ['dynamic_range'],
    'Store the weights of model.tflite in 8 bits. A quarter of the size, at '
    'differences beyond rounding, which are reported and not refused.')

def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags(*_PLACE)
  unknown = set(_FORMAT.value) - set(_FORMATS)
  if unknown or not _FORMAT.value:
    raise programs.UserError(
        f'--formats={",".join(_FORMAT.value)}: expected '
        f'{" or ".join(_FORMATS)}, or both with a comma.'
    )
  if _QUANTIZE.value and 'tflite' not in _FORMAT.value:
    raise programs.UserError(
        f'--quantize={_QUANTIZE.value}: of tflite only, which is not among '
        '--formats.'
    )
  directory = workdir_lib.of_run(place.workdir)
  directory.read_start()
  if _OUTPUT_DIR.value:
    output_dir = paths.local('output_dir', _OUTPUT_DIR.value)
    paths.check_writable('output_dir', output_dir)
  else:
    output_dir = directory.path / 'exports'
    paths.check_writable('workdir', output_dir)
  programs.import_tensorflow()
  from . import devices, exporting, finished_run

  run = finished_run.load(
      place, _CHECKPOINT.value, devices.strategy('one_device')
  )
  return exporting.export(
      run,
      _FORMAT.value,
      output_dir=str(output_dir),
      quantize=_QUANTIZE.value,
      may_leave_out=not flags.FLAGS['formats'].present,
  )


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
