"""Tests of what every model inherits."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from core import layers
from core.models import model as model_lib


class TwoHeads(model_lib.Model):
  """Two inputs, nested outputs."""

  input_names = ('a', 'b')

  def __init__(self):
    super().__init__()
    self.dense = layers.Dense(3)

  def __call__(self, inputs, is_training, seed=None):
    self.was_training = is_training
    return {
        'logits': self.dense(inputs['a']),
        'losses': {'b': tf.reduce_mean(inputs['b'], [1, 2])},
    }


_given = []  # A module would wrap what it is given.


class Recorder(model_lib.Model):
  """Keeps what it is given."""

  input_names = ('tokens', 'x')
  input_dtypes: typing.ClassVar = {'tokens': tf.int32}

  def __call__(self, inputs, is_training, seed=None):
    _given.append(inputs)
    return tf.zeros([1, 2])


class Pair(typing.NamedTuple):
  tokens: typing.Any
  x: typing.Any


class ModelTest(absltest.TestCase):

  def test_build_and_output_shape(self):
    model = TwoHeads()
    shapes = {'a': (None, 4), 'b': [7, 2, 5]}
    model.build(shapes)
    self.assertEqual(model.dense.linear.w.shape, [4, 3])
    self.assertFalse(model.was_training)
    self.assertEqual(
        model.output_shape(shapes),
        {'logits': (None, 3), 'losses': {'b': (None,)}},
    )
    self.assertLen(model.variables, 2)

  def test_an_unknown_size(self):
    with self.assertRaisesRegex(
        ValueError, r'input_shape: .*batch size.* got \(None, 2, None\)'
    ):
      TwoHeads().build({'a': (None, 4), 'b': (None, 2, None)})

  def _zeros(self, input_shape):
    Recorder().build(input_shape)
    return _given.pop()

  def test_nests_of_shapes_and_specs(self):
    spec = tf.TensorSpec([None, 3], tf.int64)
    for nest in (
        {'tokens': (None, 4), 'x': spec},
        Pair((None, 4), spec),
        [{'a': {'tokens': tf.TensorShape([7, 4])}}, (spec,)],
        ({'tokens': [np.int64(5), 4]}, spec),
    ):
      zeros = self._zeros(nest)
      self.assertIs(type(zeros), type(nest))
      tokens, x = tf.nest.flatten(zeros)
      self.assertEqual(tokens.dtype, tf.int32)
      self.assertEqual((x.dtype, x.shape), (tf.int64, [1, 3]))
      np.testing.assert_array_equal(tokens, np.zeros([1, 4]))

  def test_a_bare_shape_is_of_the_first_input(self):
    given = self._zeros((None, 2))
    self.assertEqual((given.dtype, given.shape), (tf.int32, [1, 2]))

  def test_other_specs(self):
    for dtype in (tf.bool, tf.string, tf.float16, tf.uint8):
      given = self._zeros(tf.TensorSpec([None, 2], dtype))
      self.assertEqual((given.dtype, given.shape), (dtype, [1, 2]))
    sparse = self._zeros(tf.SparseTensorSpec([None, 5], tf.float32))
    np.testing.assert_array_equal(tf.sparse.to_dense(sparse), np.zeros([1, 5]))
    for shape, rank in (
        ([None, None], 1),
        ([None, None, 3], 1),
        ([None, None, None, 3], 2),
    ):
      spec = tf.RaggedTensorSpec(shape, tf.int32, rank)
      ragged = self._zeros(spec)
      self.assertTrue(spec.is_compatible_with(ragged), (spec, ragged))
      self.assertEqual(ragged.nrows(), 1)

  def test_what_is_no_shape(self):
    for wrong in (5, 'image', None, (), tf.TensorShape(None), {'x': 3.0}):
      with self.assertRaisesRegex(ValueError, '^input_shape: expected'):
        Recorder().build(wrong)
    for spec in (
        tf.TensorSpec([None, None]),
        tf.SparseTensorSpec([None, None]),
        tf.RaggedTensorSpec([None, None, None, 3], ragged_rank=1),
    ):
      with self.assertRaisesRegex(ValueError, 'input_shape: only the batch'):
        Recorder().build(spec)
    with self.assertRaisesRegex(TypeError, 'input_shape: there are no zeros'):
      Recorder().build(tf.TensorSpec([None], tf.variant))

  def test_a_failure_of_its_own_is_as_it_was(self):
    class Failing(Recorder):

      def __call__(self, inputs, is_training, seed=None):
        raise ValueError('patch_size: too large')

    with self.assertRaisesRegex(ValueError, '^patch_size: too large$'):
      Failing().build((None, 2))
    with self.assertRaisesRegex(
        ValueError,
        r"^input_shape: Failing .*{'tokens': 'float32'}: patch_size: too large",
    ):
      Failing().build(tf.TensorSpec([None, 2]))

  def test_a_forward_pass_is_needed(self):
    class Empty(model_lib.Model):
      """Has none."""

    with self.assertRaisesRegex(TypeError, 'Empty must implement __call__'):
      Empty().build((None, 2))

  def test_logits_and_flatten(self):
    x = tf.zeros([2, 3, 4])
    self.assertIs(model_lib.logits(x), x)
    self.assertIs(model_lib.logits({'logits': x, 'other': 1}), x)
    self.assertEqual(model_lib.flatten(x).shape, [2, 12])
    self.assertEqual(model_lib.flatten(x[:, 0]).shape, [2, 4])


if __name__ == '__main__':
  absltest.main()
