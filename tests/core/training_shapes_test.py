"""What a step refuses: shapes that would be broadcast, and another's state.

Covers: train_state.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    averaging,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    training,
)

_SIZE = 4
_BATCH = {
    'image': np.ones([_SIZE, 2], np.float32),
    'label': np.arange(_SIZE) % 3,
    'weight': np.ones([_SIZE], np.float32),
}
# From values, predictions and penalty to wrong ones, and what is named then.
_EVALUATIONS = {
    'reduced': ('values', lambda v, p, q: (tf.reduce_mean(v), p, q)),
    'one_value': ('weight', lambda v, p, q: (v[:1], p, q)),
    'one_prediction': ('predictions', lambda v, p, q: (v, p[:1], q)),
    'no_prediction': ('predictions', lambda v, p, q: (v, p[0, 0], q)),
    'penalties': ('penalty', lambda v, p, q: (v, p, q + v)),
    'a_penalty': ('penalty', lambda v, p, q: (v, p, q[None])),
}
_BATCHES = {
    'one_weight': ('weight', lambda x: x[:1]),
    'column_of_weights': ('weight', lambda x: x[:, None]),
    'reduced_weight': ('weight', lambda x: x[0]),
    'one_label': ('label', lambda x: x[:1]),
}


def _state(optimizer=None):
  model = models.create('mlp', 3, hidden_sizes=())
  model.build((None, 2))
  return training.TrainState(model, optimizer or optimizers.sgd(0.1))


def _unknown(tensor):
  """Makes the size of the first axis unknown while tracing."""
  if not tensor.shape.rank:
    return tensor
  return tf.boolean_mask(tensor, tf.fill(tf.shape(tensor)[:1], True))


def _objective(change=lambda *parts: parts, unknown=False):
  def objective(model, batch, seed, is_training):
    del seed
    logits = model(batch['image'], is_training)
    # A loss that does not look at labels, so that the step has to.
    parts = change(tf.reduce_sum(logits**2, axis=-1), logits, tf.zeros([]))
    return objectives.Evaluation(*map(_unknown, parts) if unknown else parts)

  return objective


class ShapesTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.state = _state()

  def _refuses(self, error, name, objective, batch=_BATCH):
    metric = metrics.Metric(lambda labels, predictions, weights: {}, dict)
    step = training.make_eval_step(objective, metric)
    with self.assertRaisesRegex(error, rf'\b{name}: expected|\b{name}: \[Chex'):
      step(self.state, batch)

  @parameterized.named_parameters(
      *((name, *case) for name, case in _EVALUATIONS.items())
  )
  def test_an_evaluation_while_tracing(self, name, change):
    self._refuses(ValueError, name, _objective(change))

  @parameterized.named_parameters(
      ('one_value', 'weight', lambda v, p, q: (v[:1], p, q)),
      ('one_prediction', 'predictions', lambda v, p, q: (v, p[:1], q)),
      ('two_predictions', 'predictions', lambda v, p, q: (v, p[:2], q)),
  )
  def test_an_evaluation_when_it_runs(self, name, change):
    self._refuses(
        tf.errors.InvalidArgumentError, name, _objective(change, unknown=True)
    )

  @parameterized.named_parameters(
      *((name, *case) for name, case in _BATCHES.items())
  )
  def test_a_batch_while_tracing(self, name, change):
    batch = {**_BATCH, name: change(_BATCH[name])}
    self._refuses(ValueError, name, _objective(), batch)

  @parameterized.named_parameters(
      ('a_place', lambda v: v[:, None]),
      ('as_many_places_as_examples', lambda v: tf.tile(v[:, None], [1, _SIZE])),
      ('three_axes', lambda v: tf.tile(v[:, None, None], [1, 2, 3])),
  )
  def test_places_have_the_weight_of_their_example(self, change):
    """Also where there are as many of them as examples."""
    metric = metrics.Metric(lambda labels, predictions, weights: {}, dict)
    batch = {**_BATCH, 'weight': np.array([1.0, 0.0, 2.0, 0.5], 'float32')}
    one, other = (
        training.make_eval_step(_objective(each), metric)(self.state, batch)
        for each in (lambda *parts: parts, lambda v, p, q: (change(v), p, q))
    )
    self.assertAlmostEqual(
        float(one['loss'] / one['weight']),
        float(other['loss'] / other['weight']),
        places=6,
    )

  @parameterized.named_parameters(
      ('tuple', TypeError, 'batch: expected a mapping.*got a tuple', tuple),
      (
          'float64_weight',
          TypeError,
          'weight: expected float32, got float64',
          lambda batch: {**batch, 'weight': np.ones([_SIZE])},
      ),
      (
          'integer_weight',
          TypeError,
          'weight: expected float32, got int64',
          lambda batch: {**batch, 'weight': np.ones([_SIZE], int)},
      ),
      (
          'nested_weight',
          TypeError,
          'weight: expected one dense tensor, got a dict',
          lambda batch: {**batch, 'weight': {'a': np.ones([_SIZE], 'float32')}},
      ),
  )
  def test_what_is_no_batch(self, error, message, change):
    metric = metrics.collection({'accuracy': metrics.accuracy()})
    objective, optimizer = _objective(), optimizers.sgd(0.1)
    batch = change(_BATCH) if change is not tuple else tuple(_BATCH.values())
    for step in (
        training.make_train_step(objective, optimizer, metric),
        training.make_eval_step(objective, metric),
        lambda state, batch: training.trace(objective, state.model, batch),
    ):
      with self.assertRaisesRegex(error, message):
        step(self.state, batch)

  @parameterized.named_parameters(
      ('a_tensor', lambda e: e.values, 'expected an objectives.Evaluation'),
      ('a_tuple', tuple, 'expected an objectives.Evaluation, got a tuple'),
      (
          'integers',
          lambda e: e._replace(values=tf.ones([_SIZE], tf.int32)),
          'values: expected floating point numbers, got int32',
      ),
      (
          'float64_weights',
          lambda e: e._replace(weights=tf.ones([_SIZE], tf.float64)),
          'weights: expected float32, got float64',
      ),
      (
          'boolean_weights',
          lambda e: e._replace(weights=tf.ones([_SIZE], tf.bool)),
          'weights: expected float32, got bool',
      ),
  )
  def test_what_is_no_evaluation(self, change, message):
    objective = _objective()
    metric = metrics.collection({'accuracy': metrics.accuracy()})
    step = training.make_eval_step(
        lambda *args, **kwargs: change(objective(*args, **kwargs)), metric
    )
    with self.assertRaisesRegex(TypeError, message):
      step(self.state, _BATCH)

  def test_what_is_no_collection(self):
    metric = metrics.accuracy()
    sums = training.make_eval_step(_objective(), metric)(self.state, _BATCH)
    with self.assertRaisesRegex(TypeError, 'metric: expected a collection'):
      training.summarize(metric, sums)
    for metric in (metrics.accuracy, {'accuracy': metrics.accuracy()}):
      with self.assertRaisesRegex(TypeError, r'metric: expected a metrics\.M'):
        training.make_eval_step(_objective(), metric)

  def test_the_loss_alone(self):
    objective, optimizer = _objective(), optimizers.sgd(0.0)
    for step in (
        training.make_train_step(objective, optimizer, None),
        training.make_eval_step(objective, None),
    ):
      sums = step(_state(optimizer), _BATCH)
      values = training.summarize(None, sums)
      self.assertEqual(list(values), ['loss'])
      np.testing.assert_allclose(values['loss'], sums['loss'] / _SIZE)
      zeros = training.zero_sums_of(step, _state(optimizer), _BATCH)
      tf.nest.assert_same_structure(zeros, sums)

  def test_what_is_no_model(self):
    class Model:  # As Keras's are seen, without seconds for its import.
      __module__ = 'keras.models'

    for function in (
        lambda model: training.TrainState(model, optimizers.sgd(0.1)),
        lambda model: objectives.supervised(losses.squared_error, inputs='x')(
            model, {'x': tf.ones([1, 1])}, None, False
        ),
    ):
      with self.assertRaisesRegex(TypeError, 'model: .*got a Keras Model'):
        function(Model())
    with self.assertRaisesRegex(ValueError, 'or call the model once'):
      training.TrainState(tf.Module(), optimizers.sgd(0.1))

  def test_a_batch_when_it_runs(self):
    metric = metrics.accuracy()
    step = training.make_eval_step(_objective(), metric)
    signature = {
        name: tf.TensorSpec([None, *array.shape[1:]], array.dtype)
        for name, array in _BATCH.items()
    }
    traced = tf.function(
        lambda batch: step(self.state, batch), input_signature=[signature]
    )
    self.assertEqual(float(traced(_BATCH)['weight']), _SIZE)
    for name in ('label', 'weight'):
      with self.assertRaisesRegex(tf.errors.InvalidArgumentError, name):
        traced({**_BATCH, name: _BATCH[name][:1]})

  @parameterized.parameters(
      ('penalty', {'penalty': lambda model: tf.ones([1])}),
      ('penalty', {'penalty': lambda model: tf.ones([_SIZE])}),
  )
  def test_the_penalty_of_a_supervised_objective(self, name, options):
    objective = objectives.supervised(losses.softmax_cross_entropy, **options)
    with self.assertRaisesRegex(ValueError, f'{name}: expected shape'):
      objective(self.state.model, _BATCH, None, False)

  def test_an_average_of_other_weights(self):
    for mean in ({'w': tf.ones([1])}, {'v': tf.ones([2])}):
      with self.assertRaisesRegex(ValueError, 'expected the shape|structure'):
        averaging.average(mean, {'w': tf.ones([2])}, 1, 0.9)


class StatesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('adam_for_momentum', optimizers.adam(0.1), optimizers.sgd(0.1, 0.9)),
      ('nothing_for_adam', optimizers.sgd(0.1), optimizers.adam(0.1)),
      ('adam_for_nothing', optimizers.adam(0.1), optimizers.sgd(0.1)),
      (
          'muon_for_partition',
          optimizers.muon(0.1),
          optimizers.partition({'.*': optimizers.sgd(0.1)}),
      ),
  )
  def test_another_optimizer_is_refused_while_tracing(self, own, other):
    state = _state(own)
    before = [v.numpy() for v in state.named_variables().values()]
    step = training.make_train_step(_objective(), other, metrics.accuracy())
    with self.assertRaisesRegex(
        ValueError, 'state: it does not belong to this optimizer.*expected.*got'
    ):
      step(state, _BATCH)
    after = [v.numpy() for v in state.named_variables().values()]
    for one, two in zip(before, after):
      np.testing.assert_array_equal(one, two)

  def test_an_optimizer_of_ones_own_that_changes_its_state(self):
    growing = optimizers.GradientTransformation(
        lambda parameters: (tf.zeros([]),),
        lambda gradients, state, parameters: (gradients, (*state, *state)),
    )
    step = training.make_train_step(_objective(), growing, metrics.accuracy())
    with self.assertRaisesRegex((TypeError, ValueError), 'structure'):
      step(_state(growing), _BATCH)


class SeedTest(absltest.TestCase):

  def test_initial_weights_follow_the_global_seed(self):
    def weights(global_seed, seed):
      tf.random.set_seed(global_seed)
      state = _state()
      state.seed.assign([0, seed])
      return state.parameters['output/linear/w'].numpy()

    np.testing.assert_array_equal(weights(1, 5), weights(1, 6))
    self.assertFalse(np.array_equal(weights(1, 5), weights(2, 5)))


if __name__ == '__main__':
  absltest.main()
