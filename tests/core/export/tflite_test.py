"""Tests of TensorFlow Lite exports."""

from __future__ import annotations

import importlib
import os
import warnings
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import export, models
from tests import virtual_devices
from tests.core.export import cases


class TFLiteTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = os.path.join(cases.temporary_folder(self), 'exports')
    self.path = os.path.join(self.folder, 'model.tflite')

  @parameterized.parameters(*cases.NAMES)
  @pytest.mark.medium
  def test_gives_the_models_probabilities(self, name):
    model = cases.build(name)
    export.save_tflite(cases.wrap(model), self.path)
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      run = export.tflite_runner(self.path)
    # The size goes up and down: the last batch of a split may be any.
    for size in (7, 1, 9):
      pixels = cases.images(size)
      expected = cases.probabilities(model, pixels)
      np.testing.assert_allclose(run(pixels), expected, atol=1e-6)
      np.testing.assert_allclose(
          run((pixels / 255).astype(np.float32)), expected, atol=1e-6
      )

  def test_mirrored_model(self):
    with virtual_devices.mirrored(2).scope():
      model = cases.build('convnet')
    export.save_tflite(cases.wrap(model), self.path)
    pixels = cases.images(3)
    np.testing.assert_allclose(
        export.tflite_runner(self.path)(pixels),
        cases.probabilities(model, pixels),
        atol=1e-6,
    )

  def test_signatures_share_the_weights(self):
    model = cases.build('mlp')
    export.save_tflite(cases.wrap(model), self.path)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      interpreter = tf.lite.Interpreter(self.path)
    signatures = interpreter.get_signature_list()
    self.assertSameElements(signatures, ('float', 'uint8'))
    for signature in signatures.values():
      self.assertEqual(signature['inputs'], ['image'])
      self.assertSameElements(signature['outputs'], export.OUTPUTS)
    weights = sum(4 * v.shape.num_elements() for v in model.trainable_variables)
    self.assertBetween(os.path.getsize(self.path), weights, 1.8 * weights)

  def test_labels_are_in_the_file(self):
    classifier = cases.wrap(cases.build('mlp'))
    export.save_tflite(classifier, self.path)
    with zipfile.ZipFile(self.path) as archive:
      self.assertIsNone(archive.testzip())
      text = archive.read('labels.txt').decode('utf-8')
    self.assertSequenceEqual(text.splitlines(), cases.LABELS)
    self.assertSequenceEqual(export.tflite_labels(self.path), cases.LABELS)

  def test_dynamic_range_is_a_quarter_and_close(self):
    model = models.create('mlp', len(cases.LABELS), hidden_sizes=(200,))
    model.build((None, *cases.IMAGE_SHAPE))
    classifier = cases.wrap(model)
    small = os.path.join(self.folder, 'small.tflite')
    export.save_tflite(classifier, self.path)
    export.save_tflite(classifier, small, quantize='dynamic_range')
    self.assertLess(os.path.getsize(small), 0.35 * os.path.getsize(self.path))
    pixels = cases.images(20)
    parity = export.compare(
        cases.probabilities(model, pixels), export.tflite_runner(small)(pixels)
    )
    self.assertBetween(parity.max_difference, 1e-6, 0.05)

  @parameterized.parameters('convnet', 'vit', 'row_rnn')
  @pytest.mark.medium
  def test_int8_computes_in_bytes_and_is_close(self, name):
    # TensorFlow's own interpreter computes the int8 ViT wrongly.
    importlib.import_module('ai_edge_litert')
    tf.random.set_seed(0)
    model = cases.build(name)
    pixels = cases.images(40)
    # All of them: what is beyond the ranges of the others saturates.
    export.save_tflite(
        cases.wrap(model),
        self.path,
        quantize='int8',
        examples=[{'image': each[np.newaxis]} for each in pixels],
    )
    run = export.tflite_function(self.path)
    for size in (40, 1, 7):
      found = run({'image': pixels[:size]})
      self.assertCountEqual(found, export.OUTPUTS)
      self.assertEqual(found['probabilities'].dtype, np.float32)
      parity = export.compare(
          cases.probabilities(model, pixels[:size]), found['probabilities']
      )
      self.assertBetween(parity.max_difference, 1e-6, 0.03)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      interpreter = tf.lite.Interpreter(self.path)
    interpreter.allocate_tensors()
    dtypes = [each['dtype'] for each in interpreter.get_tensor_details()]
    # The scaled image, the logits and the probabilities.
    self.assertLessEqual(dtypes.count(np.float32), 3)
    self.assertGreater(dtypes.count(np.int8), 8)
    self.assertEqual(export.tflite_labels(self.path), list(cases.LABELS))

  def test_replaces_a_file_and_leaves_no_scratch(self):
    for name in ('convnet', 'mlp'):
      model = cases.build(name)
      export.save_tflite(cases.wrap(model), self.path)
    self.assertSequenceEqual(os.listdir(self.folder), ['model.tflite'])
    pixels = cases.images(2)
    np.testing.assert_allclose(
        export.tflite_runner(self.path)(pixels),
        cases.probabilities(model, pixels),
        atol=1e-6,
    )

  def test_refuses(self):
    classifier = cases.wrap(cases.build('mlp'))
    with self.assertRaisesRegex(ValueError, "quantize: unknown 'int4'"):
      export.save_tflite(classifier, self.path, quantize='int4')
    with self.assertRaisesRegex(ValueError, 'examples: int8 needs some'):
      export.save_tflite(classifier, self.path, quantize='int8')
    self.assertFalse(os.path.exists(self.folder))
    os.makedirs(os.path.join(self.folder, 'thesis'))
    with self.assertRaisesRegex(ValueError, 'path: .*is a directory'):
      export.save_tflite(classifier, self.folder)
    self.assertSequenceEqual(os.listdir(self.folder), ['thesis'])
    with self.assertRaisesRegex(ValueError, 'path: there is no'):
      export.tflite_runner(self.path)


if __name__ == '__main__':
  absltest.main()
