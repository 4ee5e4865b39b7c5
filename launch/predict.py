"""Predicts examples with the weights of a run.

  python -m launch.predict --workdir=RUN photos/*.png
  python -m launch.predict --workdir=RUN --output=new.csv new.csv
  python -m launch.predict --workdir=RUN --split=test --output=test.jsonl
  python -m launch.predict --workdir=RUN --dataset=folder:photos --output=masks

Predicts every example of a split, or of the given files: images, tables (.csv),
records (.jsonl) or texts (.txt). Each row has the example's index, its label if
known, and the prediction. The suffix of --output selects the format; without
--output a table is printed. Unreadable images are listed and skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from . import config as config_lib
from . import programs
from . import workdir as workdir_lib
from .files import paths
from .settings import flag_types

if TYPE_CHECKING:
  from . import finished_run
  from .evaluating import prediction_files

# Whether the program takes positional arguments.
POSITIONAL = True

_PLACE = config_lib.define_flags(
    'workdir', 'data_dir', 'archives_dir', 'accept_changes'
)
_SPLIT = flags.DEFINE_enum(
    'split',
    'test',
    ['train', 'validation', 'test', 'all'],
    'The split to predict, if no files are given. "all" requires --dataset.',
)
_DATASET = flags.DEFINE_string(
    'dataset',
    None,
    'A data set that the run has not seen, as for launch.train. Default: the '
    'data set that the run was trained on.',
)
_OUTPUT = flag_types.DEFINE_path(
    'output',
    'The file to write: .jsonl, with a JSON object per line, .csv, .parquet or '
    '.npz; or a new folder for masks as .png. Default: prints a table.',
)
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'last, best, or the path of a checkpoint. Default: the last one.',
)
_RESIZE = flags.DEFINE_bool(
    'resize',
    False,
    'Whether to resize images that differ in size from those in training.',
)
_MAY_LACK = flags.DEFINE_bool(
    'may_lack',
    False,
    'Whether to replace missing numbers of a table by the mean.',
)


def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags(*_PLACE)
  files = programs.positional()
  directory = workdir_lib.of_run(place.workdir)
  directory.read_start()
  output = None
  if _OUTPUT.value:
    output = paths.local('output', _OUTPUT.value)
    paths.check_writable('output', output.parent)
  for name in ('split', 'dataset'):
    if files and flags.FLAGS[name].present:
      raise programs.UserError(
          f'--{name}={flags.FLAGS[name].value}: files are given as well; leave '
          'one out.'
      )
  from .evaluating import prediction_files

  if output:
    prediction_files.check(output)
  programs.import_tensorflow()
  from . import finished_run
  from .machine import devices

  run = finished_run.load(
      place, _CHECKPOINT.value, devices.strategy('one_device')
  )
  if run.config.test_time_augmentation != 'none':
    programs.note(
        'predictions are of the examples as they are, those of launch.evaluate '
        f'with --test_time_augmentation={run.config.test_time_augmentation}.'
    )
  parts = _of_files(run, files) if files else _of_split(run)
  if output:
    count = prediction_files.write(output, parts)
    print(f'{run.checkpoint}; {count:,} examples; {output}')
  else:
    table, count = prediction_files.shown(parts)
    print(f'{table}\n{run.checkpoint}; {count:,} examples')
  return 0


def _of_files(
    run: finished_run.Run, files: Sequence[str]
) -> prediction_files.Parts:
  """Predicts the examples of files."""
  from pipelines import encoding, raw_examples

  from .evaluating import predicting

  spec = run.experiment.data.spec
  encoded = encoding.encode(
      raw_examples.read(files, spec),
      spec,
      may_lack=_MAY_LACK.value,
      resizes=_RESIZE.value,
      skips_damaged=True,
  )
  for note in encoded.notes:
    programs.note(note)
  predictor = predicting.Predictor(run.task, spec)
  return [(predicting.named(encoded.names), predictor(encoded.arrays))]


def _of_split(run: finished_run.Run) -> prediction_files.Parts:
  """Predicts the examples of a split in batches."""
  from .evaluating import predicting, unseen

  chosen = unseen.chosen(run, _DATASET.value, _SPLIT.value, needs_targets=False)
  data = chosen.dataset.split(chosen.split)
  predictor = predicting.Predictor(run.task, run.experiment.data.spec)
  return predicting.of_split(predictor, data)


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
