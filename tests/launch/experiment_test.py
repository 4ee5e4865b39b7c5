"""Tests of launch.experiment: what the flags of a config change.

Covers: training.augmenting, training.optimizing, training.penalties.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import distribution, layers, training, variables
from launch import data as data_lib
from launch import experiment as experiment_lib
from launch import programs, reading
from launch.tasks import classification
from launch.training import augmenting, optimizing
from pipelines import spec as spec_lib
from tests import small_datasets, virtual_devices
from tests.launch import runs

_LABELS = np.array([0, 1, 2, 3, 1])
_LOGITS = np.random.default_rng(0).normal(size=[5, 4]).astype(np.float32)


def _data(**changes):
  return data_lib.DataSpec(**{
      'spec': spec_lib.of_images((8, 8, 3), 'abcd'),
      'num_examples': {'train': 240},
      **changes,
  })


def _experiment(data=None, **changes):
  return experiment_lib.Experiment(runs.config(**changes), data or _data(), 20)


def _batch(size=5):
  generator = np.random.default_rng(1)
  return {
      'image': tf.constant(
          generator.integers(0, 256, [size, 8, 8, 3]), tf.uint8
      ),
      'label': tf.constant(generator.integers(0, 4, [size])),
      'weight': tf.ones([size]),
  }


class Casting(tf.Module):
  """Multiplies float32 by weights that half precision has cast."""

  def __init__(self, num_classes):
    super().__init__()
    self.w = tf.Variable(tf.zeros([192, num_classes]))

  def __call__(self, images):
    return tf.reshape(tf.cast(images, tf.float32), [-1, 192]) @ self.w


class LossTest(parameterized.TestCase):

  def test_class_weights_and_smoothing(self):
    weights = (0.5, 2.0, 1.0, 0.0)
    loss = classification.make_loss(
        _data(), runs.config(class_weights=weights, label_smoothing=0.2)
    )
    log_p = _LOGITS - np.log(np.exp(_LOGITS).sum(1, keepdims=True))
    targets = 0.8 * np.eye(4)[_LABELS] + 0.05
    expected = np.array(weights)[_LABELS] * -(targets * log_p).sum(1)
    np.testing.assert_allclose(
        loss(tf.constant(_LABELS), tf.constant(_LOGITS)), expected, rtol=1e-5
    )

  @parameterized.parameters(
      ((1.0, 2.0), '2 weights for 4 classes'),
      ((1.0,) * 5, '5 weights for 4 classes'),
      ((), '0 weights for 4 classes'),
      ((1.0, 1.0, float('nan'), 1.0), 'nan'),
      ((1.0, 1.0, float('inf'), 1.0), 'inf'),
      ((1.0, 1.0, -1.0, 1.0), '-1.0'),
      ((0.0,) * 4, 'not all of them 0'),
  )
  def test_class_weights_that_do_not_fit(self, weights, message):
    with self.assertRaisesRegex(
        (programs.UserError, ValueError), f'class_weights: .*{message}'
    ):
      classification.make_loss(_data(), runs.config(class_weights=weights))

  @parameterized.parameters((0.0, 0.3), (0.2, 0.0), (0.2, 0.3))
  def test_penalties_are_of_matrices_alone(self, l1, l2):
    experiment = _experiment(l1_penalty=l1, l2_penalty=l2)
    experiment.build()
    for variable in experiment.model.trainable_variables:
      variable.assign_add(tf.ones_like(variable))
    batch = _batch()
    evaluation = experiment.objective(experiment.model, batch, None, False)
    matrices = [
        v.numpy()
        for v in experiment.model.trainable_variables
        if v.shape.rank > 1
    ]
    self.assertLen(matrices, 2)
    expected = sum(
        l1 * np.abs(m).sum() + l2 * np.square(m).sum() for m in matrices
    )
    np.testing.assert_allclose(evaluation.penalty, expected, rtol=1e-5)
    plain = _experiment().objective(experiment.model, batch, None, False)
    self.assertEqual(float(plain.penalty), 0.0)
    np.testing.assert_array_equal(evaluation.values, plain.values)


class OptimizerTest(absltest.TestCase):

  def test_clip_is_of_the_global_norm(self):
    experiment = _experiment(
        clip_global_norm=0.5, optimizer='sgd', learning_rate=1.0
    )
    parameters = {'a': tf.zeros([3]), 'b': tf.zeros([2, 2])}
    gradients = {'a': tf.fill([3], 4.0), 'b': tf.fill([2, 2], -3.0)}
    updates, _ = experiment.optimizer.update(
        gradients, experiment.optimizer.init(parameters), parameters
    )
    norm = (3 * 16 + 4 * 9) ** 0.5
    np.testing.assert_allclose(updates['a'], [-2.0 / norm] * 3, rtol=1e-5)
    np.testing.assert_allclose(
        tf.linalg.global_norm(list(updates.values())), 0.5, rtol=1e-5
    )

  def test_schedule_spans_the_run(self):
    for changes, steps in (({}, 40), ({'num_steps': 7}, 7)):
      experiment = _experiment(schedule='linear', learning_rate=1.0, **changes)
      self.assertEqual(experiment.num_steps, steps)
      self.assertAlmostEqual(float(experiment.schedule(0)), 1.0)
      self.assertAlmostEqual(
          float(experiment.schedule(steps - 1)), 1 / steps, places=6
      )


class FreezeTest(parameterized.TestCase):

  @parameterized.parameters(
      ('.*norm.*', True),
      ('.*(scale|offset)', False),
      ('.*moving.*', False),
      (None, False),
  )
  def test_a_batch_norm_as_a_whole(self, pattern, is_frozen):
    norm, other = layers.BatchNorm(), layers.BatchNorm()
    model = tf.Module()
    model.norm, model.other = norm, other
    for layer in (norm, other):
      layer.build([None, 3])
    config = runs.config(freeze=pattern)
    optimizing.freeze_statistics(config, model)
    self.assertEqual((norm.is_frozen, other.is_frozen), (is_frozen, False))


class AugmentTest(parameterized.TestCase):

  @parameterized.parameters(
      (lambda x: x[:1],),
      (lambda x: tf.concat([x, x], 0),),
      (lambda x: tf.reduce_sum(x),),
  )
  def test_of_another_number_of_examples(self, change):

    def mine(batch, seed):
      del seed
      return {**batch, 'image': change(batch['image'])}

    augment = augmenting.own(runs.config(augment=mine))
    with self.assertRaisesRegex(
        programs.UserError,
        r'^--augment=mine: expected as many examples as in the batch, image '
        r'\(3, 8, 8, 1\), got \(',
    ):
      augment({'image': tf.ones([3, 8, 8, 1])}, tf.zeros([2], tf.int32))


class InputTest(absltest.TestCase):

  def test_normalize(self):
    config = runs.config(normalize=True)
    dataset = runs.dataset(config)
    data = reading.describe_data(config, dataset)
    images = dataset.split('train').arrays['image'] / 255
    np.testing.assert_allclose(data.mean, images.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(data.std, images.std((0, 1, 2)), rtol=1e-5)
    experiment = experiment_lib.Experiment(config, data, 20)
    batch = {'image': dataset.split('train').arrays['image']}
    inputs = experiment.task.inputs(batch)
    np.testing.assert_allclose(tf.reduce_mean(inputs, (0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(
        tf.math.reduce_std(inputs, (0, 1, 2)), 1, rtol=1e-4
    )
    plain = experiment_lib.Experiment(
        runs.config(),
        reading.describe_data(runs.config(), dataset),
        20,
    )
    np.testing.assert_allclose(plain.task.inputs(batch), images, rtol=1e-6)

  def test_the_objective_scales_raw_pixels(self):
    experiment = _experiment()
    experiment.build()
    batch = _batch()
    evaluation = experiment.objective(experiment.model, batch, None, False)
    logits = experiment.model(
        tf.cast(batch['image'], tf.float32) / 255, is_training=False
    )
    np.testing.assert_allclose(evaluation.predictions, logits, rtol=1e-5)


class AugmentationTest(parameterized.TestCase):

  def _predictions(self, is_training, **changes):
    experiment = _experiment(model_arg={'hidden_sizes': (16,)}, **changes)
    experiment.build()
    index = tf.range(5)
    batch = {**_batch(), 'index': index, 'epoch': tf.zeros_like(index)}
    seed = tf.constant([1, 2])
    plain = _experiment()
    return [
        each.objective(experiment.model, batch, seed, is_training).predictions
        for each in (experiment, plain)
    ]

  @parameterized.parameters(
      {'random_flip': 'random'},
      {'random_flip': 'alternating'},
      {'max_shift': 3},
      {'random_erasing': 1.0},
  )
  def test_of_training(self, **changes):
    augmented, plain = self._predictions(True, **changes)
    self.assertGreater(np.max(np.abs(augmented - plain)), 1e-3)
    augmented, plain = self._predictions(False, **changes)
    np.testing.assert_array_equal(augmented, plain)

  @parameterized.parameters('flip', 'flip_shift')
  def test_of_evaluation(self, views):
    averaged, plain = self._predictions(False, test_time_augmentation=views)
    self.assertGreater(np.max(np.abs(averaged - plain)), 1e-3)
    same, plain = self._predictions(True, test_time_augmentation=views)
    np.testing.assert_array_equal(same, plain)

  def test_the_seed_chooses_the_half_that_is_flipped_first(self):
    flipped = []
    for seed in range(4):
      augmented, plain = self._predictions(
          True, seed=seed, random_flip='alternating'
      )
      is_flipped = np.any(np.abs(augmented - plain) > 1e-3, axis=1)
      flipped.append(tuple(is_flipped.tolist()))
    self.assertGreater(len(set(flipped)), 2)


class ModelTest(parameterized.TestCase):

  @parameterized.parameters(*runs.IMAGE_MODELS)
  def test_every_model_is_built_from_images(self, name):
    experiment = _experiment(model=name, model_arg={})
    experiment.build()
    self.assertNotEmpty(experiment.model.trainable_variables)
    evaluation = experiment.objective(experiment.model, _batch(), None, False)
    self.assertEqual(evaluation.predictions.shape, [5, 4])

  @parameterized.parameters(1, 2)
  def test_initialize_gives_the_first_examples_prepared(self, num_replicas):
    images = np.random.default_rng(0).integers(0, 256, [5_007, 8, 8, 3])
    data = small_datasets.in_memory(images.astype(np.uint8))
    experiment = _experiment(
        _data(mean=(0.3,) * 3, std=(0.2,) * 3),
        model='speednet',
        model_arg={'channels': (4,), 'whitening_size': 2},
    )
    strategy = virtual_devices.mirrored(num_replicas)
    with strategy.scope():
      experiment.build()
    experiment.initialize(data, strategy)
    filters = experiment.model.whitening.filters
    np.testing.assert_allclose(
        filters,
        layers.whitening_filters((images[:5_000] / 255 - 0.3) / 0.2, 2),
        rtol=1e-3,
        atol=1e-3,
    )
    self.assertEmpty(distribution.unequal_replicas({'filters': filters}))

  def test_a_model_that_wants_no_data_is_given_none(self):
    experiment = _experiment()
    experiment.build()
    experiment.initialize(None, tf.distribute.get_strategy())

  def test_a_model_that_casts_by_itself_does_not_go_with_half_precision(self):
    own = dict(model=f'{__name__}:Casting', model_arg={})
    _experiment(**own).build()
    with self.assertRaisesRegex(programs.UserError, '^--model=.*:Casting: '):
      _experiment(precision='float16', **own).build()

  def test_the_seed_decides_the_weights(self):
    digests = []
    for seed in (0, 0, 1):
      experiment = _experiment(seed=seed)
      tf.random.normal([3])
      experiment.build()
      digests.append(variables.digest(variables.named(experiment.model)))
    self.assertEqual(digests[0], digests[1])
    self.assertNotEqual(digests[0], digests[2])

  @parameterized.parameters(
      {'model_arg': {'dropout_rate': 1.5}},
      {'model_arg': {'activation': 'softmix'}},
      {'model': 'perceptron'},
      {'model_arg': {'depth': 3}},
      {'loss_arg': {'delta': 3}},
      {'jit_compile': 'yes'},
      {'test_time_augmentation': 'rotate'},
  )
  def test_what_is_not_valid_is_the_users_mistake(self, **changes):
    with self.assertRaises((ValueError, programs.UserError)):
      _experiment(**changes)


class MetricTest(parameterized.TestCase):

  @parameterized.parameters((5, False), (6, True))
  def test_top_5_where_it_says_anything(self, num_classes, expected):
    names = tuple(map(str, range(num_classes)))
    spec = spec_lib.of_images((8, 8, 3), names)
    experiment = _experiment(_data(spec=spec))
    experiment.build()
    sums = experiment.zero_sums(experiment.eval_metric)
    values = training.summarize(experiment.eval_metric, sums)
    self.assertEqual('top_5_accuracy' in values, expected)


if __name__ == '__main__':
  absltest.main()
