"""Tests of core.effects, and that a step heeds what a forward pass does."""

from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    assignments,
    effects,
    layers,
    losses,
    metrics,
    objectives,
    optimizers,
    training,
)
from tests import virtual_devices


def _operations(function, *specs):
  graph = tf.function(function).get_concrete_function(*specs).graph
  return graph.get_operations()


def _in_cond(write):
  return lambda x: tf.cond(x > 0, lambda: [write(), 1][1], lambda: 0)


def _in_while(write):
  return lambda x: tf.while_loop(
      lambda i: i < x, lambda i: [write(), i + 1][1:], [0.0]
  )


def _in_function(write):
  return lambda x: [tf.function(write)(), x][1]


_WAYS = {
    'plain': lambda write: lambda x: [write(), x][1],
    'in_cond': _in_cond,
    'in_while': _in_while,
    'in_function': _in_function,
    'in_cond_in_while': lambda write: _in_while(
        lambda: _in_cond(write)(tf.constant(1.0))
    ),
}


class EffectsTest(parameterized.TestCase):

  @parameterized.product(
      way=list(_WAYS),
      how=('assign', 'assign_add', 'scatter', 'none'),
  )
  def test_variables_that_are_assigned(self, way, how):
    mine, other = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0])

    def write():
      if how == 'assign':
        mine.assign(2 * other)
      elif how == 'assign_add':
        mine.assign_add(other)
      elif how == 'scatter':
        mine.scatter_add(tf.IndexedSlices(tf.gather(other, [0]), [1]))
      else:
        tf.print(mine + other, output_stream='file:///dev/null')

    operations = _operations(_WAYS[way](write), tf.TensorSpec([]))
    found = effects.assigned(operations, {'mine': mine, 'other': other})
    self.assertEqual(list(found), [] if how == 'none' else ['mine'])
    for writing in found.values():
      self.assertContainsSubset(writing, operations)

  @parameterized.product(way=list(_WAYS), is_asserted=(False, True))
  def test_assertions(self, way, is_asserted):
    variable = tf.Variable(1.0)

    def check():
      if is_asserted:
        tf.debugging.assert_positive(variable)
      else:
        variable.assign(2.0)

    operations = _operations(_WAYS[way](check), tf.TensorSpec([]))
    self.assertEqual(bool(effects.assertions(operations)), is_asserted)

  def test_eagerly_there_are_none(self):
    self.assertEqual(effects.count(), 0)
    self.assertEmpty(effects.since(0))


def _filtered(model, batch, seed, is_training):
  """Forgets that values are one for each example, if a label is 0."""
  del seed, is_training
  values = losses.softmax_cross_entropy(batch['label'], model(batch['x']))
  return objectives.Evaluation(
      tf.boolean_mask(values, batch['label'] > 0),
      statistics=tf.reduce_sum(values),
  )


