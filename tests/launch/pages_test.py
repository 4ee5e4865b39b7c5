"""Tests of pages of HTML."""

from __future__ import annotations

import base64
import re

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import pages


class PagesTest(parameterized.TestCase):

  def test_text_is_escaped_once(self):
    self.assertEqual(pages.escape('<b> & "c"'), '&lt;b&gt; &amp; &quot;c&quot;')
    table = pages.table(['a < b'], [[pages.Markup('<i>x</i>')], ['<script>']])
    page = pages.page('<title>', {'<h>': [table, pages.paragraph('1 < 2')]})
    self.assertIn('<i>x</i>', page)
    for text in ('<script>', '<title><title>', '<h>', 'a < b', '1 < 2'):
      self.assertNotIn(text, page)
    self.assertIn('&lt;script&gt;', page)
    self.assertTrue(page.startswith('<!DOCTYPE html>'))

  @parameterized.parameters(([5, 7],), ([4, 6, 3],), ([1, 1, 3],))
  def test_an_image_is_the_same_png(self, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = re.search('base64,(.*?)"', pages.image(pixels, 32))[1]
    decoded = tf.io.decode_png(base64.b64decode(data)).numpy()
    np.testing.assert_array_equal(decoded.reshape(shape), pixels)

  def test_numbers_are_on_the_right_and_markup_on_the_left(self):
    table = pages.table(['a', 'b', 'c'], [['x', 1, pages.Markup('<b>2</b>')]])
    self.assertIn('<td class=left>x</td><td>1</td><td class=left><b>', table)


if __name__ == '__main__':
  absltest.main()
