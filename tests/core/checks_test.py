"""Tests of the checks: each names the argument, the value and the remedy."""

from __future__ import annotations

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checks

_MATRIX = tf.zeros([2, 3])


def _of_a_graph(check, shape=()):
  """Checks a tensor whose value is unknown while tracing."""
  spec = tf.TensorSpec(shape, tf.float32)
  traced = tf.function(check, input_signature=[spec], autograph=False)
  traced.get_concrete_function()


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
      ('unknown', lambda: _of_a_graph(lambda x: checks.in_range('x', x, 2, 1))),
      ('positive', lambda: checks.positive('x', tf.constant(0.5))),
      ('static', lambda: range(checks.static('x', tf.constant(5)))),
  )
  def test_accepts(self, check):
    check()

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
          'x: expected at least 1, got 0',
          lambda: checks.sizes('x', [3, 0]),
      ),
      ('size', ValueError, 'x: .* got -1', lambda: checks.size('x', -1)),
      (
          'size_of_text',
          TypeError,
          "x: expected an integer, got '64'",
          lambda: checks.size('x', '64'),
      ),
      (
          'one_size',
          TypeError,
          'x: expected a sequence of integers, got 64',
          lambda: checks.sizes('x', 64),
      ),
      (
          'number_of_text',
          TypeError,
          "x: expected a number, got '0.5'",
          lambda: checks.rate('x', '0.5'),
      ),
      (
          'batch',
          ValueError,
          r'y: expected shape \[2, 3\], got \(3, 3\)',
          lambda: checks.same_batch(x=_MATRIX, y=tf.zeros([3, 3])),
      ),
      (
          'no_batch',
          ValueError,
          'y: expected a batch axis',
          lambda: checks.same_batch(x=_MATRIX, y=tf.zeros([])),
      ),
      (
          'variable',
          ValueError,
          'x: .*tf.Variable.*read once',
          lambda: checks.rate('x', tf.Variable(0.5)),
      ),
      (
          'vector',
          ValueError,
          r'x: expected one number, got shape \(1,\)',
          lambda: checks.number('x', tf.zeros([1])),
      ),
      ('rate', ValueError, r'x: .*\[0, 1\)', lambda: checks.rate('x', 1.0)),
      (
          'rate_of_an_eager_tensor',
          ValueError,
          r'x: .*got 1\.5',
          lambda: checks.rate('x', tf.constant(1.5)),
      ),
      (
          'positive',
          ValueError,
          'x: expected a positive number, got 0',
          lambda: checks.positive('x', 0),
      ),
      (
          'static',
          ValueError,
          'x: .*depends on it.*static_args',
          lambda: _of_a_graph(lambda x: checks.static('x', x)),
      ),
      (
          'unknown_rank',
          ValueError,
          'x: expected one number, got shape <unknown>',
          lambda: _of_a_graph(lambda x: checks.number('x', x), None),
      ),
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

  @parameterized.product(
      check=(
          lambda x, y: checks.same_shape(x=x, y=y),
          lambda x, y: (x, checks.shape('y', y, checks.sizes_of(x))),
          lambda x, y: checks.same_batch(x=x, y=y),
      ),
      jit_compile=(False, True),
  )
  def test_sizes_that_are_unknown_while_tracing(self, check, jit_compile):
    @tf.function(
        input_signature=[tf.TensorSpec([None, None])] * 2,
        jit_compile=jit_compile,
    )
    def add(x, y):
      x, y = check(x, y)
      return tf.reduce_sum(x) + tf.reduce_sum(y)

    self.assertEqual(float(add(tf.ones([2, 3]), tf.ones([2, 3]))), 12)
    self.assertEqual(float(add(tf.ones([0, 3]), tf.ones([0, 3]))), 0)
    # XLA names the argument in the operation, TensorFlow in a message too.
    message = 'shape_of_y' if jit_compile else 'y: expected'
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
      add(tf.ones([2, 3]), tf.ones([1, 3]))

  @parameterized.product(
      shapes=(([3], [3, 3]), ([2, 3], [3, 2]), ([0, 3], [0, 1])),
      jit_compile=(False, True),
  )
  def test_ranks_that_are_unknown_while_tracing(self, shapes, jit_compile):
    @tf.function(
        input_signature=[tf.TensorSpec(None)] * 2, jit_compile=jit_compile
    )
    def add(x, y):
      return tf.add_n(checks.same_shape(x=x, y=y))

    first, second = map(tf.ones, shapes)
    self.assertEqual(add(first, first).shape, first.shape)
    with self.assertRaises(tf.errors.InvalidArgumentError):
      add(first, second)

  @parameterized.product(
      shape=([None], [None, 2], None), jit_compile=(None, True)
  )
  def test_nothing_is_assigned_after_a_failure(self, shape, jit_compile):
    total = tf.Variable(0.0)

    def add(x, y):
      x, y = checks.same_shape(x=x, y=y)
      total.assign_add(tf.reduce_sum(tf.where(y > 0, x, 0.0) * y))

    traced = tf.function(
        add,
        input_signature=[tf.TensorSpec(shape)] * 2,
        jit_compile=jit_compile,
    )
    rest = (shape or [None])[1:]
    with self.assertRaises(tf.errors.InvalidArgumentError):
      traced(tf.ones([4, *rest]), tf.ones([1, *rest]))
    self.assertEqual(float(total), 0.0)

  def test_what_is_known_is_kept(self):
    @tf.function(
        input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([2, None])]
    )
    def shapes(x, y):
      both = checks.same_shape(x=x, y=y)
      self.assertEqual([part.shape for part in both][1], [2, 3])
      self.assertEqual(checks.shape('y', y, [2, 3]).shape, [2, 3])
      return both

    shapes(_MATRIX, _MATRIX)

  def test_known_shapes_add_nothing_to_a_graph(self):
    @tf.function
    def function(x, y):
      before = len(tf.compat.v1.get_default_graph().get_operations())
      checks.same_shape(x=x, y=y)
      checks.same_batch(x=x, y=y)
      checks.shape('x', x, checks.sizes_of(y))
      checks.rank('x', x, 2)
      after = len(tf.compat.v1.get_default_graph().get_operations())
      self.assertEqual(before, after)

    function(_MATRIX, _MATRIX)

  def test_an_unknown_rank(self):
    @tf.function(input_signature=[tf.TensorSpec(None)])
    def shape(x):
      return checks.shape('x', x, [None])

    @tf.function(input_signature=[tf.TensorSpec(None)])
    def rank(x):
      checks.rank('x', x, 1)
      return x

    with self.assertRaisesRegex(ValueError, 'x: expected shape'):
      shape(_MATRIX)
    with self.assertRaisesRegex(ValueError, 'x: .* unknown rank'):
      rank(_MATRIX)


if __name__ == '__main__':
  absltest.main()
