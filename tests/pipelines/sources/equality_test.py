"""The same images in the same order are the same batches, wherever they lie.

Covers: tfds_sets.
"""

from __future__ import annotations

import pathlib
import tempfile

import numpy as np
import tensorflow_datasets as tfds
from absl.testing import absltest
from sklearn import datasets as sklearn_datasets

from pipelines import batches, sources
from tests.pipelines import image_folders

_SIZES = {'train': 400, 'validation': 100, 'test': 100}
_NAMES = [str(index) for index in range(10)]


def _digits() -> dict[str, dict[str, np.ndarray]]:
  """Returns 600 of scikit-learn's digits by split, ordered by class."""
  digits = sklearn_datasets.load_digits()
  images = (digits.images * 15).astype(np.uint8)[..., None]
  splits, start = {}, 0
  for split, size in _SIZES.items():
    chosen = slice(start, start + size)
    order = np.argsort(digits.target[chosen], kind='stable')
    splits[split] = {
        'image': images[chosen][order],
        'label': digits.target[chosen][order].astype(np.int64),
    }
    start += size
  return splits


def _write_folder(folder: pathlib.Path, splits) -> None:
  for split, arrays in splits.items():
    for index, (image, label) in enumerate(zip(*arrays.values())):
      name = f'{split}/{label}/{index:03}.png'
      image_folders.write(folder / name, image)


def _write_tfds(folder: pathlib.Path, splits) -> None:
  features = tfds.features.FeaturesDict({
      'image': tfds.features.Image(shape=(8, 8, 1)),
      'label': tfds.features.ClassLabel(names=_NAMES),
  })
  tfds.disable_progress_bar()
  tfds.dataset_builders.store_as_tfds_dataset(
      name='digits',
      version='1.0.0',
      features=features,
      split_datasets={
          split: list(
              enumerate(
                  dict(zip(arrays, values)) for values in zip(*arrays.values())
              )
          )
          for split, arrays in splits.items()
      },
      data_dir=folder,
      disable_shuffling=True,
  )


def _flat(splits) -> dict[str, np.ndarray]:
  return {
      f'{split}_{name}': array
      for split, arrays in splits.items()
      for name, array in arrays.items()
  }


class EqualityTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    made = tempfile.TemporaryDirectory()
    cls.addClassCleanup(made.cleanup)
    folder = pathlib.Path(made.name)
    splits = _digits()
    _write_folder(folder / 'images', splits)
    _write_tfds(folder / 'prepared', splits)
    np.savez(folder / 'digits.npz', **_flat(splits))
    chosen = {'data_dir': folder / 'prepared'}
    cls.sets = {
        'folder': sources.open_dataset(f'folder:{folder}/images'),
        'folder, streamed': sources.open_dataset(
            f'folder:{folder}/images', memory_budget_gb=0.0
        ),
        'npz': sources.open_dataset(f'npz:{folder}/digits.npz'),
        'function': sources.open_dataset('function', load=lambda: splits),
        'tfds': sources.open_dataset('tfds:digits', **chosen),
        'bare name': sources.open_dataset('digits', **chosen),
    }

  def assert_equal(self, given, expected):
    self.assertEqual(list(given), list(expected))
    for name, value in expected.items():
      self.assertEqual(given[name].dtype, value.dtype, name)
      np.testing.assert_array_equal(given[name], value, name)

  def test_they_say_the_same_of_their_features(self):
    for name, dataset in self.sets.items():
      with self.subTest(name):
        self.assertEqual(dataset.spec, self.sets['npz'].spec)
        self.assertEqual(dataset.num_examples, _SIZES)

  def test_they_hold_the_same_arrays(self):
    for name, dataset in self.sets.items():
      for split in _SIZES:
        expected = self.sets['npz'].split(split).arrays
        data = dataset.split(split)
        with self.subTest(name, split=split):
          self.assertEqual(data.is_resident, 'streamed' not in name)
          if data.is_resident:
            self.assert_equal(data.arrays, expected)

  def test_they_feed_the_same_batches(self):
    """Those of two epochs, begun in the middle of the first."""
    taken = {
        name: list(
            batches.train_batches(
                dataset.split('train'),
                seed=3,
                global_batch_size=64,
                num_steps=10,
                start_step=3,
            )
        )
        for name, dataset in self.sets.items()
    }
    for name, found in taken.items():
      with self.subTest(name):
        self.assertLen(found, 10)
        for given, expected in zip(found, taken['npz']):
          self.assert_equal(given, expected)

  def test_they_are_scored_in_the_same_batches(self):
    taken = {
        name: list(
            batches.eval_batches(dataset.split('test'), global_batch_size=64)
        )
        for name, dataset in self.sets.items()
    }
    for name, found in taken.items():
      with self.subTest(name):
        for given, expected in zip(found, taken['npz'], strict=True):
          self.assert_equal(given, expected)


if __name__ == '__main__':
  absltest.main()
