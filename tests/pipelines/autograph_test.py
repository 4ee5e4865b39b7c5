"""No dataset of Quatrain's is converted by AutoGraph."""

from __future__ import annotations

import pathlib
import tempfile
from unittest import mock

import tensorflow as tf
from absl.testing import absltest
from tensorflow.python.autograph.impl import api

from pipelines import batches, preprocessing, sources
from tests import small_datasets
from tests.pipelines import image_folders


class AutographTest(absltest.TestCase):

  def test_nothing_is_converted(self):
    made = tempfile.TemporaryDirectory()
    self.addCleanup(made.cleanup)
    folder = pathlib.Path(made.name)
    small_datasets.write(folder / 'prepared', num_train=60, num_test=20)
    for index, image in enumerate(image_folders.pixels(60)):
      name = f'images/{"ab"[index % 2]}/{index}.png'
      image_folders.write(folder / name, image)
    with mock.patch.object(
        api, '_convert_actual', side_effect=api._convert_actual
    ) as convert:
      folders = f'folder:{folder}/images'
      for name in ('tiny_shapes', 'tfds:tiny_shapes', folders):
        for memory_budget_gb in (0.0, 1.0):
          data = sources.open_dataset(
              name,
              data_dir=folder / 'prepared',
              validation_examples=10,
              memory_budget_gb=memory_budget_gb,
          ).split('train')
          preprocessing.statistics(data)
          for num_replicas in (1, 3):  # Which do not divide a batch.
            for fed in (
                batches.train_batches(
                    data,
                    seed=3,
                    global_batch_size=8,
                    num_steps=1,
                    num_replicas=num_replicas,
                ),
                batches.eval_batches(
                    data, global_batch_size=8, num_replicas=num_replicas
                ),
            ):
              next(iter(fed))
      self.assertEqual(convert.call_args_list, [])
      tf.data.Dataset.range(1).map(lambda number: number + 1)
      convert.assert_called_once()  # What is converted would be seen.


if __name__ == '__main__':
  absltest.main()
