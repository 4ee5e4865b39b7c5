"""Images on disk are fed as images in memory are."""

from __future__ import annotations

import pathlib
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from pipelines import (
    datasets,
    errors,
    image_files,
    images,
    in_memory,
    spec,
    streams,
)
from tests.pipelines import image_folders

_LABEL = spec.Feature('class', (), 'int64', ('a', 'b'))


class ImageFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    self.paths = [str(folder / f'{index}.png') for index in range(40)]
    self.pixels = image_folders.pixels(40)
    for path, image in zip(self.paths, self.pixels):
      image_folders.write(path, image)
    self.labels = np.arange(40) % 2

  def splits(self, size):
    """Returns the same examples in memory and on disk."""
    shape = (*(size or (6, 5)), 1)
    features = spec.Spec(
        {'image': spec.Feature('image', shape, 'uint8'), 'label': _LABEL}
    )
    loaded, _ = images.load(self.paths, shape, resizes=bool(size))
    return (
        in_memory.InMemorySplit(
            {'image': loaded, 'label': self.labels}, features
        ),
        image_files.ImageFiles(
            self.paths, {'label': self.labels}, features, resizes=bool(size)
        ),
    )

  @parameterized.parameters(None, ((4, 4),))
  def test_orders_and_batches_are_those_of_memory(self, size):
    resident, on_disk = self.splits(size)
    self.assertFalse(on_disk.is_resident)
    self.assertEqual(on_disk.num_examples, 40)
    self.assertEqual(
        *(list(s.keys().as_numpy_iterator()) for s in (resident, on_disk))
    )
    for seed, epoch in ((0, 0), (3, 2)):
      given, expected = (
          next(iter(split.epochs(seed, epoch, 16).map(split.load)))
          for split in (on_disk, resident)
      )
      self.assertEqual(list(given), list(expected))
      for name, values in expected.items():
        self.assertEqual(given[name].dtype, values.dtype)
        np.testing.assert_array_equal(given[name], values, name)

  def test_what_cannot_be_decoded_is_named(self):
    _, on_disk = self.splits(None)
    content = pathlib.Path(self.paths[7]).read_bytes()
    pathlib.Path(self.paths[7]).write_bytes(content[:-20])
    batches = on_disk.keys().batch(10).map(on_disk.load)
    with (
        self.assertRaisesRegex(errors.DataError, f'{self.paths[7]} cannot be'),
        streams.explained(on_disk),
    ):
      list(batches)

  def test_checksums_tell_what_changed(self):
    _, on_disk = self.splits(None)
    dataset = datasets.Dataset('on disk', on_disk.spec, {'train': on_disk})
    before = dataset.checksums()
    self.assertIsNone(datasets.first_difference(before, dataset.checksums()))
    content = pathlib.Path(self.paths[7]).read_bytes()
    pathlib.Path(self.paths[7]).write_bytes(content + b'more')
    self.assertEqual(
        datasets.first_difference(before, dataset.checksums()),
        'example 7 of train',
    )
    self.labels[3] += 1
    self.assertEqual(
        datasets.first_difference(before, dataset.checksums()),
        'example 3 of train',
    )

  def test_an_error_of_something_else_stays(self):
    _, on_disk = self.splits(None)
    error = tf.errors.InvalidArgumentError(None, None, 'of the step')
    self.assertIs(on_disk.explain(error), error)


if __name__ == '__main__':
  absltest.main()
