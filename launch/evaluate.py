"""Scores a split with the weights of a run.

  python -m launch.evaluate --workdir=runs/fashion_mnist_convnet --split=test

Every example is scored exactly once, on any number of replicas and workers.
Writes evaluation_SPLIT.json into the work directory.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from . import compilation_cache, flag_types, programs
from . import workdir as workdir_lib

_WORKDIR = flag_types.DEFINE_path(
    'workdir', 'The work directory of a run of launch.train.')
_SPLIT = flags.DEFINE_enum(
    'split', 'test', ['train', 'validation', 'test'], 'What to score.')
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'The path of a checkpoint, such as RUN/checkpoints/ckpt-429. None is the '
    'newest one of the run.')
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

  from . import devices, evaluation, finished_run

  strategy = devices.strategy(_STRATEGY.value, _NUM_VIRTUAL_DEVICES.value)
  with devices.lost_workers(strategy):
    run = finished_run.load(
        _WORKDIR.value,
        _CHECKPOINT.value,
        data_dir=_DATA_DIR.value,
        archives_dir=_ARCHIVES_DIR.value,
        strategy=strategy,
    )
    if _SPLIT.value not in run.dataset.num_examples:
      raise programs.UserError(
          f'--split={_SPLIT.value}: {run.dataset.name} has '
          f'{", ".join(run.dataset.num_examples)}{_left_out(run.dataset)}.'
      )
    run.dataset.split(_SPLIT.value)  # What is damaged shows up first.
    evaluator = evaluation.Evaluator(run.experiment, run.dataset, strategy)
    scored = evaluator.run(run, _SPLIT.value)
  if distribution.is_chief(strategy):
    print(scored.table())
  name = f'evaluation_{_SPLIT.value}.json'
  run.workdir.write_json(name, {
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


def _left_out(dataset: Any) -> str:
  """Says why the split that was asked for is not there, if that is known."""
  why = dataset.left_out.get(_SPLIT.value)
  return f'; {_SPLIT.value} is left out: {why}' if why else ''


if __name__ == '__main__':
  programs.run(main)
