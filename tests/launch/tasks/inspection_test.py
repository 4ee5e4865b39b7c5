"""Tests of what reports say of single examples, by hand and by SciPy.

Covers: calibration, overlaps, residuals.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized
from scipy import optimize, special

from core import objectives
from launch.tasks import (
    calibration,
    inspection,
    overlaps,
    residuals,
)


def _logits(scale=3.0):
  """Returns labels, and logits that are sure of them beyond reason."""
  generator = np.random.default_rng(0)
  logits = generator.normal(size=[400, 4])
  labels = np.array(
      [generator.choice(4, p=each) for each in special.softmax(logits, axis=1)]
  )
  return labels, scale * logits


class InspectionTest(absltest.TestCase):

  def test_any_task(self):
    found = inspection.Inspection().columns(
        {}, objectives.Evaluation(tf.constant([[1.0, 3.0], [0.0, 0.0]]))
    )
    np.testing.assert_array_equal(found['score'], [2, 0])


class CalibrationTest(parameterized.TestCase):

  @parameterized.parameters(0.2, 1.0, 3.0, 30.0)
  def test_the_temperature_is_that_of_scipy(self, scale):
    labels, logits = _logits(scale)
    found = calibration.temperature(labels, logits)
    best = optimize.minimize_scalar(
        lambda log: calibration.nll(labels, logits / np.exp(log)),
        bounds=(-3, 5),
        method='bounded',
        options={'xatol': 1e-8},
    )
    np.testing.assert_allclose(found, np.exp(best.x), rtol=1e-4)

  def test_nll_is_that_of_scipy(self):
    labels, logits = _logits()
    np.testing.assert_allclose(
        calibration.nll(labels, logits),
        -special.log_softmax(logits, axis=1)[np.arange(400), labels].mean(),
    )

  def test_the_error_by_hand(self):
    # Two bins: 2 of 3 right at 0.9, and none of 1 at 0.5.
    confidence = np.array([0.9, 0.9, 0.9, 0.5])
    is_right = np.array([True, True, False, False])
    self.assertAlmostEqual(
        calibration.error(confidence, is_right),
        0.75 * (0.9 - 2 / 3) + 0.25 * 0.5,
    )

  def test_columns(self):
    evaluation = objectives.Evaluation(
        tf.zeros([3]),
        {'logits': tf.constant([[0, 2.0], [0, 2.0], [np.nan, 0]])},
    )
    found = calibration.OfClasses(['a', 'b']).columns(
        {'label': tf.constant([0, 1, 0])}, evaluation
    )
    sure = special.expit(2.0)
    np.testing.assert_allclose(
        found['score'], [sure, -np.inf, np.nan], rtol=1e-6
    )
    self.assertEqual(found['prediction'].numpy()[:2].tolist(), [b'b', b'b'])

  def test_sections(self):
    labels, logits = _logits()
    half = {'class': labels[:200], 'logits': logits[:200]}
    logits[300] = np.inf  # It is left out.
    other = {'class': labels[200:], 'logits': logits[200:]}
    classes = calibration.OfClasses('abcd')
    [section] = classes.sections({'test': other, 'validation': half})
    (_, _, _, before), (_, value, _, after) = section.rows
    self.assertAlmostEqual(value, calibration.temperature(*half.values()))
    self.assertLess(after, before / 2)
    self.assertIn('1 examples have outputs that are not finite', section.text)
    diagram, histogram = section.figures['reliability.png']().axes
    self.assertLen(diagram.lines, 3)
    self.assertLen(histogram.patches, 2)
    cut = other | {'logits': logits[200:300]}  # Of many classes.
    [section] = classes.sections({'test': cut})
    self.assertIn('class of 100 examples', section.text)
    self.assertNotIn('not finite', section.text)
    [section] = classes.sections({'validation': half})
    self.assertIn('No temperature is fitted', section.text)
    self.assertLen(section.rows, 1)
    nothing = {'class': labels[:1], 'logits': np.full([1, 4], np.nan)}
    self.assertEqual(classes.sections({'test': nothing}), ())


class ResidualsTest(absltest.TestCase):

  def test_several_numbers(self):
    std = np.array([1.0, 10.0], np.float32)
    numbers = residuals.OfNumbers(('a', 'b'), std, None)
    labels = np.zeros([4, 2], np.float32)
    predictions = np.array([[0, 5], [1, 0], [-2, 0], [np.inf, 1]], np.float32)
    found = numbers.columns(
        {},
        objectives.Evaluation(
            tf.zeros([4]), tf.constant(predictions), labels=tf.constant(labels)
        ),
    )
    np.testing.assert_array_equal(found['score'], [0.5, 1, 2, np.inf])
    [section] = numbers.sections({'test': {'error': found['error'].numpy()}})
    (a, *of_a), (b, *of_b) = section.rows
    self.assertEqual([a, b], ['a', 'b'])
    np.testing.assert_allclose(of_a[0], -1 / 3)
    np.testing.assert_allclose(
        [of_b[0], of_b[2], of_b[5], of_b[-1]], [1.5, 0, 0.5, 5]
    )
    self.assertLen(section.figures['residuals.png']().axes, 2)
    nothing = {'error': np.full([1, 2], np.nan)}
    self.assertEqual(numbers.sections({'test': nothing}), ())

  def test_the_middle_of_quantiles(self):
    numbers = residuals.OfNumbers(('a',), np.ones(1, np.float32), 1)
    found = numbers.columns(
        {},
        objectives.Evaluation(
            tf.zeros([1]),
            tf.constant([[[1.0, 2.0, 9.0]]]),
            labels=tf.constant([[5.0]]),
        ),
    )
    np.testing.assert_array_equal(found['error'], [[-3]])


class OverlapsTest(absltest.TestCase):

  def test_by_hand(self):
    label = np.array([[[0, 0], [1, 1]], [[0, 0], [0, 0]]])
    mask = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 0]]])
    logits = tf.one_hot(mask, 3)
    found = overlaps.OfMasks(3).columns(
        {'label': tf.constant(label)},
        objectives.Evaluation(tf.zeros([2]), logits),
    )
    # Of class 0 1/2, of class 1 2/3; there is no class 2.
    np.testing.assert_allclose(found['iou'], [7 / 12, 1], rtol=1e-6)
    np.testing.assert_allclose(found['score'], [5 / 12, 0], rtol=1e-6)
    np.testing.assert_array_equal(found['prediction'], mask)


if __name__ == '__main__':
  absltest.main()