class AssertionTest(parameterized.TestCase):

  @parameterized.parameters(
      {},
      {'is_finite': True},
      {'average': True},
      {'after': True},
      {'micro_batch_size': 2},
      dict(is_finite=True, average=True, after=True),
  )
  def test_nothing_changes_if_one_fails(
      self, is_finite=False, average=False, after=False, micro_batch_size=None
  ):
    model = layers.Dense(2)
    model.build([None, 3])
    model.total = tf.Variable(0.0, trainable=False)
    optimizer = optimizers.adam(0.1)
    if is_finite:
      optimizer = optimizers.apply_if_finite(optimizer, 3)
    state = training.TrainState(
        model, optimizer, average_decay=0.9 if average else None
    )
    follow = lambda state, statistics: {'total': statistics}
    step = training.make_train_step(
        _filtered,
        optimizer,
        None,
        after=follow if after else None,
        micro_batch_size=micro_batch_size,
    )

    @tf.function(
        input_signature=[{
            'x': tf.TensorSpec([None, 3]),
            'label': tf.TensorSpec([None], tf.int32),
        }]
    )
    def run(batch):
      return step(state, batch)

    x = np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32)
    for label, fails in (([1] * 6, False), ([0, 1, 0, 1, 1, 0], True)):
      before = {k: v.numpy() for k, v in state.named_variables().items()}
      batch = {'x': tf.constant(x), 'label': tf.constant(label)}
      if not fails:
        run(batch)
        self.assertEqual(int(state.step), 1)
        continue
      with self.assertRaises(tf.errors.InvalidArgumentError):
        run(batch)
      for name, value in state.named_variables().items():
        np.testing.assert_array_equal(value, before[name], name)

  @parameterized.parameters(2, 3)
  def test_nor_on_any_replica(self, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    with strategy.scope():
      model = layers.Dense(2)
      model.build([None, 3])
      optimizer = optimizers.apply_if_finite(optimizers.adam(0.1), 3)
      state = training.TrainState(model, optimizer, average_decay=0.9)
    step = training.make_train_step(_filtered, optimizer, None, strategy)
    # The one that fails has a label of 0 on the first replica alone.
    labels = tf.constant([1] * 6 + [0] + [1] * 5)
    data = tf.data.Dataset.from_tensor_slices(
        {'x': tf.ones([12, 3]), 'label': labels}
    )
    batches = strategy.experimental_distribute_dataset(data.batch(6))
    run = tf.function(
        lambda batch: step(state, batch), input_signature=[batches.element_spec]
    )
    good, bad = batches
    run(good)
    copies = [
        copy
        for variable in state.named_variables().values()
        for copy in getattr(variable, 'values', [variable])
    ]
    before = [copy.numpy() for copy in copies]
    self.assertEqual(int(state.step.numpy()), 1)
    with self.assertRaises(tf.errors.InvalidArgumentError):
      run(bad)
    for copy, value in zip(copies, before):
      np.testing.assert_array_equal(copy, value, copy.name)

  def test_known_shapes_cost_nothing(self):
    model = layers.Dense(2)
    model.build([None, 3])
    optimizer = optimizers.sgd(0.1)
    state = training.TrainState(model, optimizer)
    objective = objectives.supervised(losses.softmax_cross_entropy, inputs='x')
    step = training.make_train_step(objective, optimizer, None)
    batch = {'x': tf.TensorSpec([6, 3]), 'label': tf.TensorSpec([6], tf.int32)}
    operations = _operations(lambda batch: step(state, batch), batch)
    self.assertEmpty(effects.assertions(operations))


class _Net(tf.Module):
  """A layer, and a mean of inputs that follows in some way."""

  def __init__(self, way):
    super().__init__()
    self.dense = layers.Dense(2)
    self.dense.build([None, 3])
    self.mean = tf.Variable(0.0, trainable=False)
    self.way = way
    if way == 'sonnet':
      self.norm = snt.BatchNorm(True, True)
      self.norm(tf.zeros([2, 3]), is_training=True)
    if way == 'sums':
      self.reduces_over_replicas = True

  def __call__(self, x, is_training):
    if is_training:
      mean = tf.reduce_mean(x)
      if self.way == 'collected':
        assignments.assign(self.mean, mean)
      elif self.way == 'assigned':
        self.mean.assign(mean)
      elif self.way == 'in_cond':
        tf.cond(mean > -9, lambda: self.mean.assign(mean), lambda: mean)
      elif self.way == 'sums':
        summed = tf.distribute.get_replica_context().all_reduce('sum', mean)
        assignments.assign(self.mean, summed)
      elif self.way == 'counted':
        self.mean.assign_add(2.0)
        assignments.assign(self.mean, 0.5 * self.mean + 1.0)
      elif self.way == 'trained':
        self.dense.linear.w.assign(0.5 * self.dense.linear.w)
    if self.way == 'sonnet':
      x = self.norm(x, is_training)
    return self.dense(x)


class AssignedTest(parameterized.TestCase):

  def take(self, way, num_replicas):
    strategy = virtual_devices.mirrored(num_replicas)
    optimizer = optimizers.sgd(0.1)
    with strategy.scope():
      model = _Net(way)
      state = training.TrainState(model, optimizer)
    objective = objectives.supervised(losses.softmax_cross_entropy, inputs='x')
    step = training.make_train_step(objective, optimizer, None, strategy)
    x = np.arange(18, dtype=np.float32).reshape([6, 3])
    data = tf.data.Dataset.from_tensor_slices({'x': x, 'label': [0, 1] * 3})
    batches = strategy.experimental_distribute_dataset(data.batch(6))
    step(state, next(iter(batches)))
    return model

  @parameterized.parameters('collected', 'assigned', 'in_cond', 'sonnet')
  def test_each_replicas_own_is_refused(self, way):
    self.take(way, 1)
    with self.assertRaisesRegex(
        ValueError, 'model: its forward pass assigns .*(mean|norm).* diverge'
    ):
      self.take(way, 2)

  def test_a_module_that_sums_says_so(self):
    one, two = (self.take('sums', number).mean for number in (1, 2))
    self.assertAlmostEqual(float(one.numpy()), 8.5)
    for copy in two.values:
      self.assertAlmostEqual(float(copy.numpy()), 4.0 + 13.0)

  @parameterized.parameters(1, 2)
  def test_what_no_example_decides_is_taken(self, num_replicas):
    mean = self.take('counted', num_replicas).mean
    for copy in getattr(mean, 'values', [mean]):
      self.assertEqual(float(copy.numpy()), 2.0)

  @parameterized.parameters(1, 2)
  def test_what_is_trained_is_refused(self, num_replicas):
    with self.assertRaisesRegex(ValueError, 'assigns dense.*, which is train'):
      self.take('trained', num_replicas)


class OfBatchTest(parameterized.TestCase):

  @parameterized.parameters(True, False)
  def test_the_class_of_a_text_beside_losses_of_its_tokens(self, is_weighted):
    """Padding counts in neither; tokens that are left out are the tokens'."""
    tokens = tf.constant([[0, 1], [1, 1], [0, 0]])
    kind = tf.constant([1, 0, 0])
    logits = {
        'tokens': tf.one_hot([[0, 0], [1, 1], [0, 0]], 2),
        'kind': tf.one_hot([1, 1, 0], 2),
    }

    def objective(model, batch, seed, is_training):
      del seed, is_training
      of_tokens = losses.softmax_cross_entropy(
          batch['label']['tokens'], logits['tokens']
      )
      return objectives.Evaluation(
          of_tokens + 0 * tf.reduce_sum(model.linear.w),
          logits,
          weights=tf.constant([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]),
      )

    metric = metrics.collection(
        {name: metrics.of(metrics.accuracy(), name) for name in logits}
    )
    model = layers.Dense(2)
    model.build([None, 3])
    optimizer = optimizers.sgd(0.1)
    state = training.TrainState(model, optimizer)
    batch = {'label': {'tokens': tokens, 'kind': kind}}
    if is_weighted:
      batch['weight'] = tf.constant([1.0, 1.0, 0.0])
    step = training.make_train_step(objective, optimizer, metric)
    values = training.summarize(metric, step(state, batch))
    self.assertAlmostEqual(values['tokens'], 1.0)
    self.assertAlmostEqual(values['kind'], 1 / 2 if is_weighted else 2 / 3)


if __name__ == '__main__':
  absltest.main()
