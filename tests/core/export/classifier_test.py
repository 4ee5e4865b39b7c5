"""Tests of the wrapper that every export is made from."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import export, models
from tests.core.export import cases


class ClassifierTest(parameterized.TestCase):

  @parameterized.parameters(*cases.NAMES)
  def test_bytes_and_floats_give_the_model(self, name):
    model = cases.build(name)
    classifier = cases.wrap(model)
    pixels = cases.images(5)
    expected = cases.probabilities(model, pixels)
    raw = classifier.predict_uint8(pixels)
    scaled = classifier.predict_float(pixels.astype(np.float32) / 255)
    for outputs in (raw, scaled):
      np.testing.assert_allclose(outputs['probabilities'], expected, atol=1e-6)
      np.testing.assert_allclose(
          tf.nn.softmax(outputs['logits']), expected, atol=1e-6
      )
      np.testing.assert_array_equal(outputs['class'], expected.argmax(-1))
      self.assertEqual(outputs['class'].dtype, tf.int64)
      self.assertSequenceEqual(
          [label.decode() for label in outputs['label'].numpy()],
          [cases.LABELS[index] for index in expected.argmax(-1)],
      )

  def test_batches_of_any_size_share_one_trace(self):
    predict = cases.wrap(cases.build('mlp')).predict_uint8
    for size in (1, 3, 0):
      self.assertLen(predict(cases.images(size))['label'], size)
    self.assertEqual(predict.experimental_get_tracing_count(), 1)

  def test_runner_takes_both_types_and_no_other(self):
    model = cases.build('mlp')
    run = export.classifier_runner(cases.wrap(model))
    pixels = cases.images(4)
    expected = cases.probabilities(model, pixels)
    np.testing.assert_allclose(run(pixels), expected, atol=1e-6)
    np.testing.assert_allclose(
        run((pixels / 255).astype(np.float32)), expected, atol=1e-6
    )
    with self.assertRaisesRegex(TypeError, 'images: .* got float64'):
      run(pixels / 255)

  @parameterized.parameters(
      (('a', 'b', 'c'), 'expected 4 names.*got 3'),
      (('a', 'b', 'c', 'd', 'e'), 'expected 4 names.*got 5'),
      (('a', 'b', 'c\n', 'd'), 'not one line'),
      (('a', 'b', '', 'd'), 'not one line'),
  )
  def test_refuses_label_names(self, names, message):
    with self.assertRaisesRegex(ValueError, f'label_names: .*{message}'):
      export.Classifier(
          cases.build('mlp'), tf.identity, cases.IMAGE_SHAPE, names
      )

  def test_refuses_a_model_that_is_not_built(self):
    model = models.create('mlp', len(cases.LABELS))
    with self.assertRaisesRegex(ValueError, 'model: it has no variables'):
      cases.wrap(model)


if __name__ == '__main__':
  absltest.main()
