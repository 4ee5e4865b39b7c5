"""Files of images: headers, pixels, and what is no image."""

from __future__ import annotations

import pathlib
import struct
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from pipelines import errors, images
from tests.pipelines import image_folders

_SHAPE = (5, 7)


def _bmp(pixels: np.ndarray, palette: bytes = b'') -> bytes:
  """Returns a BMP, bottom row first, rows filled up to four bytes."""
  height, width, channels = pixels.shape
  if not palette and channels == 1:
    palette = b''.join(bytes((v, v, v, 0)) for v in range(256))
  order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
  rows = [row[:, order].tobytes() for row in pixels[::-1]]
  body = b''.join(row + b'\0' * (-len(row) % 4) for row in rows)
  start = 54 + len(palette)
  header = b'BM' + struct.pack('<IHHI', start + len(body), 0, 0, start)
  header += struct.pack(
      '<IiiHHIIiiII',
      40,
      width,
      height,
      1,
      8 * channels,
      0,
      len(body),
      0,
      0,
      len(palette) // 4,
      0,
  )
  return header + palette + body


# One pixel, white, made by hand.
_GIF = (
    b'GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00'
    b'\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;'
)


class ImagesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory())
    )

  def write(self, content, name='image'):
    if isinstance(content, tf.Tensor):
      content = content.numpy()
    (self.folder / name).write_bytes(content)
    return str(self.folder / name)

  @parameterized.product(kind=('png', 'bmp'), channels=(1, 3, 4))
  def test_lossless_kinds(self, kind, channels):
    pixels = image_folders.pixels(1, (*_SHAPE, channels))[0]
    path = self.write(
        _bmp(pixels) if kind == 'bmp' else tf.io.encode_png(pixels)
    )
    self.assertEqual(images.read_header(path)[:4], (*_SHAPE, channels, 8))
    kept = 1 if channels == 1 else 3
    decoded = images.decode(tf.io.read_file(path), kept)
    np.testing.assert_array_equal(decoded, pixels[..., :kept])
    if kept == 1:
      decoded = images.decode(tf.io.read_file(path), 3)
      np.testing.assert_array_equal(decoded, np.tile(pixels, 3))

  @parameterized.parameters(1, 3)
  def test_jpeg(self, channels):
    pixels = np.full([*_SHAPE, channels], 200, np.uint8)
    content = tf.io.encode_jpeg(pixels, progressive=channels == 3).numpy()
    # A long comment in front of the frame.
    comment = b'\xff\xfe' + struct.pack('>H', 60_002) + b'\xff' * 60_000
    path = self.write(content[:2] + comment + content[2:])
    self.assertEqual(images.read_header(path)[:4], (*_SHAPE, channels, 8))
    decoded = images.decode(tf.io.read_file(path), channels)
    np.testing.assert_allclose(decoded, pixels, atol=2)

  @parameterized.product(orientation=tuple(range(1, 9)), order=('<', '>'))
  def test_the_orientation_of_exif(self, orientation, order):
    # Grey, and of blocks of eight, which a JPEG keeps.
    stored = np.kron([[0, 90], [170, 255], [40, 130]], np.ones([8, 8]))
    # What Exif says of the first stored row and the first stored column.
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }[orientation]
    path = self.write(
        image_folders.oriented(
            stored[..., None].astype(np.uint8), orientation, order
        )
    )
    header = images.read_header(path)
    self.assertEqual(header, (*upright.shape, 1, 8, orientation))
    loaded, broken = images.load([path], (*upright.shape, 1), resizes=False)
    self.assertEmpty(broken)
    np.testing.assert_allclose(loaded[0, ..., 0], upright, atol=3)

  @parameterized.parameters(
      b'',
      b'II*\0',
      b'II*\0\x08\0\0\0',
      b'II*\0\xff\xff\xff\xff',
      b'II*\0\x08\0\0\0\xff\xff',
      b'MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\t',
  )
  def test_exif_that_says_no_orientation(self, tiff):
    pixels = np.full([*_SHAPE, 1], 200, np.uint8)
    path = self.write(image_folders.with_exif(pixels, tiff))
    self.assertEqual(images.read_header(path), (*_SHAPE, 1, 8, 1))

  def test_gif(self):
    path = self.write(_GIF)
    self.assertEqual(images.read_header(path)[:4], (1, 1, 3, 8))
    decoded = images.decode(tf.io.read_file(path), 3)
    np.testing.assert_array_equal(decoded, [[[255, 255, 255]]])

  def test_deep_png(self):
    pixels = np.full([2, 3, 1], 0x1234, np.uint16)
    path = self.write(tf.io.encode_png(pixels))
    self.assertEqual(images.read_header(path)[:4], (2, 3, 1, 16))
    decoded = images.decode(tf.io.read_file(path), 1)
    np.testing.assert_array_equal(decoded, np.full([2, 3, 1], 0x12))

  @parameterized.parameters(
      (b'', 'not an image; expected PNG, JPEG, BMP or GIF'),
      (b'P5 1 1 255', 'not an image'),
      (b'\x89PNG\r\n\x1a\n', 'its header is truncated or damaged'),
      (b'\xff\xd8\xff\xe0\x00\x10', 'its header is truncated or damaged'),
      (b'\xff\xd8\x00\x00', 'its header is truncated or damaged'),
      (b'BM', 'its header is truncated or damaged'),
      (b'GIF89a\x00\x00\x00\x00', 'not an image'),
      (_bmp(np.zeros([2, 2, 1], np.uint8), b'\1\2\3\0' * 256), 'a palette'),
      (_bmp(np.zeros([2, 2, 1], np.uint8))[:100], 'header is truncated or'),
  )
  def test_refuses_headers(self, content, words):
    path = self.write(content)
    with self.assertRaisesRegex(errors.DataError, f'^{path}: .*{words}'):
      images.read_header(path)

  def test_refuses_what_is_no_file(self):
    with self.assertRaisesRegex(errors.DataError, 'No such file'):
      images.read_header(self.folder / 'none')

  def test_loads_all_and_says_why_some_cannot_be(self):
    pixels = image_folders.pixels(300, (*_SHAPE, 1))
    paths = [
        self.write(tf.io.encode_png(each), f'{index}.png')
        for index, each in enumerate(pixels)
    ]
    content = pathlib.Path(paths[270]).read_bytes()
    self.write(content[:-20], '270.png')
    self.write(tf.io.encode_png(pixels[0][1:]), '9.png')
    loaded, broken = images.load(paths, (*_SHAPE, 1), resizes=False)
    self.assertEqual(list(broken), [9, 270])
    pixels[[9, 270]] = 0
    np.testing.assert_array_equal(loaded, pixels)
    self.assertRegex(broken[9], 'not compatible with|shape')
    self.assertEqual(
        images.find_broken(paths, (*_SHAPE, 1), resizes=False), broken
    )
    for start in (0, 10, 271):
      found = images.find_first_broken(paths[start:], (*_SHAPE, 1), False)
      expected = [(i - start, why) for i, why in broken.items() if i >= start]
      self.assertEqual(found, expected[0] if expected else None)

  def test_resizes_as_tensorflow_does_and_rounds(self):
    pixels = image_folders.pixels(1, (8, 8, 3))[0]
    found = images.resize(tf.constant(pixels), (4, 4))
    expected = tf.image.resize(pixels, (4, 4), antialias=True)
    np.testing.assert_allclose(found, expected, atol=0.501)

  def test_a_mask_is_resized_to_the_nearest_value(self):
    mask = np.array([[[3], [9]]], np.uint8)
    found = images.resize(tf.constant(mask), (2, 4), is_mask=True)
    self.assertEqual(found[..., 0].numpy().tolist(), [[3, 3, 9, 9]] * 2)


if __name__ == '__main__':
  absltest.main()
