"""Gradients are finite and equal to finite differences."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import variables
from tests.core.conformance import member, table

_WEIGHTS = (1.0, 0.5, 2.0, 1.0, 0.75, 1.5)
_NUM_DIRECTIONS = 2


def _is_gradient(name):
  return name.startswith('gradient')


class GradientTest(parameterized.TestCase):

  @parameterized.named_parameters(*table.named())
  def test_gradient_equals_finite_differences(self, name):
    line = table.MEMBERS[name]
    subject = line.make()
    with line.holds(self, 'gradient'):
      self.assertIsNotNone(subject.source)
      self._check(line, subject)

  def _check(self, line, subject):
    trained = variables.trainable(subject.module) if subject.module else {}
    dtype = tf.float32 if trained else tf.float64
    tolerance = line.tolerance or (1e-2 if trained else 1e-4)
    batch = member.tensors(line.batch(_WEIGHTS), subject.source, dtype)
    examples, rest = member.results(subject, batch)
    gradients = {
        name.removeprefix('gradient of '): value
        for name, value in {**examples, **rest}.items()
        if _is_gradient(name)
    }
    self.assertEqual(gradients.keys(), {'gradient', *trained})
    for name, gradient in gradients.items():
      self.assertTrue(np.isfinite(gradient).all(), name)
      self.assertGreater(np.abs(gradient).max(), 0, name)
    mixture = lambda batch: member.mixture(*subject(batch), batch['weight'])
    if trained:
      mixture = tf.function(mixture)
    generator = np.random.default_rng(1)
    for name, gradient in gradients.items():
      for _ in range(_NUM_DIRECTIONS):
        direction = generator.normal(size=gradient.shape)
        step = tolerance / 10 * direction
        values = []
        for sign in (1, -1):
          if name == 'gradient':
            shift = tf.cast(sign * step, dtype)
            source = {subject.source: batch[subject.source] + shift}
            values.append(float(mixture({**batch, **source})))
          else:
            before = trained[name].numpy()
            trained[name].assign_add(sign * step)
            values.append(float(mixture(batch)))
            trained[name].assign(before)
        slope = (values[0] - values[1]) / (2 * tolerance / 10)
        # Relative to the usual slope: along some directions it is small.
        np.testing.assert_allclose(
            np.sum(gradient * direction),
            slope,
            rtol=0,
            atol=tolerance * np.linalg.norm(gradient),
            err_msg=name,
        )


if __name__ == '__main__':
  absltest.main()
