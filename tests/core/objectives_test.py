"""Tests of the supervised objective, weighted by hand."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    augmentation,
    losses,
    models,
    objectives,
    precision,
    random,
)
from tests.core.models import cases

_LABELS = tf.constant([0, 1, 1])


def _loss(labels, logits):
  """A loss that is easy to follow: the label's own logit."""
  return tf.gather(logits, labels, batch_dims=1)


class Fixed(models.Model):
  """Returns what it was made with and remembers how it was called."""

  def __init__(self, outputs, head_weights=None):
    super().__init__()
    self.outputs = outputs
    self.w = tf.Variable(3.0)
    if head_weights:
      self.head_weights = head_weights

  def __call__(self, inputs, is_training, seed=None):
    self.called_with = (inputs, is_training, seed)
    return self.outputs


class SupervisedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.logits = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    self.batch = {'image': tf.ones([3, 2]), 'label': _LABELS}

  def test_logits(self):
    model = Fixed(self.logits)
    seed = tf.constant([1, 2])
    evaluation = objectives.supervised(_loss)(model, self.batch, seed, True)
    np.testing.assert_array_equal(evaluation.values, [1.0, 4.0, 6.0])
    self.assertIs(evaluation.predictions, self.logits)
    self.assertEqual(float(evaluation.penalty), 0.0)
    self.assertEqual(evaluation.penalty.shape, [])
    self.assertIs(model.called_with[0], self.batch['image'])
    self.assertEqual(model.called_with[1:], (True, seed))

  def test_heads_losses_from_inside_and_penalty(self):
    model = Fixed(
        {
            'logits': self.logits,
            'side': 10 * self.logits,
            'unscored': tf.zeros([3, 9]),
            'losses': {
                'one': tf.constant([0.5, 0.0, 0.25], tf.bfloat16),
                'two': tf.constant([0.0, 100.0, 0.0]),
            },
        },
        head_weights={'logits': 0.75, 'side': 0.5},
    )
    objective = objectives.supervised(
        _loss, penalty=lambda model: losses.l2_penalty(model.w, scale=2.0)
    )
    evaluation = objective(model, self.batch, None, False)
    # 0.75 v + 0.5 * 10 v + one + two, for v = 1, 4, 6.
    np.testing.assert_allclose(evaluation.values, [6.25, 123.0, 34.75])
    self.assertEqual(evaluation.values.dtype, tf.float32)
    self.assertEqual(float(evaluation.penalty), 18.0)
    self.assertIs(evaluation.predictions, self.logits)
    self.assertEqual(model.called_with[1:], (False, None))

  def test_inputs_are_a_function_of_the_batch(self):
    model = Fixed(self.logits)
    inputs = lambda batch: {'twice': 2 * batch['image']}
    objectives.supervised(_loss, inputs=inputs)(model, self.batch, None, False)
    np.testing.assert_array_equal(
        model.called_with[0]['twice'], 2 * np.ones([3, 2])
    )

  def test_values_are_float32_whatever_the_precision_of_the_model(self):
    model = Fixed(tf.cast(self.logits, tf.bfloat16))
    objective = objectives.supervised(losses.softmax_cross_entropy)
    evaluation = objective(model, self.batch, None, False)
    self.assertEqual(evaluation.values.dtype, tf.float32)

  def test_a_loss_that_is_reduced(self):
    loss = lambda labels, logits: tf.reduce_mean(logits)
    with self.assertRaisesRegex(ValueError, 'loss: '):
      objectives.supervised(loss)(Fixed(self.logits), self.batch, None, False)

  @parameterized.product(
      labels=([3], [3, 3]),
      more=(0, 1),
      batch_size=(3, None),
      swapped=(False, True),
  )
  def test_nothing_is_broadcast_in_silence(
      self, labels, more, batch_size, swapped
  ):
    """A difference of plain TensorFlow; equal shapes alone are taken."""
    predictions = [*labels, *([1] * more)]
    if swapped:
      labels, predictions = predictions, labels
    objective = objectives.supervised(
        lambda labels, predictions: (labels - predictions) ** 2, inputs='x'
    )

    @tf.function(
        input_signature=[
            tf.TensorSpec([batch_size, *shape[1:]])
            for shape in (labels, predictions)
        ]
    )
    def evaluate(labels, predictions):
      batch = {'x': labels, 'label': labels}
      return objective(lambda _: predictions, batch, None, False).values

    arrays = tf.ones(labels), tf.ones(predictions)
    if not more:
      self.assertEqual(evaluate(*arrays).shape, labels)
      return
    with self.assertRaisesRegex(ValueError, 'loss: labels .* is broadcast'):
      evaluate(*arrays)

  def test_losses_of_places_or_of_whole_examples(self):
    labels, logits = tf.zeros([2, 5], tf.int32), tf.zeros([2, 5, 3])
    for rank in (1, 2):
      objective = objectives.supervised(
          lambda labels, logits, rank=rank: tf.reduce_mean(
              logits, axis=list(range(rank, 3))
          ),
          inputs='x',
      )
      batch = {'x': labels, 'label': labels}
      values = objective(Fixed(logits), batch, None, False).values
      self.assertEqual(values.shape, [2, 5][:rank])

  def test_class_weights_and_smoothing_reach_the_loss(self):
    loss = functools.partial(
        losses.softmax_cross_entropy,
        class_weights=[1.0, 3.0],
        label_smoothing=0.2,
    )
    model = Fixed(tf.zeros([3, 2]))
    evaluation = objectives.supervised(loss)(model, self.batch, None, True)
    # -log(1/2), times the weight of the class.
    np.testing.assert_allclose(
        evaluation.values, np.log(2) * np.array([1, 3, 3]), rtol=1e-6
    )


