"""Integers are gathered as floats of the same bits."""

from __future__ import annotations

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import distribution, float_bits, rows

_DTYPES = (
    'bool',
    'float32',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
)
# Of any bits: as floats, some are NaN, subnormal or infinite.
_SHAPES = ((5,), (5, 4), (5, 3, 3, 3), (5, 2, 0), (0, 3))
_ROWS = [4, 0, 4]


def _draw(dtype, shape):
  generator = np.random.default_rng(0)
  if dtype == 'bool':
    return generator.integers(0, 2, shape).astype(bool)
  if dtype == 'float32':
    return generator.normal(size=shape).astype(dtype)
  size = int(np.prod(shape)) * np.dtype(dtype).itemsize
  values = np.frombuffer(generator.bytes(size), dtype).reshape(shape).copy()
  if values.size > 1:  # A signaling NaN, as a float.
    values.flat[0] = {1: 0x7F, 2: 0x7C01, 4: 0x7F800001}.get(
        values.dtype.itemsize, 0x7FF0000000000001
    )
  return values


class FloatBitsTest(parameterized.TestCase):

  @parameterized.product(dtype=_DTYPES, shape=_SHAPES)
  def test_there_and_back(self, dtype, shape):
    values = {'x': _draw(dtype, shape), 'scale': np.float32(2)}
    batch = tf.nest.map_structure(tf.constant, values)
    for function in (lambda x: x, tf.function):
      views = function(float_bits.to_floats)(batch)
      is_kept = dtype in ('bool', 'int64')
      self.assertEqual(views['x'].dtype.is_floating, not is_kept)
      back = function(float_bits.from_floats)(views, batch)
      tf.nest.map_structure(np.testing.assert_array_equal, back, values)
      self.assertEqual(back['x'].dtype, dtype)

  def test_by_hand(self):
    batch = tf.constant([[0, 60], [0, 64]], tf.uint8)
    # Of little-endian bytes, 0x3C00 is 1 and 0x4000 is 2.
    self.assertEqual(float_bits.to_floats(batch).numpy().tolist(), [[1], [2]])

  @parameterized.product(dtype=_DTYPES, shape=_SHAPES[:3])
  def test_takes_the_same_rows_as_without_a_gpu(self, dtype, shape):
    values = _draw(dtype, shape)
    batch = {'dense': tf.constant(values), 'scale': tf.constant(3)}
    if len(shape) == 2:
      batch['ragged'] = tf.RaggedTensor.from_tensor(values)
      if dtype != 'bool':
        batch['sparse'] = tf.sparse.from_dense(values)
    expected = _arrays(rows.take(batch, _ROWS))
    np.testing.assert_array_equal(expected['dense'], values[_ROWS])
    with mock.patch.object(distribution, 'on_gpu', return_value=True):
      for function in (rows.take, tf.function(rows.take)):
        actual = _arrays(function(batch, tf.constant(_ROWS)))
        tf.nest.map_structure(np.testing.assert_array_equal, actual, expected)


def _arrays(batch):
  """Returns the parts of all tensors, to compare bits."""
  found = {'dense': batch['dense'].numpy(), 'scale': batch['scale'].numpy()}
  if 'ragged' in batch:
    found['ragged'] = batch['ragged'].values.numpy()
    found['splits'] = batch['ragged'].row_splits.numpy()
  if 'sparse' in batch:
    found['sparse'] = batch['sparse'].values.numpy()
    found['indices'] = batch['sparse'].indices.numpy()
  return found


if __name__ == '__main__':
  absltest.main()
