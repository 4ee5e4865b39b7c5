"""Nothing is broadcast in silence, be shapes known while tracing or not.

Every loss and every measure of a metric is traced once, with all sizes unknown,
and then given arguments that do not fit.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses
from tests.core.conformance import table_losses, table_metrics

# These have no labels.
_ONE_ARGUMENT = {
    'activity_penalty',
    'confidence_penalty',
    'gradient_penalty',
    'triplet_margin_loss',
}
_LOSSES = {
    name: case
    for name, case in table_losses.CASES.items()
    # The sizes of ctc are not the labels'.
    if name.split('__')[0] not in _ONE_ARGUMENT | {'ctc_loss'}
}
_ERRORS = (ValueError, tf.errors.InvalidArgumentError)


def _unknown(*arrays):
  return [tf.TensorSpec([None] * array.ndim, array.dtype) for array in arrays]


def _parts(array):
  """Yields what a careless product would broadcast, and what it would not."""
  yield array[:1]
  yield array[:2]
  if array.ndim > 1:
    yield array[:, :1]
    yield array[:1, :1]


class ShapesTest(parameterized.TestCase):

  def _check(self, function, arguments, skipped=(), jit_compile=None):
    """Checks a function, traced for sizes that it does not know."""
    traced = tf.function(
        function,
        input_signature=_unknown(*arguments),
        autograph=False,
        jit_compile=jit_compile,
    )
    tf.nest.map_structure(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        traced(*arguments),
        function(*arguments),
    )
    for place, whole in enumerate(arguments):
      if place in skipped:
        continue
      for part in _parts(whole):
        given = [*arguments[:place], part, *arguments[place + 1 :]]
        with self.subTest(place=place, shape=part.shape):
          with self.assertRaises(_ERRORS):
            traced(*given)
          with self.assertRaises(ValueError):
            function(*given)

  @parameterized.named_parameters(*((name, name) for name in _LOSSES))
  def test_losses(self, name):
    self._check_loss(name)

  @parameterized.named_parameters(*((name, name) for name in _LOSSES))
  @pytest.mark.slow
  def test_losses_under_xla(self, name):
    self._check_loss(name, jit_compile=True)

  def test_a_loss_under_xla(self):
    self._check_loss('softmax_cross_entropy', jit_compile=True)
    self._check_loss('squared_error', jit_compile=True)

  def _check_loss(self, name, jit_compile=None):
    case = _LOSSES[name]
    labels, predictions = case.batch()
    arguments = [labels, predictions]
    if case.batch_wide:
      arguments.append(np.ones(6, np.float32))
    # Logits with too few classes cannot be detected.
    skipped = (1,) if predictions.ndim > labels.ndim else ()
    self._check(
        lambda *arguments: case(*arguments), arguments, skipped, jit_compile
    )

  @parameterized.named_parameters(
      *((name, name) for name in table_metrics.MEASURES)
  )
  def test_metrics(self, name):
    measure, kind = table_metrics.MEASURES[name]
    labels, predictions, weights = kind.whole(np.random.default_rng(0), 6)
    if name.startswith('mean_') and name[5:].isdigit():
      # The metric `mean` has no labels, and predictions of any shape.
      self._check(
          lambda x, w: measure(labels, x, w), [predictions[:, 0], weights]
      )
      return
    is_classes = predictions.ndim > labels.ndim
    self._check(measure, [labels, predictions, weights], (1,) * is_classes)

  @parameterized.named_parameters(
      ('mean', losses.mean, 2),
      ('total', losses.total, 2),
      (
          'weighted_sum',
          lambda a, b: losses.weighted_sum({'a': a, 'b': b}, {'b': 0.5}),
          2,
      ),
      (
          'compose',
          lambda a, b: losses.compose({
              'labels': lambda labels, predictions: labels,
              'predictions': lambda labels, predictions: predictions,
          })(a, b),
          2,
      ),
      (
          'gaussian_negative_log_likelihood',
          lambda a, b, c: losses.gaussian_negative_log_likelihood(
              a, b, variances=c
          ),
          3,
      ),
      (
          'triplet_margin_loss',
          lambda a, b, c: losses.triplet_margin_loss(
              *(tf.stack([x, x], axis=-1) for x in (a, b, c))
          ),
          3,
      ),
  )
  def test_functions_of_several_values(self, function, count):
    self._check(function, [np.float32([1, 2, 3, 1, 2, 3])] * count)

  @parameterized.parameters('softmax_cross_entropy', 'softmax_focal_loss')
  def test_class_weights(self, name):
    labels, predictions = table_losses.CASES[name].batch()
    self._check(
        lambda x, w: getattr(losses, name)(labels, x, class_weights=w),
        [predictions, np.float32([1, 2, 3, 4])],
        skipped=(0,),
    )

  @parameterized.parameters(*table_losses.OF_CLASSES)
  def test_class_mask(self, name):
    labels, predictions = table_losses.CASES[f'{name}__class_mask'].batch()
    mask = np.arange(table_losses.NUM_CLASSES) > 0
    loss = table_losses.CASES[name].loss
    # Both forms: of the classes, and of the logits' shape.
    self._check(
        lambda x, m, n: (
            loss(labels, x, class_mask=m),
            loss(labels, x, class_mask=n),
        ),
        [predictions, mask, np.broadcast_to(mask, predictions.shape)],
        skipped=(0,),
    )

  @parameterized.parameters(losses.mean, losses.total)
  def test_weights_of_leading_axes(self, reduce):
    values = np.random.default_rng(0).normal(size=(6, 2, 3))
    weights = np.ones([6, 2, 3], np.float32)
    # Values with too few places cannot be detected.
    self._check(reduce, [values, weights[..., 0]], skipped=(0,))
    self._check(reduce, [values, weights[:, 0, 0]], skipped=(0,))
    self._check(reduce, [values, weights])

  def test_sequences(self):
    labels, logits = table_losses.CASES['ctc_loss'].batch()
    lengths = np.full([6], labels.shape[1], np.int32)
    traced = tf.function(
        lambda y, n: losses.ctc_loss(y, logits, label_lengths=n),
        input_signature=_unknown(labels, lengths),
        autograph=False,
    )
    traced(labels, lengths)
    for given in ((labels[:1], lengths), (labels, lengths[:1])):
      with self.assertRaises(_ERRORS):
        traced(*given)

  def test_positive_weights(self):
    labels, logits = table_losses.CASES['sigmoid_binary_cross_entropy'].batch()
    self._check(
        lambda x, w: losses.sigmoid_binary_cross_entropy(
            labels, x, positive_weights=w
        ),
        [logits, np.float32([1, 2, 3])],
    )

  def test_a_schedule_of_a_weight_is_one_number(self):
    values = {'a': tf.ones([2])}
    with self.assertRaisesRegex(ValueError, 'weights: a: expected shape'):
      losses.weighted_sum(values, {'a': tf.ones([2])})
    with self.assertRaisesRegex(ValueError, 'weights: a: expected shape'):
      losses.weighted_sum(values, {'a': lambda step: tf.ones([1])}, step=0)


if __name__ == '__main__':
  absltest.main()
