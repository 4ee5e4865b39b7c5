"""The real set, from Debian's archives to batches."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest

from pipelines import batches, preprocessing, sources
from tests import small_datasets


@absltest.skipIf(
    small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
)
class FashionMnistTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.folder = folder.name
    arguments = (cls.folder, small_datasets.FASHION_MNIST_DIR)
    cls.route = sources.route('fashion_mnist', *arguments)
    cls.dataset = sources.open_dataset(
        'fashion_mnist', data_dir=arguments[0], archives_dir=arguments[1]
    )

  def test_takes_the_archives_and_then_what_is_prepared(self):
    self.assertEqual(self.route, 'archives')
    self.assertEqual(sources.route('fashion_mnist', self.folder), 'prepared')

  def test_description(self):
    self.assertEqual(self.dataset.spec['image'].shape, (28, 28, 1))
    self.assertEqual(
        self.dataset.num_examples,
        {'train': 55000, 'validation': 5000, 'test': 10000},
    )
    self.assertEqual(
        self.dataset.spec['label'].class_names,
        (
            'T-shirt/top',
            'Trouser',
            'Pullover',
            'Dress',
            'Coat',
            'Sandal',
            'Shirt',
            'Sneaker',
            'Bag',
            'Ankle boot',
        ),
    )

  @pytest.mark.medium
  def test_all_classes_are_whole(self):
    counts = sum(
        np.bincount(self.dataset.split(split).arrays['label'])
        for split in ('train', 'validation')
    )
    np.testing.assert_array_equal(counts, [6000] * 10)
    np.testing.assert_array_equal(
        np.bincount(self.dataset.split('test').arrays['label']), [1000] * 10
    )

  def test_statistics(self):
    mean, std = preprocessing.statistics(self.dataset.split('train'))
    np.testing.assert_allclose([*mean, *std], [0.285894, 0.352900], atol=1e-6)
    whole = sources.open_dataset(
        'fashion_mnist', data_dir=self.folder, validation_examples=0
    )
    mean, std = preprocessing.statistics(whole.split('train'))
    np.testing.assert_allclose([*mean, *std], [0.286041, 0.353024], atol=1e-6)

  def test_evaluation_counts_all(self):
    rows = batches.eval_batches(
        self.dataset.split('test'), global_batch_size=384, num_replicas=3
    )
    weight, labels = rows.reduce(
        (0.0, tf.constant(0, tf.int64)),
        lambda sums, row: (
            sums[0] + tf.reduce_sum(row['weight']),
            sums[1] + tf.reduce_sum(row['label']),
        ),
    )
    self.assertEqual(float(weight), 10000)
    self.assertEqual(int(labels), 45000)


if __name__ == '__main__':
  absltest.main()
