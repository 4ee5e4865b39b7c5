"""Float32 and bfloat16."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers, precision
from tests.core.conformance import member, table, table_optimizers
from tests.core.optimizers import comparison

_WEIGHTS = (1.0, 1.0, 0.5, 1.0)
_HALF = 2.0**-8  # The largest relative error of rounding to bfloat16.


class PrecisionTest(parameterized.TestCase):

  @parameterized.named_parameters(*table.named('losses', 'metrics'))
  def test_bfloat16_is_float32_of_the_rounded_input(self, name):
    line = table.MEMBERS[name]
    subject = line.make()
    batch = line.batch(_WEIGHTS)
    source = subject.source or 'predictions'
    half = member.tensors(batch, source, tf.bfloat16)
    wide = {**half, source: tf.cast(half[source], tf.float32)}
    with line.holds(self, 'bfloat16'):
      observed = subject(half)
      expected = subject(wide)
      for value in tf.nest.flatten(observed):
        self.assertEqual(value.dtype, tf.float32)
      tf.nest.map_structure(np.testing.assert_array_equal, observed, expected)

  @parameterized.named_parameters(*table.named('layers', 'models'))
  def test_bfloat16_is_close_to_float32(self, name):
    line = table.MEMBERS[name]
    subject = line.make()
    batch = member.tensors(line.batch(_WEIGHTS))
    with line.holds(self, 'bfloat16'):
      expected, _ = member.results(subject, batch, _forward)
      if subject.module:
        half = subject._replace(module=precision.autocast(subject.module))
      else:
        half = subject
        batch = member.tensors(batch, subject.source, tf.bfloat16)
      actual, _ = member.results(half, batch, _forward)
      member.assert_same(actual, expected, 16 * _HALF)

  @parameterized.named_parameters(*table_optimizers.named())
  def test_half_precision_is_float32_rounded_at_the_end(self, name):
    optimizer = table_optimizers.MEMBERS[name]
    weights = _half(comparison.parameters())
    wide = {k: tf.cast(v, tf.float32) for k, v in weights.items()}
    state, wide_state = optimizer.init(weights), optimizer.init(wide)
    for gradients in map(_half, comparison.gradients(2)):
      updates, state = optimizer.update(gradients, state, weights)
      wide_updates, wide_state = optimizer.update(gradients, wide_state, wide)
    new = optimizers.apply_updates(weights, updates)
    expected = _half(optimizers.apply_updates(wide, wide_updates))
    for path, weight in new.items():
      self.assertEqual(weight.dtype, tf.bfloat16)
      np.testing.assert_array_equal(
          tf.cast(weight, tf.float32), tf.cast(expected[path], tf.float32)
      )
    for tensor in tf.nest.flatten(state):
      self.assertIn(tensor.dtype, (tf.float32, tf.int64, tf.bool))


def _forward(subject, batch):
  return subject(batch)


def _half(nest):
  return {k: tf.cast(v, tf.bfloat16) for k, v in nest.items()}


if __name__ == '__main__':
  absltest.main()
