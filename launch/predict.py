"""Predicts examples with the weights of a run.

  python -m launch.predict --workdir=RUN --output=test.jsonl
  python -m launch.predict --workdir=RUN --output=new.csv photos/*.png
  python -m launch.predict --workdir=RUN --output=new.csv new.csv

Writes a line for each example of a split, or of the files that are given:
images, tables (.csv), records (.jsonl) or texts (.txt). Each has its index, its
label where that is known, and the prediction.
"""

from __future__ import annotations

from absl import flags

from . import config as config_lib
from . import flag_types, paths, programs
from . import workdir as workdir_lib

# Whether there are arguments besides flags.
POSITIONAL = True

_PLACE = config_lib.define_flags(
    'workdir', 'data_dir', 'archives_dir', 'accept_changes')
_SPLIT = flags.DEFINE_enum(
    'split', 'test', ['train', 'validation', 'test'],
    'What to predict, if no files are given.')
_OUTPUT = flag_types.DEFINE_path(
    'output',
    'The file to write: .jsonl, a JSON object in each line, or .csv.')
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'last, best, or the path of a checkpoint. Default: the last one.')
_RESIZE = flags.DEFINE_bool(
    'resize', False,
    'Whether to resize images that have another size than those of training.')
_MAY_LACK = flags.DEFINE_bool(
    'may_lack', False,
    'Whether a number of a table may be missing; it then counts as the mean.')


def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags(*_PLACE)
  files = programs.positional()
  directory = workdir_lib.of_run(place.workdir)
  directory.read_start()
  if not _OUTPUT.value:
    raise programs.UserError(
        '--output is missing: name the file to write, .jsonl or .csv.'
    )
  output = paths.local('output', _OUTPUT.value)
  paths.check_writable('output', output.parent)
  if files and flags.FLAGS['split'].present:
    raise programs.UserError(
        f'--split={_SPLIT.value}: files are given as well; leave one out.'
    )
  programs.import_tensorflow()
  from pipelines import encoding

  from . import devices, finished_run, predicting

  table = predicting.Table(str(output))
  run = finished_run.load(
      place, _CHECKPOINT.value, devices.strategy('one_device')
  )
  spec = run.experiment.data.spec
  predictor = predicting.Predictor(run.task, spec)
  if run.config.test_time_augmentation != 'none':
    programs.note(
        'predictions are of the examples as they are, those of launch.evaluate '
        f'with --test_time_augmentation={run.config.test_time_augmentation}.'
    )
  if files:
    encoded = encoding.encode(
        encoding.read(files, spec),
        spec,
        may_lack=_MAY_LACK.value,
        resizes=_RESIZE.value,
    )
    for note in encoded.notes:
      programs.note(note)
    parts = [(predicting.named(encoded.names), predictor(encoded.arrays))]
    count = table.write(parts)
  else:
    run.check_split(_SPLIT.value)
    data = run.dataset.split(_SPLIT.value)
    count = table.write(predicting.of_split(predictor, data))
  print(f'{run.checkpoint}; {count:,} examples; {output}')
  return 0


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
