"""Tests of signatures that take PNG and JPEG files, as a server calls them."""

from __future__ import annotations

import base64
import json
import os

import numpy as np
import tensorflow as tf
from absl.testing import absltest
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from core import export
from tests.core.export import cases


def _served(directory, request):
  """Answers a request as TensorFlow Serving's REST interface would.

  It reads `signature_name` and `instances`, each a value for the only input or
  a mapping, where an object `b64` stands for bytes; and answers with
  `predictions`, one for each instance.
  """
  request = json.loads(request)
  signature = tf.saved_model.load(directory).signatures[
      request.get('signature_name', 'serving_default')
  ]
  [(name, spec)] = signature.structured_input_signature[1].items()

  def value(instance):
    found = instance
    if isinstance(instance, dict):
      found = instance.get(name, instance)
    is_bytes = isinstance(found, dict) and set(found) == {'b64'}
    return base64.b64decode(found['b64']) if is_bytes else found

  batch = tf.constant(list(map(value, request['instances'])), spec.dtype)
  outputs = {n: v.numpy().tolist() for n, v in signature(batch).items()}
  return [
      dict(zip(outputs, row)) for row in zip(*outputs.values(), strict=True)
  ]


class PicturesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.model = cases.build('convnet')
    self.directory = os.path.join(cases.temporary_folder(self), 'saved_model')
    export.save_saved_model(cases.wrap(self.model), self.directory)

  def probabilities(self, contents):
    signature = tf.saved_model.load(self.directory).signatures['bytes']
    found = signature(image_bytes=tf.constant(contents))
    return found['probabilities'].numpy()

  def test_files_of_the_size_of_the_model(self):
    pixels = cases.images(3)
    png = [tf.io.encode_png(each).numpy() for each in pixels]
    np.testing.assert_allclose(
        self.probabilities(png),
        cases.probabilities(self.model, pixels),
        atol=1e-6,
    )
    jpeg = [tf.io.encode_jpeg(each).numpy() for each in pixels[:2]]
    decoded = np.stack([tf.io.decode_jpeg(each) for each in jpeg])
    np.testing.assert_allclose(
        self.probabilities([*jpeg, png[2]])[:2],
        cases.probabilities(self.model, decoded),
        atol=1e-6,
    )

  def test_others_are_resized_and_grey_ones_coloured(self):
    height, width, _ = cases.IMAGE_SHAPE
    large = np.full([3 * height, 2 * width, 1], 77, np.uint8)
    pixels = np.full([1, *cases.IMAGE_SHAPE], 77, np.uint8)
    np.testing.assert_allclose(
        self.probabilities([tf.io.encode_png(large).numpy()]),
        cases.probabilities(self.model, pixels),
        atol=1e-6,
    )

  def test_requests_of_tensorflow_serving(self):
    pixels = cases.images(2)
    expected = cases.probabilities(self.model, pixels)
    encoded = [
        base64.b64encode(tf.io.encode_png(each).numpy()).decode()
        for each in pixels
    ]
    for request in (
        {'instances': (pixels / 255).tolist()},
        {'signature_name': 'uint8', 'instances': pixels.tolist()},
        {'signature_name': 'bytes', 'instances': [{'b64': e} for e in encoded]},
        {
            'signature_name': 'bytes',
            'instances': [{'image_bytes': {'b64': e}} for e in encoded[:1]],
        },
    ):
      answers = _served(self.directory, json.dumps(request))
      self.assertLen(answers, len(request['instances']))
      for answer, row in zip(answers, expected, strict=False):
        np.testing.assert_allclose(answer['probabilities'], row, atol=1e-6)
        self.assertEqual(answer['label'].decode(), cases.LABELS[row.argmax()])

  def test_signatures_are_what_it_serves(self):
    path = os.path.join(self.directory, 'saved_model.pb')
    with open(path, 'rb') as file:
      saved = saved_model_pb2.SavedModel.FromString(file.read())
    [graph] = saved.meta_graphs
    self.assertIn('serve', graph.meta_info_def.tags)
    for name in ('serving_default', 'float', 'uint8', 'bytes'):
      signature = graph.signature_def[name]
      shown = text_format.MessageToString(signature)
      self.assertEqual(signature.method_name, 'tensorflow/serving/predict')
      for tensor in (*signature.inputs.values(), *signature.outputs.values()):
        self.assertEqual(tensor.tensor_shape.dim[0].size, -1, shown)
    [given] = graph.signature_def['bytes'].inputs.items()
    self.assertEqual(given[0], export.IMAGE_BYTES)
    self.assertEqual(given[1].dtype, tf.string.as_datatype_enum)

  def test_which_images_can_be_files(self):
    for shape, dtype, expected in (
        ([8, 8, 3], tf.uint8, True),
        ([8, 8, 1], np.uint8, True),
        ([8, 8, 2], tf.uint8, False),
        ([8, 8], tf.uint8, False),
        ([None, 8, 3], tf.uint8, False),
        ([8, 8, 3], tf.float32, False),
    ):
      self.assertEqual(export.is_picture(shape, dtype), expected, shape)


if __name__ == '__main__':
  absltest.main()
