"""A set that TFDS knows once this is imported, slow to prepare.

It writes a line to the file that QUATRAIN_TEST_LOG names whenever a process
begins to make its examples.
"""

from __future__ import annotations

import os
import time

import tensorflow_datasets as tfds

from pipelines import sources
from tests import small_datasets

_SHAPE = (8, 8, 3)


class SlowShapes(tfds.core.GeneratorBasedBuilder):
  """Sixteen examples in about a second."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    features = {
        'image': tfds.features.Image(shape=_SHAPE),
        'label': tfds.features.ClassLabel(num_classes=4),
    }
    return self.dataset_info_from_configs(
        features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {'train': self._generate_examples()}

  def _generate_examples(self):
    with open(os.environ['QUATRAIN_TEST_LOG'], 'a') as log:
      log.write(f'{os.getpid()}\n')
    images, labels = small_datasets.arrays(16, _SHAPE)
    for index, (image, label) in enumerate(zip(images, labels)):
      time.sleep(0.06)
      yield index, {'image': image, 'label': label}


def main(folder: str) -> None:
  """Opens the set, for another process (TFDS knows no set of __main__)."""
  opened = sources.open_dataset('slow_shapes', data_dir=folder)
  print(opened.split('train').num_examples)
