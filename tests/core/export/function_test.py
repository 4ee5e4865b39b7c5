"""Tests of core.export.function: any function as a file."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import export, layers
from tests.core.export import cases


class FunctionTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def test_saved_model(self):
    function = cases.function()
    export.save_saved_model(function, f'{self.folder}/it')
    run = export.saved_model_function(f'{self.folder}/it')
    for size in (5, 2):
      inputs = cases.inputs_of_function(size)
      expected = function.predict(**inputs)
      found = run(inputs)
      self.assertCountEqual(found, ['total', 'best', 'name'])
      np.testing.assert_allclose(found['total'], expected['total'], rtol=1e-6)
      np.testing.assert_array_equal(found['name'], expected['name'])

  def test_tflite_has_no_strings(self):
    function = cases.function(('low', 'high'))
    path = os.path.join(self.folder, 'it.tflite')
    export.save_tflite(function, path)
    self.assertEqual(export.tflite_labels(path), ['low', 'high'])
    run = export.tflite_function(path)
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

  def test_inputs_that_do_not_fit(self):
    export.save_saved_model(cases.function(), f'{self.folder}/it')
    run = export.saved_model_function(f'{self.folder}/it')
    for inputs in (
        {'numbers': np.zeros([1, 3], np.float32)},
        {**cases.inputs_of_function(), 'counts': np.zeros([5, 2], np.int64)},
    ):
      with self.assertRaisesRegex(ValueError, 'no signature takes numbers'):
        run(inputs)

  def test_what_cannot_be_wrapped(self):
    built = layers.Dense(2)
    built.build([None, 3])
    for model, signature, message in (
        (layers.Dense(2), {'x': tf.TensorSpec([None, 3])}, 'no variables'),
        (built, {}, 'at least one input'),
    ):
      with self.assertRaisesRegex(ValueError, message):
        export.Function(model, lambda inputs: inputs, signature)


if __name__ == '__main__':
  absltest.main()
