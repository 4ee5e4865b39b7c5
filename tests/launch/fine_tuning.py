"""Small runs to fine-tune from: images of noisy patterns, of few classes."""

from __future__ import annotations

import functools
import pathlib
from unittest import mock

import numpy as np

from core import checkpoints, training
from launch import data as data_lib
from launch import experiment as experiment_lib
from launch import workdir as workdir_lib
from launch.lookup import recorded
from launch.reporting import writing
from pipelines import spec as spec_lib
from tests import virtual_devices
from tests.launch import runs

SIZES = {'train': 60, 'validation': 13, 'test': 20}
_SHAPE = (6, 6, 1)
CONFIG = dict(
    validation_examples=None,
    model_arg={'hidden_sizes': (8,)},
    num_steps=4,
    jit_compile='off',
)
# Names of the variables of such a model.
HEAD = {f'output/linear/{name}' for name in 'bw'}
BODY = {f'hidden/0/linear/{name}' for name in 'bw'}


@functools.cache
def folder() -> pathlib.Path:
  """Returns a folder that goes when the process ends."""
  return pathlib.Path(runs.kept_directory())


@functools.cache
def dataset(num_classes: int) -> str:
  """Writes patterns, one for each class, and returns their name."""
  path, arrays = folder() / f'{num_classes}.npz', {}
  patterns = np.random.default_rng(0).integers(0, 200, [9, *_SHAPE])
  for split, size in SIZES.items():
    labels = np.arange(size) % num_classes
    noise = np.random.default_rng(size).integers(0, 56, [size, *_SHAPE])
    arrays[f'{split}_image'] = (patterns[labels] + noise).astype(np.uint8)
    arrays[f'{split}_label'] = labels
  np.savez(path, **arrays)
  return f'npz:{path}'


def train(workdir, num_classes=3, num_replicas=1, **changes) -> runs.Ended:
  """Trains on patterns."""
  changes = {'dataset': dataset(num_classes), **CONFIG, **changes}
  with mock.patch.object(writing, 'write'):  # It is slow.
    return runs.train(workdir, num_replicas, **changes)


def make(num_classes=3, num_replicas=1, **changes):
  """Makes the parts, the state and the strategy of a run, before a step."""
  names = [str(index) for index in range(num_classes)]
  data = data_lib.DataSpec(spec_lib.of_images(_SHAPE, names), dict(SIZES))
  config = runs.config(**{'dataset': dataset(num_classes), **CONFIG, **changes})
  experiment = experiment_lib.Experiment(config, data, 5)
  strategy = virtual_devices.mirrored(num_replicas)
  with strategy.scope():
    state = experiment.make_state()
  return experiment, state, strategy


def write(workdir: pathlib.Path, num_classes=5, **changes) -> None:
  """Writes the work directory of a run, with weights that nobody trained."""
  experiment, state, _ = make(num_classes, **changes)
  directory = workdir_lib.Workdir(str(workdir))
  directory.config_file.write(
      experiment.config, experiment.data, recorded.sources(experiment.config)
  )
  generator = np.random.default_rng(0)
  checkpoint = directory.checkpoints
  for place, step in ((directory.best, 1), (checkpoint, 2), (checkpoint, 4)):
    for name, variable in state.named_variables().items():
      if name.startswith(('model/', 'average/model/')):
        variable.assign(generator.normal(size=variable.shape))
    checkpoints.Checkpointer(place, state.named_variables()).save(step)


def weights(state: training.TrainState) -> dict[str, np.ndarray]:
  """Returns the values of all variables of a state."""
  return {n: v.numpy() for n, v in state.named_variables().items()}
