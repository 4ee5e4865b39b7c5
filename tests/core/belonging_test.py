"""What a step refuses to take, since nothing would tell that it went wrong."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    averaging,
    compilation,
    layers,
    losses,
    metrics,
    objectives,
    optimizers,
    random,
    resident,
    training,
)
from tests import virtual_devices

_OBJECTIVE = objectives.supervised(losses.softmax_cross_entropy, inputs='x')
_BATCH = {
    'x': np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32),
    'label': np.array([0, 1, 1, 0, 1, 0]),
}


def _model():
  model = layers.Dense(2)
  model.build([None, 3])
  return model


def _normalised():

  class Net(tf.Module):

    def __init__(self):
      super().__init__()
      self.dense, self.norm = layers.Dense(2), layers.BatchNorm()
      self(tf.zeros([1, 3]), False)

    def __call__(self, x, is_training):
      return self.norm(self.dense(x), is_training)

  return Net()


def _tensors(batch):
  return {name: tf.constant(value) for name, value in batch.items()}


def _parts(strategy, batch, size=6):
  dataset = tf.data.Dataset.from_tensor_slices(batch).batch(size)
  return next(iter(strategy.experimental_distribute_dataset(dataset)))


class BelongingTest(parameterized.TestCase):

  @parameterized.parameters('train', 'eval')
  def test_a_state_of_no_scope_is_refused(self, kind):
    strategy = virtual_devices.mirrored(2)
    optimizer = optimizers.sgd(0.1)
    state = training.TrainState(_model(), optimizer)
    [before, *_] = [v.numpy() for v in state.parameters.values()]
    if kind == 'train':
      step = training.make_train_step(_OBJECTIVE, optimizer, None, strategy)
    else:
      step = training.make_eval_step(_OBJECTIVE, None, strategy)
    with self.assertRaisesRegex(ValueError, r'state: .*strategy\.scope'):
      step(state, _parts(strategy, _BATCH))
    [after, *_] = [v.numpy() for v in state.parameters.values()]
    np.testing.assert_array_equal(after, before)

  def test_a_batch_that_is_not_distributed_is_refused(self):
    strategy, other = virtual_devices.mirrored(2), virtual_devices.mirrored(3)
    with strategy.scope():
      state = training.TrainState(_model(), optimizers.sgd(0.1))
    step = training.make_eval_step(_OBJECTIVE, None, strategy)
    with self.assertRaisesRegex(ValueError, 'batch: each of the 2 .*distrib'):
      step(state, _tensors(_BATCH))
    with self.assertRaisesRegex(ValueError, 'batch: it has 3 parts'):
      step(state, _parts(other, _BATCH))
    sums = step(state, _parts(strategy, _BATCH))
    self.assertEqual(float(sums['weight']), 6)

  def test_parameters_that_come_late_are_refused(self):

    class Net(tf.Module):

      def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(4), layers.Dense(2)
        self.a.build([None, 3])

      def __call__(self, x):
        return self.b(self.a(x))

    optimizer = optimizers.sgd(0.1)
    state = training.TrainState(Net(), optimizer)
    step = training.make_train_step(_OBJECTIVE, optimizer, None)
    with self.assertRaisesRegex(ValueError, 'model: its state lacks b/'):
      step(state, _tensors(_BATCH))

  def test_a_loss_of_no_parameter_is_refused(self):
    optimizer = optimizers.sgd(0.1)
    state = training.TrainState(_model(), optimizer)

    def objective(model, batch, seed, is_training):
      del seed, is_training
      logits = tf.stop_gradient(model(batch['x']))
      return objectives.Evaluation(
          losses.softmax_cross_entropy(batch['label'], logits)
      )

    step = training.make_train_step(objective, optimizer, None)
    with self.assertRaisesRegex(ValueError, 'objective: .*no parameter'):
      step(state, _tensors(_BATCH))

  def test_a_negative_weight_makes_the_loss_nan(self):
    state = training.TrainState(_model(), optimizers.sgd(0.1))
    step = training.make_eval_step(_OBJECTIVE, None)
    weight = np.array([1, 1, -1, 1, 1, 1], np.float32)
    sums = step(state, _tensors({**_BATCH, 'weight': weight}))
    self.assertTrue(math.isnan(float(sums['loss'])))

  def test_an_evaluation_assigns_nothing(self):

    class Net(tf.Module):

      def __init__(self):
        super().__init__()
        self.dense, self.norm = layers.Dense(2), layers.BatchNorm()
        self(tf.zeros([1, 3]))

      def __call__(self, x):
        return self.norm(self.dense(x), is_training=True)

    state = training.TrainState(Net(), optimizers.sgd(0.1))
    before = [v.numpy() for v in state.model.variables]
    training.make_eval_step(_OBJECTIVE, None)(state, _tensors(_BATCH))
    for value, variable in zip(before, state.model.variables, strict=True):
      np.testing.assert_array_equal(variable.numpy(), value)

  @parameterized.parameters('ragged', 'sparse')
  def test_garbage_in_rows_of_weight_0(self, kind):

    class Net(tf.Module):

      def __init__(self):
        super().__init__()
        self.w = tf.Variable([[0.1, 0.2]])

      def __call__(self, x):
        if isinstance(x, tf.SparseTensor):
          x = tf.sparse.to_dense(x)
        return tf.reduce_sum(x, axis=1)[:, tf.newaxis] * self.w

    parameters = []
    for garbage in (5.0, math.nan):
      dense = tf.constant([[1.0, 2.0], [garbage, 1.0], [3.0, garbage]])
      x = {
          'ragged': tf.RaggedTensor.from_tensor,
          'sparse': tf.sparse.from_dense,
      }[kind](dense)
      optimizer = optimizers.sgd(0.1)
      state = training.TrainState(Net(), optimizer)
      step = training.make_train_step(_OBJECTIVE, optimizer, None)
      step(
          state,
          {
              'x': x,
              'label': tf.constant([0, 1, 1]),
              'weight': tf.constant([1.0, 0.0, 0.0]),
          },
      )
      parameters.append(state.model.w.numpy())
    np.testing.assert_array_equal(*parameters)

  def test_labels_of_weight_0_may_be_any_eagerly_too(self):
    state = training.TrainState(_model(), optimizers.sgd(0.1))
    step = training.make_eval_step(_OBJECTIVE, None)
    label = np.array([0, 255, 1, 0, 1, 0])
    weight = np.array([1, 0, 1, 1, 1, 1], np.float32)
    batch = _tensors({**_BATCH, 'label': label, 'weight': weight})
    losses_ = [float(step(state, batch)['loss'])]
    tf.config.run_functions_eagerly(True)
    self.addCleanup(tf.config.run_functions_eagerly, False)
    losses_.append(float(step(state, batch)['loss']))
    np.testing.assert_allclose(*losses_, rtol=1e-6)

  @parameterized.parameters(2, 3)
  def test_unequal_parts_draw_what_one_replica_does(self, num_replicas):
    drawn = {}
    for number in (1, num_replicas):
      strategy = virtual_devices.mirrored(number)
      optimizer = optimizers.sgd(0.1)
      with strategy.scope():
        model = _model()
        model.found = tf.Variable(tf.zeros([6, 2]), trainable=False)
        state = training.TrainState(model, optimizer)

      def objective(model, batch, seed, is_training):
        del is_training
        noise = random.uniform(seed, [tf.shape(batch['x'])[0], 2])
        logits = model(batch['x'])
        values = losses.softmax_cross_entropy(batch['label'], logits)
        place = tf.one_hot(batch['place'], 6)
        return objectives.Evaluation(
            values, statistics=tf.matmul(place, noise, transpose_a=True)
        )

      step = training.make_train_step(
          objective,
          optimizer,
          None,
          strategy,
          after=lambda state, statistics: {'found': statistics},
      )
      batch = {**_BATCH, 'place': np.arange(6)}
      batch = {name: value[:5] for name, value in batch.items()}
      step(state, _parts(strategy, batch, 5) if number > 1 else _tensors(batch))
      drawn[number] = model.found.numpy()
    np.testing.assert_array_equal(drawn[1], drawn[num_replicas])
    self.assertLen({tuple(row) for row in drawn[1]}, 6)  # One of zeros.

  def test_micro_batches_of_unequal_parts(self):
    strategy, optimizer = virtual_devices.mirrored(2), optimizers.sgd(0.1)
    with strategy.scope():
      state = training.TrainState(_normalised(), optimizer)
    step = training.make_train_step(
        _OBJECTIVE, optimizer, None, strategy, micro_batch_size=2
    )
    five = {name: value[:5] for name, value in _BATCH.items()}
    with self.assertRaisesRegex(ValueError, 'micro_batch_size: .*equally many'):
      step(state, _parts(strategy, five, 5))

  def test_gradients_of_batch_norm_are_not_compiled_on_replicas(self):
    strategy, optimizer = virtual_devices.mirrored(2), optimizers.sgd(0.1)
    with strategy.scope():
      state = training.TrainState(_normalised(), optimizer)
    step = training.make_train_step(
        _OBJECTIVE, optimizer, None, strategy, compilation.Extent.PARTS
    )
    with self.assertRaisesRegex(ValueError, 'extent: PARTS .* UPDATE'):
      step(state, _parts(strategy, _BATCH))

  def test_extents_of_one_replica(self):
    strategy, optimizer = virtual_devices.mirrored(2), optimizers.sgd(0.1)
    for extent in (compilation.Extent.STEP, compilation.Extent.LOOP):
      with self.assertRaisesRegex(ValueError, 'extent: .* one replica'):
        training.make_eval_step(_OBJECTIVE, None, strategy, extent=extent)
      with self.assertRaisesRegex(ValueError, 'extent: .* one replica'):
        training.make_train_step(_OBJECTIVE, optimizer, None, strategy, extent)
    with self.assertRaisesRegex(TypeError, "extent: .*'step'"):
      training.make_eval_step(_OBJECTIVE, None, strategy, extent='step')

  def test_what_is_trained_is_floating_point(self):

    class Net(tf.Module):

      def __init__(self):
        super().__init__()
        self.count = tf.Variable([1, 2])

    with self.assertRaisesRegex(TypeError, 'model: count is int32'):
      training.TrainState(Net(), optimizers.sgd(0.1))


class ResidentTest(parameterized.TestCase):

  def loop(self, arrays, metric=None):
    optimizer = optimizers.sgd(0.1)
    state = training.TrainState(_model(), optimizer)
    return resident.make_train_loop(
        state, _OBJECTIVE, optimizer, metric, arrays
    )

  @parameterized.parameters(
      ([[0, 6]], {}, r'rows: .*\[0, 6\).*got 6'),
      ([[0, -2]], {}, 'rows: .*got -2'),
      ([[0, 1]], {'start': -1}, 'start: expected at least 0, got -1'),
      ([[0, 1]], {'num_steps': 2}, 'start, num_steps: .*got 0 and 2'),
  )
  def test_what_is_beyond_the_data_is_refused(self, rows, options, message):
    loop = self.loop(_BATCH)
    with self.assertRaisesRegex(ValueError, message):
      loop(tf.constant(rows), 0, **options)

  @parameterized.parameters('index', 'epoch', 'is_padded')
  def test_names_of_a_batch_are_refused(self, name):
    with self.assertRaisesRegex(ValueError, f"arrays: '{name}' is a res"):
      self.loop({**_BATCH, name: np.zeros(6)})

  def test_positions_are_integers(self):
    with self.assertRaisesRegex(TypeError, 'order: expected integers'):
      resident.batched([0.5, 1.5], 2)

  def test_a_metric_may_compare_the_examples_of_a_batch(self):
    pairs = metrics.Metric(
        lambda labels, predictions, weights: tf.math.top_k(
            tf.transpose(predictions), k=3
        ).values,
        lambda sums: sums,
    )
    metric = metrics.collection({'best': pairs})
    sums, taken = self.loop(_BATCH, metric)(tf.constant([[0, 1, 2, 3]]), 0)
    self.assertEqual(int(taken), 1)
    self.assertEqual(
        training.summarize(metric, sums)['best'].shape.as_list(), [2, 3]
    )


class DtypeTest(absltest.TestCase):

  def test_averages_of_a_float64_model(self):
    mean = {'w': tf.constant([1.0], tf.float64)}
    now = {'w': tf.constant([3.0], tf.float64)}
    after = averaging.average(mean, now, count=2, decay=0.5)['w']
    self.assertEqual(after.dtype, tf.float64)
    np.testing.assert_allclose(after, [1 + 2 * 0.5 / 0.75], rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
