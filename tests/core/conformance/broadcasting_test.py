"""Layers, augmentation and loops take no size 1 for another, in silence.

Losses and metrics are in shapes_test, states of optimizers in states_test.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import augmentation, layers, loops, resident, substitution

_IMAGES = tf.ones([3, 4, 4, 1])
_TOKENS = tf.ones([2, 5, 4])
_ATTENTION = layers.MultiHeadAttention(3, 2)
_NORM = layers.BatchNorm()
_DENSE = layers.Dense(2)
_DENSE.build([None, 3])


def _residual(inputs):
  return layers.Residual(lambda x: tf.reduce_mean(x, 0, keepdims=True))(inputs)


# From one argument of a call, what does not fit, and its name.
_CALLS = {
    'attention_mask_of_queries': (
        lambda mask: _ATTENTION(_TOKENS, mask=mask),
        [[2, 5]],
        'mask',
        tf.bool,
    ),
    'attention_mask_of_batches': (
        lambda mask: _ATTENTION(_TOKENS, mask=mask),
        [[3, 5, 5]],
        'mask',
        tf.bool,
    ),
    'batch_norm_weights': (
        lambda weights: _NORM(_IMAGES, True, weights),
        [[1], [3, 1], []],
        'weights',
        tf.float32,
    ),
    'boxes': (
        lambda boxes: augmentation.erase(_IMAGES, boxes),
        [[1, 4], [3, 1]],
        'boxes',
        tf.int32,
    ),
    'epoch': (
        lambda epoch: augmentation.alternating_flips([1, 2, 3], epoch),
        [[1], []],
        'epoch',
        tf.int32,
    ),
    'fill': (
        lambda fill: augmentation.erase(
            _IMAGES, tf.zeros([3, 4], tf.int32), fill
        ),
        [[1], [3, 1, 1, 1], [1, 4, 4, 1]],
        'images|fill',
        tf.float32,
    ),
    'flipped': (
        lambda flipped: augmentation.flip(_IMAGES, flipped),
        [[1], [3, 1]],
        'flipped',
        tf.bool,
    ),
    'offsets': (
        lambda offsets: augmentation.shift(_IMAGES, offsets),
        [[1, 2], [3, 1]],
        'offsets',
        tf.int32,
    ),
    'substituted': (
        lambda w: substitution.substitute(_DENSE, {'linear/w': w}),
        [[1, 2], [2], []],
        'values: linear/w',
        tf.float32,
    ),
    'sums_of_steps': (
        lambda value: loops.add_up(
            lambda taken: {'loss': tf.zeros([]), 'hits': value},
            {'loss': tf.zeros([]), 'hits': tf.zeros([3, 3])},
            tf.constant(1),
        ),
        [[3], [1, 3], []],
        'step',
        tf.float32,
    ),
    'view': (
        lambda image: augmentation.stack(
            [augmentation.View(1.0, lambda images: image)], {'image': _IMAGES}
        ),
        [[1, 4, 4, 1], []],
        'view',
        tf.float32,
    ),
    'weight_of_a_view': (
        lambda weight: augmentation.average(
            [augmentation.View(weight, tf.identity)], tf.ones([3, 2])
        ),
        [[1], [3, 1], [2]],
        'views',
        tf.float32,
    ),
}


class BroadcastingTest(parameterized.TestCase):

  @parameterized.named_parameters(
      *((name, *case) for name, case in _CALLS.items())
  )
  def test_is_refused(self, call, shapes, name, dtype):
    for shape in shapes:
      with (
          self.subTest(shape=shape),
          self.assertRaisesRegex(ValueError, rf'\b({name}).*: '),
      ):
        call(tf.cast(tf.ones(shape), dtype))

  @parameterized.parameters(None, True)
  def test_a_residual_branch(self, jit_compile):
    with self.assertRaisesRegex(ValueError, 'function: expected a result'):
      _residual(_IMAGES)
    traced = tf.function(
        _residual,
        input_signature=[tf.TensorSpec([None, 4])],
        jit_compile=jit_compile,
    )
    with self.assertRaises(tf.errors.InvalidArgumentError):
      # As far as known, the mean over examples has the shape of the inputs.
      traced(tf.ones([3, 4]))
    np.testing.assert_array_equal(traced(tf.ones([1, 4])), 2 * np.ones([1, 4]))

  def test_resident_arrays_of_different_lengths(self):
    with self.assertRaisesRegex(ValueError, "arrays: .*'label': 1"):
      resident.place({'image': np.ones([3, 2]), 'label': np.ones([1])})


if __name__ == '__main__':
  absltest.main()
