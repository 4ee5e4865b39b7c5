"""Scores a split with the weights of a run.

  python -m launch.evaluate --workdir=runs/fashion_mnist_convnet --split=test

Every example is scored exactly once, on any number of replicas and workers.
Writes evaluation_SPLIT.json into the work directory.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from . import compilation_cache, flag_types, programs
from . import config as config_lib
from . import workdir as workdir_lib

config_lib.define_flags(
    'workdir', 'data_dir', 'archives_dir', 'strategy', 'num_virtual_devices',
    'compilation_cache_dir')
_SPLIT = flags.DEFINE_enum(
    'split', 'test', ['train', 'validation', 'test'], 'What to score.')
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'The path of a checkpoint, such as RUN/checkpoints/ckpt-429. None is the '
    'newest one of the run.')


def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags()
  # XLA is told how to compile before TensorFlow is imported.
  directory = workdir_lib.of_run(place.workdir)
  config = directory.read_start().config
  directory.check_writable()
  cache = compilation_cache.prepare(
      config.global_batch_size, place.compilation_cache_dir
  )
  programs.import_tensorflow()
  from core import distribution, variables

  from . import devices, evaluation, finished_run, tables

  strategy = devices.strategy(place.strategy, place.num_virtual_devices)
  with devices.lost_workers(strategy):
    run = finished_run.load(
        place.workdir,
        _CHECKPOINT.value,
        data_dir=place.data_dir,
        archives_dir=place.archives_dir,
        strategy=strategy,
    )
    if _SPLIT.value not in run.dataset.num_examples:
      raise programs.UserError(
          f'--split={_SPLIT.value}: {run.dataset.name} has '
          f'{", ".join(run.dataset.num_examples)}{_left_out(run.dataset)}.'
      )
    run.dataset.examples(_SPLIT.value)  # What is damaged shows up first.
    evaluator = evaluation.Evaluator(run.experiment, run.dataset, strategy)
    scored = evaluator.run(run, _SPLIT.value)
  if distribution.is_chief(strategy):
    print(tables.evaluation(
        scored.split, scored.values, scored.per_class, scored.num_examples
    ))
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
