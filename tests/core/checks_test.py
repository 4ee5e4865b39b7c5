"""Tests of the checks: each names the argument, the value and the remedy."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checks

_MATRIX = tf.zeros([2, 3])


class ChecksTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('rank', lambda: checks.rank('x', _MATRIX, 2)),
      ('ranks', lambda: checks.rank('x', _MATRIX, {1, 2})),
      ('shape', lambda: checks.shape('x', _MATRIX, [2, 3])),
      ('any_size', lambda: checks.shape('x', _MATRIX, [None, 3])),
      ('same_shape', lambda: checks.same_shape(x=_MATRIX, y=_MATRIX + 1)),
      ('integers', lambda: checks.integers('x', tf.zeros([1], tf.uint8))),
      ('low', lambda: checks.in_range('x', 0.0, 0, 1)),
      ('high', lambda: checks.in_range('x', 1, 0, 1)),
      ('one_of', lambda: checks.one_of('x', 'a', ['a', 'b'])),
  )
  def test_accepts(self, check):
    self.assertIsNone(check())

  @parameterized.named_parameters(
      ('rank', ValueError, r'x: .*2.*1', lambda: checks.rank('x', _MATRIX, 1)),
      ('ranks', ValueError, 'x: ', lambda: checks.rank('x', _MATRIX, {0, 3})),
      (
          'shape',
          ValueError,
          r'x: expected shape \[2, 4\], got \(2, 3\)',
          lambda: checks.shape('x', _MATRIX, [2, 4]),
      ),
      (
          'shape_of_another_rank',
          ValueError,
          r'x: expected shape \[2\]',
          lambda: checks.shape('x', _MATRIX, [2]),
      ),
      (
          'same_shape',
          ValueError,
          r'y: expected the shape of x, \(2, 3\), got \(2,\)',
          lambda: checks.same_shape(x=_MATRIX, y=tf.zeros([2])),
      ),
      (
          'integers',
          TypeError,
          'x: expected integers, got float32; convert',
          lambda: checks.integers('x', _MATRIX),
      ),
      (
          'low',
          ValueError,
          r'x: expected \[0, 1\], got -0.1',
          lambda: checks.in_range('x', -0.1, 0, 1),
      ),
      (
          'nan',
          ValueError,
          'got nan',
          lambda: checks.in_range('x', float('nan'), 0, 1),
      ),
      (
          'sizes',
          ValueError,
          r'x: expected at least 1, got \(3, 0\)',
          lambda: checks.sizes('x', 3, 0),
      ),
      ('size', ValueError, 'x: .* got -1', lambda: checks.sizes('x', -1)),
      ('rate', ValueError, r'x: .*\[0, 1\)', lambda: checks.rate('x', 1.0)),
      (
          'one_of',
          ValueError,
          "x: unknown 'c'; known: a, b",
          lambda: checks.one_of('x', 'c', ['b', 'a']),
      ),
  )
  def test_refuses(self, error, message, check):
    with self.assertRaisesRegex(error, message) as caught:
      check()
    self.assertNotIsInstance(caught.exception, AssertionError)

  def test_in_a_graph_an_unknown_size_will_do_but_an_unknown_rank_not(self):
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def unknown_size(x):
      checks.rank('x', x, 2)
      checks.shape('x', x, [7, 3])
      checks.same_shape(x=x, y=tf.zeros([5, 3]))
      return x

    @tf.function(input_signature=[tf.TensorSpec(None)])
    def unknown_rank(x):
      checks.shape('x', x, [None])
      return x

    self.assertEqual(unknown_size(_MATRIX).shape, [2, 3])
    with self.assertRaisesRegex(ValueError, 'x: expected shape'):
      unknown_rank(_MATRIX)


if __name__ == '__main__':
  absltest.main()
