"""Tests of examples by their number."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import rows

_DENSE = np.arange(12, dtype='float32').reshape([4, 3]) % 5
_LENGTHS = (2, 0, 1, 3)


def _batch():
  ragged = tf.RaggedTensor.from_row_lengths(tf.range(6), _LENGTHS)
  return {
      'dense': tf.constant(_DENSE),
      'names': tf.constant(['a', 'b', 'c', 'd']),
      'nested': {'sparse': tf.sparse.from_dense(_DENSE), 'ragged': ragged},
      'number': tf.constant(7.0),
  }


class RowsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters([[]], [[3]], [[2, 0, 2]], [[3, 2, 1, 0, 1]])
  def test_take(self, numbers):
    numbers = tf.constant(numbers, tf.int32)
    for take in (rows.take, tf.function(rows.take)):
      taken = take(_batch(), numbers)
      expected = _DENSE[numbers.numpy()]
      self.assertAllEqual(taken['dense'], expected)
      self.assertAllEqual(taken['names'], np.array(list('abcd'))[numbers])
      sparse = taken['nested']['sparse']
      self.assertAllEqual(tf.sparse.to_dense(sparse), expected)
      self.assertEqual(sparse.shape, expected.shape)
      splits = np.cumsum([0, *_LENGTHS])
      self.assertAllEqual(
          taken['nested']['ragged'].to_list(),
          [list(range(splits[n], splits[n + 1])) for n in numbers.numpy()],
      )
      self.assertAllEqual(taken['number'], 7.0)

  def test_entries_of_a_sparse_tensor_in_any_order(self):
    sparse = tf.SparseTensor([[1, 0], [0, 2], [0, 1]], [1.0, 2.0, 3.0], [2, 3])
    taken = rows.take({'x': sparse}, [0])['x']
    self.assertAllEqual(tf.sparse.to_dense(taken), [[0.0, 3.0, 2.0]])

  def test_with_empty(self):
    batch = rows.with_empty(_batch())
    self.assertAllEqual(batch['dense'], [*_DENSE, [0, 0, 0]])
    self.assertAllEqual(batch['names'][-1], b'')
    self.assertAllEqual(
        tf.sparse.to_dense(batch['nested']['sparse']), batch['dense']
    )
    self.assertAllEqual(batch['nested']['ragged'].row_lengths(), [*_LENGTHS, 0])
    self.assertEqual(rows.count(batch), 5)
    nothing = rows.with_empty({'x': tf.zeros([0, 2])})
    self.assertAllEqual(nothing['x'], [[0.0, 0.0]])

  def test_count(self):
    self.assertEqual(rows.count(_batch()), 4)
    specs = {
        'dense': tf.TensorSpec([None, 3]),
        'sparse': tf.SparseTensorSpec([None, 3]),
        'ragged': tf.RaggedTensorSpec([None, None], tf.int32),
    }
    batch = {'dense': _batch()['dense'], **_batch()['nested']}
    for name, spec in specs.items():
      counted = tf.function(
          lambda batch: rows.count(batch), input_signature=[{name: spec}]
      )
      self.assertEqual(int(counted({name: batch[name]})), 4)

  def test_what_has_no_number_of_examples(self):
    with self.assertRaisesRegex(ValueError, "got {'a': 2, 'b/c': 3}"):
      rows.count({'a': tf.zeros([2]), 'b': {'c': tf.zeros([3, 2])}})
    with self.assertRaisesRegex(ValueError, 'got none'):
      rows.count({'a': tf.zeros([])})


if __name__ == '__main__':
  absltest.main()
