"""Tests of SavedModel exports.

Covers: files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import export, optimizers, training, variables
from tests import virtual_devices
from tests.core.export import cases

# Run by a process that has one device and can import TensorFlow only.
_LOAD_ALONE = textwrap.dedent("""
    import sys

    class Refuse:
      def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('sonnet', 'chex', 'core', 'quatrain'):
          raise ImportError(f'{name} was imported')

    sys.meta_path.insert(0, Refuse())
    import numpy as np
    import tensorflow as tf

    directory, images, outputs = sys.argv[1:]
    loaded = tf.saved_model.load(directory)
    results = loaded.signatures['uint8'](image=tf.constant(np.load(images)))
    labels = loaded.signatures['labels']()['labels']
    np.savez(outputs, labels=labels.numpy().astype('S'), **{
        name: value.numpy().astype('S' if name == 'label' else value.dtype.name)
        for name, value in results.items()
    })
""")


class SavedModelTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = cases.temporary_folder(self)
    self.directory = os.path.join(self.folder, 'exports', 'saved_model')

  @parameterized.parameters(*cases.NAMES)
  @pytest.mark.medium
  def test_gives_the_models_probabilities(self, name):
    model = cases.build(name)
    export.save_saved_model(cases.wrap(model), self.directory)
    run = export.saved_model_runner(self.directory)
    for size in (7, 1):
      pixels = cases.images(size)
      expected = cases.probabilities(model, pixels)
      np.testing.assert_allclose(run(pixels), expected, atol=1e-6)
      np.testing.assert_allclose(
          run((pixels / 255).astype(np.float32)), expected, atol=1e-6
      )

  def test_mirrored_model_loads_with_tensorflow_alone(self):
    strategy = virtual_devices.mirrored(2)
    with strategy.scope():
      model = cases.build('convnet')
      optimizer = optimizers.adam(0.1)
      training.TrainState(model, optimizer)
    export.save_saved_model(cases.wrap(model), self.directory)
    pixels = cases.images(3)
    images, outputs = (
        os.path.join(self.folder, name) for name in ('in.npy', 'out.npz')
    )
    np.save(images, pixels)
    subprocess.run(
        [sys.executable, '-c', _LOAD_ALONE, self.directory, images, outputs],
        check=True,
        cwd=self.folder,
        env={**os.environ, 'PYTHONPATH': '', 'CUDA_VISIBLE_DEVICES': ''},
    )
    results = np.load(outputs)
    expected = cases.probabilities(model, pixels)
    np.testing.assert_allclose(results['probabilities'], expected, atol=1e-6)
    np.testing.assert_array_equal(results['class'], expected.argmax(-1))
    labels = [label.encode() for label in cases.LABELS]
    self.assertSequenceEqual(results['labels'].tolist(), labels)
    self.assertSequenceEqual(
        results['label'].tolist(),
        [labels[index] for index in expected.argmax(-1)],
    )

  def test_holds_the_models_variables_and_no_other(self):
    model = cases.build('mlp')
    training.TrainState(model, optimizers.adam(0.1))
    export.save_saved_model(cases.wrap(model), self.directory)
    saved = tf.train.list_variables(
        os.path.join(self.directory, 'variables', 'variables')
    )
    shapes = [shape for name, shape in saved if 'VARIABLE_VALUE' in name]
    expected = [v.shape.as_list() for v in variables.named(model).values()]
    self.assertCountEqual(shapes, expected)

  def test_signatures(self):
    export.save_saved_model(cases.wrap(cases.build('mlp')), self.directory)
    loaded = tf.saved_model.load(self.directory)
    self.assertSameElements(
        loaded.signatures,
        ('serving_default', 'float', 'uint8', 'labels', 'bytes'),
    )
    for name in ('serving_default', 'float', 'uint8'):
      signature = loaded.signatures[name]
      image = signature.structured_input_signature[1]['image']
      self.assertEqual(image.dtype, tf.uint8 if name == 'uint8' else tf.float32)
      self.assertEqual(image.shape.as_list(), [None, *cases.IMAGE_SHAPE])
      self.assertSameElements(
          signature.structured_outputs, (*export.OUTPUTS, 'label')
      )
    self.assertSequenceEqual(
        export.saved_model_labels(self.directory), cases.LABELS
    )

  def test_replaces_an_export(self):
    for name in ('mlp', 'convnet'):
      model = cases.build(name)
      export.save_saved_model(cases.wrap(model), self.directory)
    pixels = cases.images(2)
    np.testing.assert_allclose(
        export.saved_model_runner(self.directory)(pixels),
        cases.probabilities(model, pixels),
        atol=1e-6,
    )
    self.assertSequenceEqual(
        os.listdir(os.path.dirname(self.directory)), ['saved_model']
    )

  @parameterized.parameters('thesis.tex', 'saved_model.pb/thesis.tex')
  def test_refuses_to_replace_what_is_no_export(self, name):
    classifier = cases.wrap(cases.build('mlp'))
    os.makedirs(self.directory)
    if name.startswith('saved_model'):
      export.save_saved_model(classifier, self.directory)
    thesis = os.path.join(self.directory, os.path.basename(name))
    with open(thesis, 'w') as file:
      file.write('Three years of work.')
    with self.assertRaisesRegex(ValueError, 'directory: .*is not a SavedModel'):
      export.save_saved_model(classifier, self.directory)
    self.assertTrue(os.path.exists(thesis))
    with self.assertRaisesRegex(ValueError, 'directory: .*is not a SavedModel'):
      export.save_saved_model(classifier, thesis)

  def test_failure_leaves_the_old_export_and_no_scratch(self):
    model = cases.build('mlp')
    classifier = cases.wrap(model)
    export.save_saved_model(classifier, self.directory)
    classifier.predict_uint8 = None
    with self.assertRaises(ValueError):
      export.save_saved_model(classifier, self.directory)
    self.assertSequenceEqual(
        os.listdir(os.path.dirname(self.directory)), ['saved_model']
    )
    pixels = cases.images(2)
    np.testing.assert_allclose(
        export.saved_model_runner(self.directory)(pixels),
        cases.probabilities(model, pixels),
        atol=1e-6,
    )

  def test_what_a_killed_process_left_is_removed(self):
    left = os.path.join(os.path.dirname(self.directory), '.export_left')
    os.makedirs(os.path.join(left, 'new', 'variables'))
    with open(os.path.join(left, '.owner'), 'w'):
      export.save_saved_model(cases.wrap(cases.build('mlp')), self.directory)
    self.assertSequenceEqual(
        os.listdir(os.path.dirname(self.directory)), ['saved_model']
    )


if __name__ == '__main__':
  absltest.main()
