"""Data sets of folders.

Covers: listing.
"""

from __future__ import annotations

import hashlib
import pathlib
import tempfile

import numpy as np
from absl.testing import absltest, parameterized

from pipelines import errors, image_files, options
from pipelines.sources import folder
from tests.pipelines import image_folders

_WHOLE = {'validation_split': 'none', 'test_split': 'none'}


class _FolderTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    made = self.enter_context(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(made) / 'images'
    self.pixels = image_folders.pixels(40)

  def write(self, *paths, shape=None):
    """Writes an image for each path, all different."""
    for index, path in enumerate(paths):
      image = self.pixels[index]
      if shape is not None:
        image = image_folders.pixels(1, shape)[0]
      image_folders.write(self.folder / path, image)

  def open(self, **arguments):
    return folder.of_folder(str(self.folder), options.Options(**arguments))

  def assert_refused(self, words, **arguments):
    with self.assertRaisesRegex(errors.DataError, words) as context:
      self.open(**arguments)
    self.assertNotIn('\n', str(context.exception))
    self.assertStartsWith(str(context.exception), f'dataset: {self.folder}: ')


class FolderTest(_FolderTest):

  def test_split_folders(self):
    self.write(
        'train/dog/b.png',
        'train/cat/2.PNG',
        'train/cat/10.png',
        'val/dog/a.png',
        'test/cat/a.png',
        'test/dog/a.png',
    )
    dataset = self.open()
    self.assertEqual(dataset.name, f'folder:{self.folder}')
    self.assertEqual(
        dataset.num_examples, {'train': 3, 'validation': 1, 'test': 2}
    )
    image, label = dataset.spec['image'], dataset.spec['label']
    self.assertEqual((image.kind, image.shape), ('image', (6, 5, 1)))
    self.assertEqual((label.kind, label.class_names), ('class', ('cat', 'dog')))
    train = dataset.split('train').arrays
    self.assertEqual(train['label'].tolist(), [0, 0, 1])
    np.testing.assert_array_equal(train['image'], self.pixels[[2, 1, 0]])
    self.assertEqual(dataset.split('test').arrays['label'].tolist(), [0, 1])
    self.assertEmpty(dataset.notes)

  @parameterized.parameters(4.0, 0.0)
  def test_images_are_upright_in_memory_and_on_disk(self, budget):
    stored = np.kron([[0, 90], [170, 255], [40, 130]], np.ones([8, 8]))
    upright = np.rot90(stored, -1)
    for path, image, orientation in (
        ('a/1.jpg', upright, 1),
        ('a/2.jpg', stored, 6),
        ('b/3.jpg', upright[::-1, ::-1], 3),
    ):
      (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
      (self.folder / path).write_bytes(
          image_folders.oriented(image[..., None].astype(np.uint8), orientation)
      )
    dataset = self.open(**_WHOLE, memory_budget_gb=budget)
    self.assertEqual(dataset.spec['image'].shape, (16, 24, 1))
    self.assertIn(
        '2 of 3 images are rotated or mirrored according to their Exif data: '
        'a/2.jpg, b/3.jpg.',
        dataset.notes,
    )
    split = dataset.split('train')
    [loaded] = split.keys().batch(3).map(split.load)
    for image in loaded['image'][..., 0].numpy():
      np.testing.assert_allclose(image, upright, atol=3)

  def test_splits_by_the_hash_of_the_path(self):
    paths = sorted(f'{"ab"[i % 2]}/{i}.png' for i in range(40))
    self.write(*paths)
    dataset = self.open()
    for split in ('train', 'validation', 'test'):
      expected = []
      for index, path in enumerate(paths):
        digest = hashlib.sha256(path.encode()).digest()
        tenth = int.from_bytes(digest[:8], 'big') * 10 >> 64
        if split == (['train'] * 8 + ['validation', 'test'])[tenth]:
          expected.append(index)
      found = dataset.split(split).arrays
      np.testing.assert_array_equal(found['image'], self.pixels[expected])
      self.assertEqual(
          found['label'].tolist(), ['ab'.index(paths[i][0]) for i in expected]
      )

  def test_other_files_are_counted(self):
    self.write(*(f'a/{i}.png' for i in range(10)), 'a/deeper/1.png')
    for name in ('a/notes.txt', 'a/.hidden.png', 'README', '.git'):
      (self.folder / name).write_text('')
    dataset = self.open(**_WHOLE)
    self.assertEqual(dataset.num_examples, {'train': 10})
    self.assertEqual(
        dataset.notes,
        [
            '3 files and folders are ignored, since they are not images in a '
            'valid place: README, a/notes.txt, a/deeper/.'
        ],
    )

  def test_a_split_that_is_asked_for_by_name(self):
    self.write('train/a/1.png', 'train/a/2.png', 'night/a/1.png')
    dataset = self.open(test_split='night', validation_split='none')
    self.assertEqual(dataset.num_examples, {'train': 2, 'test': 1})

  def test_a_class_that_only_the_test_has_is_told(self):
    self.write('train/a/1.png', 'val/a/1.png', 'test/b/1.png')
    dataset = self.open()
    self.assertEqual(dataset.spec['label'].class_names, ('a', 'b'))
    self.assertIn(
        'classes of test without training examples: b.', dataset.notes
    )

  def test_images_are_resized_on_demand(self):
    self.write('a/1.png')
    self.write('a/2.png', shape=(8, 9, 1))
    self.assert_refused(
        'image_size: the images differ in size: a/1.png is 6 x 5, a/2.png '
        '8 x 9; pass',
        **_WHOLE,
    )
    dataset = self.open(image_size=(3, 4), **_WHOLE)
    self.assertEqual(dataset.spec['image'].shape, (3, 4, 1))

  def test_grey_images_among_colours_get_three_channels(self):
    self.write('a/1.png')
    self.write('a/2.png', shape=(6, 5, 3))
    self.write('a/3.png', shape=(6, 5, 4))
    dataset = self.open(**_WHOLE)
    image = dataset.split('train').arrays['image']
    self.assertEqual(image.shape, (3, 6, 5, 3))
    np.testing.assert_array_equal(image[0], np.tile(self.pixels[0], 3))
    colours = image_folders.pixels(1, (6, 5, 4))[0]
    np.testing.assert_array_equal(image[2], colours[..., :3])
    self.assertEqual(
        dataset.notes,
        [
            '1 of 3 images are gray, and get three equal channels: a/1.png.',
            '1 of 3 images have transparency, which is dropped: a/3.png.',
        ],
    )

  @parameterized.parameters(
      ([], 'expected train/CLASS'),
      (['1.png'], 'there are no training images; expected train/CLASS'),
      (['test/a/1.png'], 'there is test, but no folder train; expected'),
      (['train/1.png', 'test/a/1.png'], 'there are no training images'),
      (
          ['train/images/1.png', 'train/masks/2.png'],
          'train/images/1.png has no mask; expected train/masks/1.png',
      ),
  )
  def test_refuses_other_layouts(self, paths, words):
    self.write(*paths)
    self.assert_refused(words)


class DamageTest(_FolderTest):

  def setUp(self):
    super().setUp()
    self.write(
        *(f'train/a/{i}.png' for i in range(6)), 'val/a/1.png', 'test/a/1.png'
    )
    content = (self.folder / 'train/a/3.png').read_bytes()
    (self.folder / 'train/a/3.png').write_bytes(content[:-20])
    (self.folder / 'train/a/5.png').write_bytes(b'no image')

  def test_what_has_no_header_is_named(self):
    self.assert_refused(
        r'split train: train/a/5.png \(not an image; expected PNG, JPEG, BMP '
        r'or GIF\) cannot be used; .* skip_damaged'
    )

  @parameterized.parameters(4.0, 0.0)
  def test_what_cannot_be_decoded_is_named(self, budget):
    (self.folder / 'train/a/5.png').unlink()
    if budget:
      self.assert_refused(r'split train: train/a/3.png \(.*\) cannot be used')
      return
    split = self.open(memory_budget_gb=budget).split('train')
    with self.assertRaises(Exception) as context:
      split.load(np.arange(5))
    explained = split.explain(context.exception)
    self.assertIsInstance(explained, errors.DataError)
    self.assertRegex(str(explained), 'train/a/3.png cannot be decoded: ')

  @parameterized.parameters(4.0, 0.0)
  def test_it_is_left_out_on_demand(self, budget):
    dataset = self.open(skip_damaged=True, memory_budget_gb=budget)
    self.assertEqual(dataset.num_examples['train'], 4)
    self.assertRegex(dataset.notes[0], '1 of 6 examples of train cannot be re')
    self.assertRegex(dataset.notes[1], r'1 of 5 .* out: train/a/3.png \(')
    split = dataset.split('train')
    loaded = split.load(np.arange(4))
    np.testing.assert_array_equal(loaded['image'], self.pixels[[0, 1, 2, 4]])

  def test_a_split_of_damaged_images_alone_is_refused(self):
    for path in (self.folder / 'test/a').iterdir():
      path.write_bytes(b'')
    self.assert_refused('test: no example can be read', skip_damaged=True)


class StreamTest(_FolderTest):

  def test_the_budget_decides(self):
    self.write('a/1.png', 'a/2.png', 'b/1.png')
    for budget, is_resident in ((90e-9, True), (89e-9, False)):
      dataset = self.open(memory_budget_gb=budget, **_WHOLE)
      self.assertEqual(dataset.is_resident, is_resident)
      split = dataset.split('train')
      self.assertEqual(
          isinstance(split, image_files.ImageFiles), not is_resident
      )
      np.testing.assert_array_equal(
          split.load(np.arange(3))['image'], self.pixels[:3]
      )


class MaskTest(_FolderTest):

  def setUp(self):
    super().setUp()
    self.masks = image_folders.pixels(8, seed=1) % 3
    for index in range(8):
      split = 'train' if index < 6 else 'test'
      for kind, images in (('images', self.pixels), ('masks', self.masks)):
        image_folders.write(
            self.folder / split / kind / f'{index}.png', images[index]
        )

  def open(self, **arguments):
    return super().open(validation_split='none', **arguments)

  def test_masks_are_labels(self):
    dataset = self.open()
    label = dataset.spec['label']
    self.assertEqual((label.kind, label.shape), ('mask', (6, 5)))
    self.assertEqual(label.class_names, ('0', '1', '2'))
    found = dataset.split('train').arrays
    np.testing.assert_array_equal(found['label'], self.masks[:6, ..., 0])
    np.testing.assert_array_equal(found['image'], self.pixels[:6])
    streamed = self.open(memory_budget_gb=0).split('train')
    loaded = streamed.load(np.arange(6))
    np.testing.assert_array_equal(loaded['label'], found['label'])

  def test_classes_are_named_by_a_file(self):
    (self.folder / 'classes.txt').write_text('sky\nsea\nland\n')
    self.assertEqual(
        self.open().spec['label'].class_names, ('sky', 'sea', 'land')
    )
    (self.folder / 'classes.txt').write_text('sky\nsea\n')
    self.assert_refused("array 'label', t.*/masks/.*: 2; expected less than 2")

  def test_masks_are_resized_to_the_nearest_class(self):
    found = self.open(image_size=(12, 10)).split('train').arrays['label']
    expected = self.masks[:6, ..., 0].repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(found, expected)

  def test_refuses_masks_that_are_none(self):
    path = self.folder / 'train/masks/2.png'
    for image, words in (
        (np.zeros([6, 5, 3], np.uint8), 'expected a PNG with one 8-bit'),
        (np.zeros([3, 5, 1], np.uint8), 'the mask is 3 x 5, but its image'),
    ):
      image_folders.write(path, image)
      self.assert_refused(rf'split train: train/masks/2.png \({words}')
    dataset = self.open(skip_damaged=True)
    self.assertEqual(dataset.num_examples['train'], 5)
    np.testing.assert_array_equal(
        dataset.split('train').arrays['image'], self.pixels[[0, 1, 3, 4, 5]]
    )

  def test_refuses_classes_and_masks_together(self):
    for path in (self.folder / 'test').rglob('*.png'):
      path.unlink()
    image_folders.write(self.folder / 'test/a/1.png', self.pixels[0])
    for kind in ('images', 'masks'):
      (self.folder / 'test' / kind).rmdir()
    self.assert_refused('some splits have masks and some have classes')


if __name__ == '__main__':
  absltest.main()
