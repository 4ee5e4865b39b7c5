"""Scores a split with the weights of a run.

  python -m launch.evaluate --workdir=runs/fashion_mnist_convnet --split=test

Every example is scored exactly once, on any number of replicas and workers.
Writes evaluation_SPLIT.json into the work directory. Of a --dataset that the
run has not seen, classes and categories are taken by their names.
"""

from __future__ import annotations

import dataclasses
import re

from absl import flags

from . import compilation_cache, flag_types, programs
from . import workdir as workdir_lib

_WORKDIR = flag_types.DEFINE_path(
    'workdir', 'The work directory of a run of launch.train.')
_SPLIT = flags.DEFINE_enum(
    'split', 'test', ['train', 'validation', 'test', 'all'],
    'What to score; all is for another --dataset.')
_DATASET = flags.DEFINE_string(
    'dataset', None,
    'A data set that the run has not seen, as launch.train takes it. Default: '
    'that which the run was trained on.')
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'last, best, or the path of a checkpoint, such as '
    'RUN/checkpoints/ckpt-429. Default: the last one.')
_DATA_DIR = flag_types.DEFINE_path(
    'data_dir',
    'The folder of prepared TFDS sets. Default: what the run was trained with.',
    may_be_remote=True)
_ARCHIVES_DIR = flag_types.DEFINE_path(
    'archives_dir',
    'A folder with the archives that TFDS would download. None is what the run '
    'was trained with.')
_STRATEGY = flags.DEFINE_enum(
    'strategy', 'auto', ['auto', 'mirrored', 'one_device', 'multi_worker'],
    'As for launch.train.')
_NUM_VIRTUAL_DEVICES = flags.DEFINE_integer(
    'num_virtual_devices', None, 'Split the CPU into that many devices.',
    lower_bound=1, upper_bound=64)
_COMPILATION_CACHE_DIR = flag_types.DEFINE_path(
    'compilation_cache_dir', 'As for launch.train.', may_be_empty=True)


def main() -> int:
  """Runs the program; returns its exit code."""
  # XLA is told how to compile before TensorFlow is imported.
  directory = workdir_lib.of_run(_WORKDIR.value)
  config = directory.read_start().config
  directory.check_writable()
  cache = compilation_cache.prepare(
      config.global_batch_size, _COMPILATION_CACHE_DIR.value
  )
  programs.import_tensorflow()
  from core import distribution, variables

  from . import devices, evaluation, finished_run, unseen

  strategy = devices.strategy(_STRATEGY.value, _NUM_VIRTUAL_DEVICES.value)
  with devices.lost_workers(strategy):
    run = finished_run.load(
        _WORKDIR.value,
        _CHECKPOINT.value,
        data_dir=_DATA_DIR.value,
        archives_dir=_ARCHIVES_DIR.value,
        strategy=strategy,
    )
    chosen = unseen.chosen(run, _DATASET.value, _SPLIT.value)
    chosen.dataset.split(chosen.split)  # What is damaged shows up first.
    evaluator = evaluation.Evaluator(run.experiment, chosen.dataset, strategy)
    scored = dataclasses.replace(
        evaluator.run(run, chosen.split), split=chosen.name
    )
  if distribution.is_chief(strategy):
    print(scored.table())
  name = f'evaluation_{_file_name(_DATASET.value)}{_SPLIT.value}.json'
  run.workdir.write_json(name, {
      'dataset': _DATASET.value or str(run.config.dataset),
      'checkpoint': run.checkpoint,
      'step': run.step,
      'weights_sha256': variables.digest(
          variables.named({'model': run.model})
      ),
      'num_compilations': cache.count(),
      **scored.to_json(),
  })
  if distribution.is_chief(strategy):
    print(f'{run.checkpoint}; {run.workdir.path / name}')
  return 0


def _file_name(dataset: str | None) -> str:
  """Returns what of a file's name a data set is, none for the run's own."""
  return re.sub('[^A-Za-z0-9]+', '_', f'{dataset}_') if dataset else ''


if __name__ == '__main__':
  programs.run(main)
