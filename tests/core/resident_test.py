"""A loop over resident data is the step, called on the same batches."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    compilation,
    distribution,
    loops,
    optimizers,
    resident,
    training,
    variables,
)
from pipelines import batches
from tests import small_datasets, virtual_devices
from tests.core import runs

_BATCH_SIZE = 12
_NUM_EXAMPLES = 90
_SEED = 5
_STEPS_PER_EPOCH = 7  # And six examples are left.


def _data():
  generator = np.random.default_rng(0)
  shape = [_NUM_EXAMPLES, *runs.IMAGE_SHAPE]
  return small_datasets.in_memory(
      generator.integers(0, 256, shape, dtype=np.uint8),
      generator.integers(0, 4, _NUM_EXAMPLES),
  )


class _Run:
  """A run, its data, and its loop over them."""

  def __init__(self, num_replicas=1):
    run = runs.make(
        optimizer=optimizers.sgd(0.05, momentum=0.9),
        num_replicas=num_replicas,
        activation='tanh',
    )
    self.data = _data()

    def objective(model, batch, seed, is_training):
      image = tf.cast(batch['image'], tf.float32) / 255
      return run.objective(model, {**batch, 'image': image}, seed, is_training)

    self.state, self.strategy = run.state, run.strategy
    self.step = training.make_train_step(
        objective, optimizers.sgd(0.05, momentum=0.9), run.metric, run.strategy
    )
    self.placed = resident.place(self.data.arrays, run.strategy)
    self.loop = resident.make_loop(self.step, run.strategy)
    self.initial = run.weights()
    self.weights = run.weights
    example = {'weight': np.ones([1], np.float32)}
    for name, array in self.data.arrays.items():
      example[name] = array[:1]
    self.zeros = training.zero_sums(
        run.metric, training.trace(objective, run.model, example)
    )

  def reset(self):
    for name, variable in self.state.named_variables().items():
      variable.assign(self.initial[name])

  def rows(self, epoch=0):
    return self.data.train_keys(_SEED, epoch, _BATCH_SIZE)

  def take(self, num_steps, start=0, epoch=0, rows=None, sums=None):
    rows = self.rows(epoch) if rows is None else rows
    start, epoch, num_steps = map(tf.constant, (start, epoch, num_steps))
    return self.loop(
        self.state,
        self.placed,
        rows,
        start,
        epoch,
        self.zeros if sums is None else sums,
        num_steps,
    )

  def digest(self):
    return variables.digest(self.state.named_variables())

  def stream(self, num_steps, start_step=0):
    """Takes the same steps by the loop over batches of tf.data."""
    loop = loops.make_loop(self.step)
    dataset = self.strategy.distribute_datasets_from_function(
        lambda context: batches.train_batches(
            self.data,
            seed=_SEED,
            global_batch_size=_BATCH_SIZE,
            num_steps=num_steps,
            start_step=start_step,
            num_replicas=context.num_replicas_in_sync,
        )
    )
    return loop(self.state, iter(dataset), self.zeros, tf.constant(num_steps))


class OneReplicaTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.run_ = _Run()

  def setUp(self):
    super().setUp()
    self.run_.reset()

  def test_is_the_step_called_on_gathered_batches(self):
    run = self.run_
    total = 0.0
    for index in self.run_.rows().numpy()[:5]:
      sums = run.step(
          run.state,
          {
              'image': tf.constant(run.data.arrays['image'][index]),
              'label': tf.constant(run.data.arrays['label'][index]),
              'weight': tf.ones([_BATCH_SIZE]),
              'index': tf.constant(index),
              'epoch': tf.zeros([_BATCH_SIZE], tf.int32),
          },
      )
      total += float(sums['loss'])
    expected = run.digest()
    run.reset()
    sums, taken = run.take(5)
    self.assertEqual(int(taken), 5)
    self.assertEqual(float(sums['loss']), total)
    self.assertEqual(run.digest(), expected)

  @parameterized.parameters((9, 0), (9, 3), (5, 13))
  def test_is_the_loop_over_an_iterator(self, num_steps, start_step):
    """Over an epoch's end, and from the middle of an epoch."""
    run = self.run_
    expected, _ = run.stream(num_steps, start_step)
    digest = run.digest()
    run.reset()
    sums, step = run.zeros, start_step
    while step < start_step + num_steps:
      epoch, row = divmod(step, _STEPS_PER_EPOCH)
      size = min(_STEPS_PER_EPOCH - row, start_step + num_steps - step)
      sums, taken = run.take(size, row, epoch, sums=sums)
      step += int(taken)
    self.assertEqual(run.digest(), digest)
    tf.nest.map_structure(np.testing.assert_array_equal, sums, expected)

  @parameterized.parameters(*((n, _STEPS_PER_EPOCH - n) for n in (1, 2, 6)))
  def test_calls_go_on_where_others_ended(self, first, second):
    run = self.run_
    run.take(_STEPS_PER_EPOCH)
    expected = run.digest()
    run.reset()
    run.take(first)
    run.take(second, start=first)
    self.assertEqual(run.digest(), expected)

  def test_padding_counts_nothing(self):
    run = self.run_
    rows = run.rows().numpy()[:2]
    rows[0, 4:] = -1
    rows[1] = -1
    sums, _ = run.take(1, rows=tf.constant(rows))
    self.assertEqual(float(sums['weight']), 4)
    after_one = run.weights()
    nothing, _ = run.take(1, start=1, rows=tf.constant(rows))
    self.assertEqual(float(nothing['weight']), 0)
    self.assertEqual(float(nothing['loss']), 0)
    for name, after_two in run.weights().items():
      if name.startswith('model/'):
        # There is no gradient: what moves is the momentum alone.
        first = after_one[name] - run.initial[name]
        np.testing.assert_allclose(
            after_two - after_one[name], 0.9 * first, rtol=1e-3, atol=1e-6
        )
    # As if the batch had been those four alone.
    run.reset()
    index = rows[0, :4]
    expected = run.step(
        run.state,
        {
            'image': tf.constant(run.data.arrays['image'][index]),
            'label': tf.constant(run.data.arrays['label'][index]),
            'weight': tf.ones([4]),
        },
    )
    np.testing.assert_allclose(sums['loss'], expected['loss'], rtol=1e-6)
    for name, value in run.weights().items():
      np.testing.assert_allclose(
          after_one[name], value, rtol=1e-5, atol=1e-7, err_msg=name
      )

  def test_one_trace_whatever_the_numbers(self):
    run = self.run_
    for num_steps, start, epoch in ((1, 0, 0), (3, 2, 1), (2, 5, 40)):
      run.take(num_steps, start, epoch)
    self.assertEqual(run.loop.experimental_get_tracing_count(), 1)

  def test_ends_right_after_a_loss_that_is_not_finite(self):
    run = self.run_
    run.take(1)
    run.state.parameters['output/linear/b'].assign([np.nan, 0, 0, 0])
    sums, taken = run.take(4, start=1)
    self.assertEqual(int(taken), 1)
    self.assertEqual(run.state.step.numpy(), 2)
    _, taken = run.take(4, start=2, sums=sums)
    self.assertEqual(int(taken), 0)


