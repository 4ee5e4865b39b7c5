"""Layers and augmentation of sizes that are not known while tracing.

A layer computes what it computes of known sizes, or its `ValueError` names the
argument whose sizes it has to know.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import augmentation, layers
from tests.core.conformance import member, table_layers

_IMAGES = np.random.default_rng(0).uniform(size=(4, 6, 5, 2))
_SEED = (3, 5)
_REFUSED = {
    'BlurPool': 'input_shape',
    'PatchEmbedding': 'input_shape',
    'whitening_filters': 'images',
}
_FUNCTIONS = {
    'attention__mask_and_dropout': lambda x: _attention()(
        x[:, 0],
        mask=tf.ones([tf.shape(x)[2]] * 2, tf.bool),
        is_training=True,
        seed=_SEED,
    ),
    'augment': lambda x: augmentation.augment(
        flip='random', erasing_probability=0.5
    )({'image': x}, tf.constant(_SEED))['image'],
    'max_pool2d__by_pooling': functools.partial(
        layers.max_pool2d, size=2, by_reshape=False
    ),
    'max_pool2d__by_reshape': functools.partial(
        layers.max_pool2d, size=2, by_reshape=True
    ),
    'shift': lambda x: augmentation.shift(x, [[1, -2]] * 4, 'reflect'),
}


@functools.cache
def _attention():
  layer = layers.MultiHeadAttention(2, 3, dropout_rate=0.5)
  layer.build([None, None, 2])
  return layer


def _unknown(shape):
  return [None] * (len(shape) - 1) + [shape[-1]]


class UnknownSizesTest(parameterized.TestCase):

  @parameterized.named_parameters((name, name) for name in table_layers.MEMBERS)
  def test_a_layer(self, name):
    line = table_layers.MEMBERS[name]
    subject = line.make()
    batch = member.tensors(line.batch([1.0] * 6))
    inputs, weights = batch['inputs'], batch['weight']

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec(_unknown(inputs.shape))],
    )
    def traced(inputs):
      return subject({'inputs': inputs, 'weight': weights})

    if name in _REFUSED:
      with self.assertRaisesRegex(ValueError, _REFUSED[name]):
        traced(inputs)
      return
    expected = subject({'inputs': inputs, 'weight': weights})
    for actual, known in zip(
        tf.nest.flatten(traced(inputs)), tf.nest.flatten(expected), strict=True
    ):
      np.testing.assert_allclose(actual, known, 1e-5, 1e-6)

  @parameterized.named_parameters(_FUNCTIONS.items())
  def test_a_function(self, function):
    images = tf.constant(_IMAGES, tf.float32)
    signature = [tf.TensorSpec(_unknown(images.shape))]
    traced = tf.function(function, autograph=False, input_signature=signature)
    np.testing.assert_allclose(traced(images), function(images), 1e-5, 1e-6)

  def test_shifts_need_to_know_the_images_size(self):
    augment = augmentation.augment(max_shift=2)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1])])
    def traced(images):
      return augment({'image': images}, tf.constant(_SEED))

    with self.assertRaisesRegex(ValueError, 'batch: .*known height'):
      traced(tf.ones([1, 4, 4, 1]))


if __name__ == '__main__':
  absltest.main()
