"""Tests of the parts of a page.

Covers: page.
"""

from __future__ import annotations

import base64

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch.reporting import page, pictures
from pipelines import spec as spec_lib
from tests.launch.reporting import reading


class PartsTest(parameterized.TestCase):

  def test_a_table_that_is_too_long_says_so(self):
    rows = [[f'<{i}>', i, 0.5] for i in range(1_000)]
    found = reading.Reader(page.table(('name', 'n', 'x'), rows))
    self.assertEqual(found.tags.count('tr'), 1 + page.MAX_ROWS)
    self.assertIn('950 more rows are left out', found.text)
    self.assertIn('<0> 0 0.5000', found.text)

  @parameterized.parameters(
      (None, '-'),
      (1234567, '1,234,567'),
      (0.5, '0.5000'),
      (48.6048, '48.605'),
      (78721.4, '78,721'),
      (1e-9, '1e-09'),
      (float('nan'), 'nan'),
      (float('inf'), 'inf'),
      (0.0, '0'),
      (True, 'True'),
      ('x' * 310, 'x' * 300 + '\u2026 (10 more letters)'),
  )
  def test_a_cell(self, value, text):
    self.assertEqual(page.number(value), text)

  def test_any_letters(self):
    text = page.whole('<&\ud800\u732b>', {'"': 'x', 'left out': ''})
    self.assertIn('&lt;&amp;&#55296;&#29483;&gt;', text)
    self.assertTrue(text.isascii())
    self.assertEqual(text.count('<h2'), 1)

  def test_each_kind_of_feature(self):
    feature = spec_lib.Feature
    spec = spec_lib.Spec(
        {
            'image': feature('image', (300, 600, 2), 'uint8'),
            'array': feature('array', (4, 4), 'float32'),
            'tiny': feature('array', (2, 2), 'float32'),
            'words': feature(
                'text',
                (3,),
                'int32',
                vocabularies=(('', '?', 'be', 'to'),),
                tokenizer='words',
            ),
            'rooms': feature('numbers', (2,), 'float32', columns=('a', 'b')),
            'many': feature('numbers', (99,), 'float32'),
            'kind': feature(
                'categories',
                (1,),
                'int32',
                columns=('k',),
                vocabularies=(('flat', '<house>'),),
            ),
            'label': feature(
                'mask', (4, 4), 'int32', class_names=('no', 'yes')
            ),
            'which': feature('classes', (2,), 'int32', class_names=('p', 'q')),
        },
        ('label', 'which'),
    )
    example = {
        'index': 7,
        'image': np.zeros([300, 600, 2], np.uint8),
        'array': np.array([[np.nan, np.inf, 0, 1]] * 4, np.float32),
        'tiny': np.ones([2, 2], np.float32),
        'words': np.array([3, 2, 1]),
        'rooms': np.array([1.5, 2], np.float32),
        'many': np.zeros(99, np.float32),
        'kind': np.array([1]),
        'label': np.eye(4, dtype=np.int32),
        'which': np.array([0, 1]),
        'prediction': np.ones([4, 4], np.int32),
        'heat': np.full([4, 4], 0.5),  # Of the shape of a mask, and none.
        'share': np.array([0.25, 0.5]),
        'hidden': np.ones(3),
    }
    found = reading.Reader(
        pictures.shown(
            [example], spec, ('prediction', 'heat', 'share', 'absent')
        )
    )
    self.assertLen(found.named, 4)
    self.assertEqual(
        found.text,
        'no yes image array label prediction index 7 tiny 1, 1, 1, 1 '
        'words to be ? a 1.5 b 2 many '
        + '0, ' * 12
        + '\u2026 k <house> which q heat '
        + '0.5, ' * 12
        + '\u2026 share 0.25, 0.5',
    )
    sizes = [
        tuple(tf.io.decode_png(base64.b64decode(name.partition(',')[2])).shape)
        for name in found.named
    ]
    self.assertEqual(sizes, [(100, 200, 1), (4, 4, 1), (4, 4, 3), (4, 4, 3)])

  def test_images_of_numbers_and_of_more_channels(self):
    for values, most in (
        (np.eye(5, dtype=np.float32), 255),
        (np.float32(9.5) * np.eye(5, dtype=np.float32), 9),
    ):
      images = np.stack([values] * 4, axis=-1)
      pixels = pictures.pixels(images)
      self.assertEqual((pixels.shape, pixels.dtype), ((5, 5, 3), np.uint8))
      self.assertEqual((pixels.min(), pixels.max()), (0, most))

  def test_examples_of_a_table_are_rows(self):
    spec = spec_lib.Spec({
        'x': spec_lib.Feature('numbers', (2,), 'float32', columns=('a', 'b')),
        'label': spec_lib.Feature('numbers', (), 'float32'),
    })
    example = {
        'index': 3,
        'x': np.ones(2),
        'label': 5.0,
        'prediction': [4.5],
    }
    found = reading.Reader(pictures.shown([example], spec, ('prediction',)))
    self.assertEqual(found.text, 'index label prediction a b 3 5 4.5 1 1')


if __name__ == '__main__':
  absltest.main()