class Columns(models.Model):
  """Two heads that show which images they were given, and by what seed."""

  def __init__(self):
    super().__init__()
    self.head_weights = {'logits': 1.0, 'side': 0.5}
    self.seeds = []

  def __call__(self, inputs, is_training, seed=None):
    self.seeds.append(seed)
    logits = inputs[:, 0, :, 0]
    return {
        'logits': logits,
        'side': tf.exp(logits),
        'unscored': tf.zeros([]),
        'losses': {'first': logits[:, 0]},
    }


class AugmentedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.batch = {
        'image': tf.reshape([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 1, 2, 1]),
        'label': _LABELS,
    }
    self.seeds = []

  def _mirror(self, batch, seed):
    self.seeds.append(seed)
    return {**batch, 'image': batch['image'][:, :, ::-1]}

  def test_in_training_only_and_with_a_seed_of_its_own(self):
    model = Columns()
    objective = objectives.augmented(objectives.supervised(_loss), self._mirror)
    seed = tf.constant([1, 2])
    evaluation = objective(model, self.batch, seed, is_training=True)
    np.testing.assert_array_equal(
        evaluation.predictions, [[2, 1], [4, 3], [6, 5]]
    )
    self.assertIs(model.seeds[0], seed)
    own = self.seeds[0].numpy().tolist()
    others = [seed, *(random.layer_seed(seed, i) for i in range(100))]
    self.assertNotIn(own, [other.numpy().tolist() for other in others])
    objective(model, self.batch, seed + 1, is_training=True)
    self.assertNotEqual(self.seeds[1].numpy().tolist(), own)
    evaluation = objective(model, self.batch, None, is_training=False)
    np.testing.assert_array_equal(
        evaluation.predictions, [[1, 2], [3, 4], [5, 6]]
    )
    self.assertLen(self.seeds, 2)


class ViewsTest(parameterized.TestCase):

  def test_by_hand(self):
    batch = {
        'image': tf.reshape([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 1, 2, 1]),
        'label': _LABELS,
    }
    double = augmentation.View(0.25, lambda images: 2 * images)
    mirror = augmentation.View(0.75, lambda images: images[:, :, ::-1])
    objective = objectives.supervised(_loss, views=[double, mirror])
    evaluation = objective(Columns(), batch, None, is_training=False)
    expected = np.array([
        # A quarter of the doubled logits, three quarters of the mirrored ones.
        [0.25 * 2 + 0.75 * 2, 0.25 * 4 + 0.75 * 1],
        [0.25 * 6 + 0.75 * 4, 0.25 * 8 + 0.75 * 3],
        [0.25 * 10 + 0.75 * 6, 0.25 * 12 + 0.75 * 5],
    ])
    np.testing.assert_allclose(evaluation.predictions, expected)
    # The side head is averaged itself; so is the loss from inside, which here
    # is the first logit.
    side = [0.25 * np.exp(2) + 0.75 * np.exp(2)] + [
        0.25 * np.exp(x) + 0.75 * np.exp(y) for x, y in ((8, 3), (12, 5))
    ]
    own = expected[range(3), _LABELS]
    np.testing.assert_allclose(
        evaluation.values, own + 0.5 * np.array(side) + expected[:, 0]
    )
    training = objective(Columns(), batch, tf.constant([1, 2]), True)
    np.testing.assert_array_equal(
        training.predictions, batch['image'][:, 0, :, 0]
    )

  @parameterized.product(
      name=tuple(models.REGISTRY), dtype=('float32', 'bfloat16')
  )
  def test_every_model(self, name, dtype):
    model = cases.create(name)
    shape = (8, 8, 1)
    model.build(cases.input_shapes(model, shape))
    inputs = functools.partial(cases.inputs, model)
    views = augmentation.flip_shift_views()
    batch = cases.batch(model, shape, 5)
    # A model that takes no image sees the same in every view.
    image = batch.setdefault('image', np.zeros([5, *shape], np.float32))
    wrap = lambda objective: objective
    if dtype != 'float32':
      wrap = lambda objective: precision.mixed(objective, dtype)
    plain = wrap(objectives.supervised(_loss, inputs=inputs))
    evaluations = [
        plain(model, {**batch, 'image': view.transform(image)}, None, False)
        for view in views
    ]
    viewed = wrap(objectives.supervised(_loss, inputs=inputs, views=views))
    actual = viewed(model, batch, None, False)
    tolerance = {'float32': 1e-5, 'bfloat16': 2e-2}[dtype]
    for part in ('predictions', 'values'):  # The loss is linear in logits.
      expected = sum(
          view.weight * np.asarray(getattr(evaluation, part))
          for view, evaluation in zip(views, evaluations, strict=True)
      )
      np.testing.assert_allclose(
          getattr(actual, part), expected, rtol=tolerance, atol=tolerance
      )


if __name__ == '__main__':
  absltest.main()
