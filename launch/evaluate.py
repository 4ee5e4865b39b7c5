"""Scores a split with the weights of a run.

  python -m launch.evaluate --workdir=runs/fashion_mnist_convnet --split=test

Every example is scored exactly once, on any number of replicas and workers;
--verify checks this. Writes evaluation_SPLIT.json into the work directory. For
another --dataset, classes and categories are matched by name.
"""

from __future__ import annotations

import dataclasses
import re

from absl import flags

from . import config as config_lib
from . import programs
from . import workdir as workdir_lib
from .machine import compilation_cache
from .settings import flag_types

_PLACE = config_lib.define_flags(
    'workdir',
    'data_dir',
    'archives_dir',
    'strategy',
    'num_virtual_devices',
    'start_timeout',
    'collective_timeout',
    'compilation_cache_dir',
    'accept_changes',
)
_SPLIT = flags.DEFINE_enum(
    'split',
    'test',
    ['train', 'validation', 'test', 'all'],
    'The split to score; all is for another --dataset.',
)
_DATASET = flags.DEFINE_string(
    'dataset',
    None,
    'Another data set, in the form of launch.train. Default: the data set the '
    'run was trained on.',
)
_CHECKPOINT = flag_types.DEFINE_path(
    'checkpoint',
    'last, best, or the path of a checkpoint, such as '
    'RUN/checkpoints/ckpt-429. Default: the last one.',
)
_VERIFY = flags.DEFINE_bool(
    'verify',
    False,
    'Whether to write the prediction for each example to '
    'predictions_SPLIT.npz, and to recompute all metrics from this file with '
    'NumPy alone. If they differ, the exit code is 1.',
)


def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags(*_PLACE)
  # XLA must be configured before TensorFlow is imported.
  directory = workdir_lib.of_run(place.workdir)
  config = directory.read_start().config
  directory.check_writable()
  cache = compilation_cache.prepare(
      config.global_batch_size, place.compilation_cache_dir
  )
  programs.import_tensorflow()
  from core import distribution, waits

  from . import finished_run, reading
  from .evaluating import evaluation, unseen
  from .machine import devices, together

  strategy = devices.strategy(
      place.strategy,
      place.num_virtual_devices,
      told={
          '--split': _SPLIT.value,
          '--verify': _VERIFY.value,
          '--dataset': _DATASET.value,
          '--checkpoint': _CHECKPOINT.value,
          '--accept_changes': place.accept_changes,
          **{
              f'{name} of the run': value
              for name, value in config.to_json().items()
          },
      },
      start_timeout=place.start_timeout,
  )
  with together.lost_workers(strategy, place.collective_timeout):
    with waits.waiting():  # Variables are broadcast from the first worker.
      run = finished_run.load(place, _CHECKPOINT.value, strategy)
    weights = run.experiment.digest()
    with together.agreeing(strategy) as told:
      chosen = unseen.chosen(run, _DATASET.value, _SPLIT.value)
      # Opening the split reports damaged data first.
      data = chosen.dataset.split(chosen.split)
      told['number of examples'] = data.num_examples
      told['weights of the checkpoint'] = weights
      if distribution.num_workers(strategy) > 1:
        told.update(reading.fingerprint(chosen.dataset.checksums(chosen.split)))
    evaluator = evaluation.Evaluator(run.experiment, chosen.dataset, strategy)
    scored = dataclasses.replace(
        evaluator.run(run, chosen.split), split=chosen.name
    )
    is_chief = distribution.is_chief(strategy)
    if is_chief:
      print(scored.table())
    of = f'{_file_name(_DATASET.value)}{_SPLIT.value}'
    if _VERIFY.value:
      from .evaluating import verifying

      path = run.workdir.path / f'predictions_{of}.npz'
      line = verifying.verify(path, run, chosen, scored, is_chief=is_chief)
      if is_chief:
        print(line)
  name = f'evaluation_{of}.json'
  run.workdir.write_json(
      name,
      {
          'dataset': _DATASET.value or str(run.config.dataset),
          'checkpoint': run.checkpoint,
          'step': run.step,
          'weights_sha256': weights,
          'num_compilations': cache.count(),
          **scored.to_json(),
      },
  )
  if is_chief:
    print(f'{run.checkpoint}; {run.workdir.path / name}')
  return 0


def _file_name(dataset: str | None) -> str:
  """Returns a data set's part of a file name, empty for the run's own."""
  return re.sub('[^A-Za-z0-9]+', '_', f'{dataset}_') if dataset else ''


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