class ReplicasTest(parameterized.TestCase):

  @parameterized.parameters(2, 3)
  @pytest.mark.medium
  def test_replicas_train_as_one_does(self, num_replicas):
    one, run = _Run(), _Run(num_replicas)
    for each in (one, run):
      each.take(_STEPS_PER_EPOCH)
      each.take(3, start=2, epoch=1)
    streamed = _Run(num_replicas)
    streamed.stream(_STEPS_PER_EPOCH)
    streamed.take(3, start=2, epoch=1)
    self.assertEqual(streamed.digest(), run.digest())
    for name, value in one.weights().items():
      np.testing.assert_allclose(
          run.weights()[name], value, rtol=1e-4, atol=1e-5, err_msg=name
      )

  @parameterized.parameters(1, 2, 3)
  def test_gathers_the_same_bits_as_on_gpus(self, num_replicas):
    run = _Run(num_replicas)
    expected = run.take(3, start=1)[0], run.digest()
    run.reset()
    with mock.patch.object(distribution, 'on_gpu', return_value=True):
      run.placed = resident.place(run.data.arrays, run.strategy)
      run.loop = resident.make_loop(run.step, run.strategy)
      actual = run.take(3, start=1)[0], run.digest()
    tf.nest.map_structure(np.testing.assert_array_equal, actual, expected)

  @parameterized.parameters(1, 2, 3)
  def test_a_replica_is_given_its_slice(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    seen = []

    def step(state, batch):
      del state

      def observe(batch):
        return {name: tf.identity(value) for name, value in batch.items()}

      each = strategy.experimental_local_results(
          strategy.run(observe, (batch,))
      )
      seen.extend(each)
      return {'loss': tf.zeros([]), **_joined(each)}

    data = _data()
    loop = resident.make_loop(step, strategy)
    rows = np.arange(24, dtype=np.int32).reshape([2, 12]) * 3
    rows[1, 8:] = -1
    zeros = {
        'loss': tf.zeros([], tf.float64),
        'index': tf.zeros([12], tf.float64),
        'epoch': tf.zeros([12], tf.float64),
        'weight': tf.zeros([12], tf.float64),
        'label': tf.zeros([12], tf.float64),
        'image': tf.zeros([12, *runs.IMAGE_SHAPE], tf.float64),
    }
    sums, _ = loop(
        None,
        resident.place(data.arrays, strategy),
        tf.constant(rows),
        tf.constant(1),
        tf.constant(4),
        zeros,
        tf.constant(1),
    )
    self.assertEqual(
        [value.shape[0] for value in (each['index'] for each in seen)],
        [12 // num_replicas] * num_replicas,
    )
    np.testing.assert_array_equal(sums['index'], rows[1])
    np.testing.assert_array_equal(sums['weight'], rows[1] >= 0)
    np.testing.assert_array_equal(sums['epoch'], [4] * 12)
    real = rows[1][:8]
    np.testing.assert_array_equal(sums['label'][:8], data.arrays['label'][real])
    np.testing.assert_array_equal(sums['image'][:8], data.arrays['image'][real])


class TrainLoopTest(parameterized.TestCase):

  def _make(
      self, name='mlp', num_replicas=1, weights=None, jit='auto', **arguments
  ):
    optimizer = optimizers.sgd(0.05, momentum=0.9)
    run = runs.make(name, optimizer, num_replicas, **arguments)

    def objective(model, batch, seed, is_training):
      image = tf.cast(batch['image'], tf.float32) / 255
      return run.objective(model, {**batch, 'image': image}, seed, is_training)

    arrays = dict(_data().arrays)
    if weights is not None:
      arrays['weight'] = weights
    train = resident.make_train_loop(
        run.state,
        objective,
        optimizer,
        run.metric,
        arrays,
        run.strategy,
        jit=jit,
    )
    return run, train

  @parameterized.product(jit=['auto', 'off', 'force'], num_replicas=[1, 2])
  @pytest.mark.medium
  def test_is_the_loop_made_of_its_parts(self, jit, num_replicas):
    parts = _Run()
    rows = parts.rows()
    run, train = self._make(
        activation='tanh', num_replicas=num_replicas, jit=jit
    )
    expected, _ = parts.take(_STEPS_PER_EPOCH)
    sums, taken = train(rows, 0)
    self.assertEqual(int(taken), _STEPS_PER_EPOCH)
    np.testing.assert_allclose(sums['loss'], expected['loss'], rtol=1e-5)
    np.testing.assert_array_equal(sums['weight'], expected['weight'])
    for name, value in parts.weights().items():
      np.testing.assert_allclose(
          run.weights()[name], value, rtol=1e-4, atol=1e-5, err_msg=name
      )

  def test_goes_on_in_the_middle_of_an_epoch(self):
    rows = _data().train_keys(_SEED, 0, _BATCH_SIZE)
    run, train = self._make(activation='tanh')
    expected, _ = train(rows, 0)
    digest = variables.digest(run.state.named_variables())
    run, train = self._make(activation='tanh')
    sums, taken = train(rows, 0, num_steps=2)
    self.assertEqual(int(taken), 2)
    sums, taken = train(rows, 0, start=2, sums=sums)
    self.assertEqual(int(taken), _STEPS_PER_EPOCH - 2)
    self.assertEqual(variables.digest(run.state.named_variables()), digest)
    tf.nest.map_structure(np.testing.assert_array_equal, sums, expected)

  def test_weights_of_the_data_count_but_for_padding(self):
    weights = np.linspace(0, 2, _NUM_EXAMPLES).astype(np.float32)
    _, train = self._make(weights=weights)
    rows = np.array([[0, 3, 89, 7, -1, -1]], np.int32)
    sums, _ = train(tf.constant(rows), 0)
    np.testing.assert_allclose(
        sums['weight'], weights[[0, 3, 89, 7]].sum(), rtol=1e-6
    )

  @parameterized.parameters(
      ('mlp', 1, 'auto', compilation.Extent.LOOP),
      ('mlp', 2, 'auto', compilation.Extent.PARTS),
      ('convnet', 1, 'auto', compilation.Extent.UPDATE),
      ('convnet', 1, 'off', compilation.Extent.NONE),
      ('resnet', 2, 'force', compilation.Extent.UPDATE),
  )
  def test_compiles_what_gains(self, name, num_replicas, jit, expected):
    with (
        mock.patch.object(
            training, 'make_train_step', wraps=training.make_train_step
        ) as make_step,
        mock.patch.object(
            resident, 'make_loop', wraps=resident.make_loop
        ) as make_loop,
    ):
      self._make(name, num_replicas, jit=jit)
    # The first step is that of `runs`.
    self.assertEqual(make_step.call_args.args[-1], expected)
    self.assertEqual(
        make_loop.call_args.kwargs['jit_compile'],
        expected == compilation.Extent.LOOP,
    )

  def test_refuses_an_unknown_mode(self):
    with self.assertRaisesRegex(ValueError, 'jit: .*sometimes'):
      self._make(jit='sometimes')


def _joined(each):
  return {name: tf.concat([part[name] for part in each], 0) for name in each[0]}


if __name__ == '__main__':
  absltest.main()
