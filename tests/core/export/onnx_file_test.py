"""Tests of ONNX exports."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import export
from tests import virtual_devices
from tests.core.export import cases


class ONNXTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = os.path.join(cases.temporary_folder(self), 'exports')
    self.path = os.path.join(self.folder, 'model.onnx')

  @parameterized.parameters(*cases.NAMES)
  def test_gives_the_models_probabilities(self, name):
    model = cases.build(name)
    export.save_onnx(cases.wrap(model), self.path)
    run = export.onnx_function(self.path)
    for size in (7, 1, 9):
      pixels = cases.images(size)
      found = run({'image': pixels})
      self.assertCountEqual(found, export.OUTPUTS)
      expected = cases.probabilities(model, pixels)
      np.testing.assert_allclose(found['probabilities'], expected, atol=1e-6)
      np.testing.assert_array_equal(found['class'], expected.argmax(-1))

  def test_a_mirrored_model_with_its_labels(self):
    with virtual_devices.mirrored(2).scope():
      model = cases.build('convnet')
    export.save_onnx(cases.wrap(model), self.path)
    pixels = cases.images(3)
    found = export.onnx_function(self.path)({'image': pixels})
    np.testing.assert_allclose(
        found['probabilities'], cases.probabilities(model, pixels), atol=1e-6
    )
    self.assertSequenceEqual(export.onnx_labels(self.path), cases.LABELS)
    self.assertSequenceEqual(os.listdir(self.folder), ['model.onnx'])

  def test_several_inputs_without_strings(self):
    function = cases.function(('low', 'high'))
    export.save_onnx(function, self.path)
    run = export.onnx_function(self.path)
    for size in (5, 2):
      inputs = cases.inputs_of_function(size)
      found = run(inputs)
      self.assertCountEqual(found, ['total', 'best'])
      np.testing.assert_allclose(
          found['total'],
          function.predict(**inputs)['total'],
          rtol=1e-5,
          atol=1e-6,
      )
    with self.assertRaisesRegex(ValueError, 'no signature takes numbers'):
      run({'numbers': np.zeros([1, 3], np.float32)})

  def test_what_it_cannot_hold(self):
    function = export.Function(
        cases.build('mlp'),
        lambda inputs: {'y': tf.math.digamma(inputs['x'])},
        {'x': tf.TensorSpec([None, 2], tf.float32)},
    )
    for save in (export.save_onnx, export.save_tflite):
      with self.assertRaisesRegex(
          export.UnsupportedError, 'lacks operations .*: Digamma'
      ):
        save(function, self.path)
      self.assertFalse(os.path.exists(self.folder))
    with self.assertRaisesRegex(ValueError, 'path: there is no'):
      export.onnx_function(self.path)


if __name__ == '__main__':
  absltest.main()
