"""What is hurt: every task, with one feature of the programs at a time."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping

from tests.launch.tasks import small_sets

Flags = Mapping[str, str]

# As small as goes: an epoch of three steps, and a checkpoint every four, so
# that a run is as often at its files as at its steps.
_COMMON: Flags = {
    'num_epochs': '9',
    'global_batch_size': '13',
    'log_every_steps': '2',
    'checkpoint_every_steps': '4',
    'learning_rate': '0.02',
    'schedule': 'cosine',
    'jit_compile': 'off',
}
_TASKS: Mapping[str, Flags] = {
    'classification': {
        'dataset': 'tiny_shapes',
        'validation_examples': '17',
        'model': 'mlp',
        'model_arg': 'hidden_sizes=8,',
    },
    **{
        task: {'dataset': f'{small_sets.__name__}:{task}'}
        for task in ('multi_label', 'regression', 'text')
    },
    'segmentation': {
        'dataset': f'{small_sets.__name__}:segmentation',
        'model_arg': 'channels=2,4',
    },
}
_FEATURES: Mapping[str, Flags] = {
    'plain': {},
    'augmentation': {
        'random_flip': 'random',
        'max_shift': '2',
        'random_erasing': '0.5',
    },
    'averages': {'ema_decay': '0.9'},
    'accumulation': {'micro_batch_size': '5'},
    # The best checkpoint is kept in every run; here it is an early one.
    'early_stopping': {
        'early_stopping_patience': '2',
        'plateau_patience': '1',
        'learning_rate': '0.5',
        'schedule': 'constant',
    },
    'float16': {'precision': 'float16'},
    'streaming': {'resident_gb': '0'},
    'replicas': {'num_virtual_devices': '3'},
    'compiled': {'jit_compile': 'auto'},
    '2_workers': {'strategy': 'multi_worker'},
    '3_workers': {'strategy': 'multi_worker'},
}
# What has no images is not augmented, and moving them would lose their masks.
_OF_IMAGES = ('classification',)


@dataclasses.dataclass(frozen=True)
class Case:
  """A run of a task with a feature.

  Attributes:
    name: TASK.FEATURE.
    flags: The flags of `launch.train`, but for places.
  """

  name: str
  flags: Flags

  @property
  def feature(self) -> str:
    """The feature."""
    return self.name.partition('.')[2]

  @property
  def num_workers(self) -> int:
    """The number of processes."""
    number = self.feature.partition('_')[0]
    return int(number) if number.isdecimal() else 1

  @property
  def compiles(self) -> bool:
    """Whether a trial begins with an empty cache of compiled programs."""
    return self.feature == 'compiled'


CASES: Mapping[str, Case] = {
    f'{task}.{feature}': Case(
        f'{task}.{feature}', {**_COMMON, **of_task, **of_feature}
    )
    for feature, of_feature in _FEATURES.items()
    for task, of_task in _TASKS.items()
    if feature != 'augmentation' or task in _OF_IMAGES
}


def write_data(folder: str | os.PathLike[str]) -> None:
  """Writes the set of images, not yet decoded."""
  from tests import small_datasets  # Imports TensorFlow, which takes long.

  sizes = small_sets.SIZES
  small_datasets.write(
      pathlib.Path(folder),
      num_train=sizes['train'] + sizes['validation'],
      num_test=sizes['test'],
  )


if __name__ == '__main__':
  write_data(sys.argv[1])
