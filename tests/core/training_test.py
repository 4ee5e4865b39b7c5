"""Tests of the train state, the steps and the loops, on one replica."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    loops,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    training,
    variables,
)
from tests.core import runs


def _state_digest(run):
  return variables.digest(run.state.named_variables())


def _zeros(run, batch):
  forward = training.trace(run.objective, run.model, batch)
  return training.zero_sums(run.metric, forward)


def _restore(run, weights):
  for name, variable in run.state.named_variables().items():
    variable.assign(weights[name])


class TrainStateTest(parameterized.TestCase):

  def test_names(self):
    model = models.create('mlp', 3, hidden_sizes=())
    model.build((None, 2))
    optimizer = optimizers.chain(
        optimizers.clip_by_global_norm(1.0), optimizers.adam(lambda step: 0.1)
    )
    state = training.TrainState(model, optimizer, seed=5)
    named = state.named_variables()
    self.assertContainsSubset(
        ['model/output/linear/b', 'model/output/linear/w', 'step', 'seed'],
        named,
    )
    moments = [name for name in named if name.endswith('output/linear/w')]
    self.assertLen(moments, 3)  # The matrix, its mean and its variance.
    self.assertEqual(set(named) - set(state.parameters), set(named))
    self.assertEqual(
        {id(v) for v in named.values()}, {id(v) for v in state.variables}
    )
    self.assertEqual(
        [v.name for v in state.trainable_variables],
        [v.name for v in model.trainable_variables],
    )
    self.assertEqual(state.step.dtype, tf.int64)
    np.testing.assert_array_equal(state.seed, [0, 5])

  def test_a_model_that_was_not_built(self):
    model = models.create('mlp', 3)
    with self.assertRaisesRegex(ValueError, r'model: .*call model.build\('):
      training.TrainState(model, optimizers.sgd(0.1))


class TrainStepTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.run_ = runs.make(
        optimizer=optimizers.sgd(0.1, momentum=0.9), activation='tanh'
    )
    cls.initial = cls.run_.weights()
    cls.batches = runs.batches(cls.run_.model, 6, 8)
    cls.loop = staticmethod(loops.make_loop(cls.run_.train_step))

  def setUp(self):
    super().setUp()
    _restore(self.run_, self.initial)

  def _loop(self, num_steps, batches=None, sums=None):
    return self.loop(
        self.run_.state,
        self.run_.distribute(batches or self.batches),
        sums or _zeros(self.run_, self.batches[0]),
        tf.constant(num_steps),
    )

  def test_a_loop_of_n_steps_is_n_steps(self):
    iterator = self.run_.distribute(self.batches)
    each = [
        self.run_.train_step(self.run_.state, next(iterator)) for _ in range(6)
    ]
    one_by_one = _state_digest(self.run_)
    _restore(self.run_, self.initial)
    sums, taken = self._loop(6)
    self.assertEqual(int(taken), 6)
    self.assertEqual(self.run_.state.step.numpy(), 6)
    self.assertEqual(_state_digest(self.run_), one_by_one)
    total = tf.nest.map_structure(
        lambda *values: np.sum(np.float64(values), axis=0), *each
    )
    tf.nest.map_structure(np.testing.assert_array_equal, sums, total)
    # The same in two parts, which hand on the sums.
    _restore(self.run_, self.initial)
    sums, _ = self._loop(2)
    sums, _ = self._loop(4, self.batches[2:], sums)
    self.assertEqual(_state_digest(self.run_), one_by_one)
    tf.nest.map_structure(np.testing.assert_array_equal, sums, total)

  def test_is_traced_once(self):
    for num_steps in (1, 6, 2):
      self._loop(num_steps)
    self._loop(3, [*self.batches[:2], runs.pad(self.batches[2], 3)])
    count = lambda function: function.experimental_get_tracing_count()
    self.assertEqual(count(self.loop), 1)
    self.assertEqual(count(self.run_.train_step), 1)

  @parameterized.parameters(np.nan, np.inf)
  def test_a_loop_ends_right_after_a_loss_that_is_not_finite(self, value):
    batches = list(self.batches)
    batches[2] = {
        **batches[2],
        'image': np.full_like(batches[2]['image'], value),
    }
    self.assertEmpty(variables.non_finite(self.run_.state.named_variables()))
    sums, taken = self._loop(6, batches)
    self.assertEqual(int(taken), 3)
    self.assertEqual(self.run_.state.step.numpy(), 3)
    self.assertFalse(np.isfinite(sums['loss']))
    self.assertEqual(float(sums['weight']), 3 * 8)
    self.assertIn(
        'model/hidden/0/linear/w',
        variables.non_finite(self.run_.state.named_variables()),
    )
    _, taken = self._loop(6, batches, sums)
    self.assertEqual(int(taken), 0)

  def test_a_loop_of_no_step(self):
    digest = _state_digest(self.run_)
    sums, taken = self._loop(0)
    self.assertEqual(int(taken), 0)
    self.assertEqual(_state_digest(self.run_), digest)
    for value in tf.nest.flatten(sums):
      self.assertEqual(value.dtype, tf.float64)
      self.assertFalse(np.any(value))

  def test_sums_are_exact_beyond_float32(self):
    many = 2.0**24
    sums = tf.nest.map_structure(
        lambda value: value + many, _zeros(self.run_, self.batches[0])
    )
    one = runs.pad(self.batches[0], 1)
    sums, _ = self._loop(3, [one] * 3, sums)
    self.assertEqual(float(sums['weight']), many + 3)
    confusion = np.sum(sums['metrics']['confusion'] - many)
    self.assertEqual(confusion, 3.0)

  def test_dropout_follows_seed_and_step(self):
    iterator = self.run_.distribute(self.batches[:1] * 6)
    losses_ = []
    for seed, step in ((7, 0), (7, 0), (7, 1), (8, 0)):
      _restore(self.run_, self.initial)
      self.run_.state.seed.assign([0, seed])
      self.run_.state.step.assign(step)
      sums = self.run_.train_step(self.run_.state, next(iterator))
      losses_.append(float(sums['loss']))
    self.assertEqual(losses_[0], losses_[1])
    self.assertLen(set(losses_), 3)

  def test_the_label_of_padding_does_not_matter(self):
    padded = runs.pad(self.batches[0], 5)
    wrong = {
        **padded,
        'label': np.where(padded['weight'] > 0, padded['label'], -1),
    }
    self._loop(1, [padded])
    digest = _state_digest(self.run_)
    _restore(self.run_, self.initial)
    sums, _ = self._loop(1, [wrong])
    self.assertTrue(np.isfinite(sums['loss']))
    self.assertEqual(_state_digest(self.run_), digest)


class ReferenceTest(absltest.TestCase):

  def test_the_first_step_is_that_of_keras_and_numpy(self):
    run = runs.make(dropout_rate=0.0, activation='tanh')
    batch = runs.pad(runs.batches(run.model, 1, 8)[0], 6)
    reference = keras.Sequential([
        keras.layers.Flatten(),
        keras.layers.Dense(12, 'tanh'),
        keras.layers.Dense(8, 'tanh'),
        keras.layers.Dense(4),
    ])
    reference.build(batch['image'].shape)
    parts = [*run.model.hidden, run.model.output]
    ours = [v for part in parts for v in (part.linear.w, part.linear.b)]
    reference.set_weights([v.numpy() for v in ours])
    weights = np.array([0.5, 1.0, 2.0, 1.5])[batch['label']] * batch['weight']
    targets = np.eye(4)[batch['label']] * 0.9 + 0.1 / 4
    with tf.GradientTape() as tape:
      log_p = tf.nn.log_softmax(reference(batch['image']))
      loss = -tf.reduce_sum(targets * log_p, axis=-1)
      loss = tf.reduce_sum(loss * weights) / 6
      loss += 1e-2 * tf.add_n([
          tf.reduce_sum(v.value**2)
          for v in reference.trainable_variables
          if v.name == 'kernel'
      ])
    sources = [v.value for v in reference.trainable_variables]
    expected = [
        v - 0.1 * g for v, g in zip(sources, tape.gradient(loss, sources))
    ]
    sums = run.train_step(run.state, next(run.distribute([batch])))
    values = training.summarize(run.metric, sums)
    np.testing.assert_allclose(values['loss'], loss, rtol=1e-5)
    for variable, value in zip(ours, expected):
      np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6)


class EvalStepTest(absltest.TestCase):

  def test_changes_nothing_and_needs_no_seed(self):
    run = runs.make()
    batches = runs.batches(run.model, 3, 8)
    batches[2] = runs.pad(batches[2], 1)
    digest = _state_digest(run)
    loop = loops.make_loop(run.eval_step)
    for num_steps in (3, 1, 2):
      loop(
          run.state,
          run.distribute(batches),
          _zeros(run, batches[0]),
          tf.constant(num_steps),
      )
    sums = [
        run.eval_step(run.state, next(run.distribute(batches)))['loss']
        for _ in range(2)
    ]
    self.assertEqual(*sums)
    self.assertEqual(_state_digest(run), digest)
    self.assertEqual(loop.experimental_get_tracing_count(), 1)
    self.assertEqual(run.eval_step.experimental_get_tracing_count(), 1)


class ZeroSumsTest(absltest.TestCase):

  def test_are_like_the_sums_of_a_step_from_one_forward_pass(self):
    run = runs.make()
    batch = runs.batches(run.model, 1, 6)[0]
    calls = []

    def objective(*args, **kwargs):
      calls.append(args)
      return run.objective(*args, **kwargs)

    forward = training.trace(objective, run.model, batch)
    other = metrics.collection({'cross_entropy': metrics.cross_entropy()})
    for metric in (run.metric, other):
      step = training.make_eval_step(run.objective, metric, run.strategy)
      sums = step(run.state, next(run.distribute([batch])))
      zeros = training.zero_sums(metric, forward)
      tf.nest.assert_same_structure(sums, zeros)
      for value, zero in zip(tf.nest.flatten(sums), tf.nest.flatten(zeros)):
        self.assertEqual(zero.dtype, tf.float64)
        np.testing.assert_array_equal(zero, np.zeros(value.shape))
    self.assertLen(calls, 1)


class LearningTest(absltest.TestCase):

  def test_an_mlp_separates_blobs(self):
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(4, 8))
    labels = generator.integers(0, 4, [200, 32])
    noise = generator.normal(0, 0.3, [200, 32, 8])
    images = (centres[labels] + noise).astype(np.float32)
    model = models.create('mlp', 4, hidden_sizes=(16,))
    model.build((None, 8))
    optimizer = optimizers.adam(1e-2)
    state = training.TrainState(model, optimizer)
    metric = metrics.collection({'accuracy': metrics.accuracy()})
    objective = objectives.supervised(losses.softmax_cross_entropy)
    step = training.make_train_step(objective, optimizer, metric)
    dataset = tf.data.Dataset.from_tensor_slices(
        {'image': images, 'label': labels, 'weight': tf.ones([200, 32])}
    )
    train = loops.make_loop(step)
    batch = next(iter(dataset))
    zeros = training.zero_sums(metric, training.trace(objective, model, batch))
    iterator = iter(dataset)
    _, taken = train(state, iterator, zeros, tf.constant(150))
    self.assertEqual(int(taken), 150)
    evaluate = loops.make_loop(training.make_eval_step(objective, metric))
    sums, _ = evaluate(state, iterator, zeros, tf.constant(50))
    values = training.summarize(metric, sums)
    self.assertGreater(float(values['accuracy']), 0.95)
    self.assertEqual(float(sums['weight']), 50 * 32)

  def test_a_metric_called_loss_is_not_taken_for_the_loss(self):
    metric = metrics.collection({'loss': metrics.accuracy()})
    labels, logits = tf.constant([1]), tf.constant([[0.0, 1.0]])
    sums = {
        'loss': tf.constant(2.0),
        'weight': tf.constant(1.0),
        'metrics': metric.measure(labels, logits, tf.constant([1.0])),
    }
    with self.assertRaisesRegex(ValueError, 'metric: one is called loss'):
      training.summarize(metric, sums)


if __name__ == '__main__':
  absltest.main()
