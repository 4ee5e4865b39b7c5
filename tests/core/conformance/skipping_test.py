"""A step that is skipped changes nothing but its number and what it counts.

As if its batch had never come, to the bit: for every optimizer, every layer and
model with variables that are not trained, wherever `apply_if_finite` stands,
whatever XLA compiles, on one and on two replicas, in loops and step by step.
"""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    compilation,
    distribution,
    layers,
    loss_scaling,
    losses,
    metrics,
    objectives,
    optimizers,
    resident,
    training,
    variables,
)
from tests import virtual_devices
from tests.core.conformance import (
    member,
    table_layers,
    table_models,
    table_optimizers,
)
from tests.core.optimizers import comparison

_BATCH_SIZE = 4
_MAY_CHANGE = re.compile(
    'step|(skipped|loss_scale)/.*|'
    'optimizer/.*(notfinite_count|last_finite|total_notfinite|last_skipped)'
)
_SGD = optimizers.sgd(0.1, 0.9)
_CAREFUL = optimizers.apply_if_finite(optimizers.adam(0.1), 5)
_MECHANISMS = {
    'loss_scale': optimizers.adam(0.1),
    'outermost': _CAREFUL,
    'last': optimizers.chain(
        optimizers.trace(0.9),
        optimizers.apply_if_finite(optimizers.sgd(0.1), 5),
    ),
    'of_some': optimizers.partition({'.*offset': _CAREFUL, '.*': _SGD}),
    'in_lookahead': optimizers.lookahead(_CAREFUL, 1, 0.5, reset_state=True),
    'in_multi_steps': optimizers.multi_steps(_CAREFUL, 2),
}


class _Memory(tf.Module):
  """Has variables of several types, which each forward pass changes."""

  def __init__(self):
    super().__init__()
    self.calls = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.mean = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    self.is_used = tf.Variable(False, trainable=False)

  def __call__(self):
    self.calls.assign_add(1)
    self.mean.assign(0.5 * self.mean + 1)
    self.is_used.assign(tf.logical_not(self.is_used))


class _Net(tf.Module):
  """A small classifier, whose forward pass changes variables."""

  def __init__(self, has_norm):
    super().__init__()
    self.memory = _Memory()
    self.norm = layers.BatchNorm(decay_rate=0.5) if has_norm else None
    self.output = layers.Dense(2)
    if has_norm:
      self.norm.build([None, 3])
    self.offset = tf.Variable(tf.zeros([3]))
    self.output.build([None, 3])
    self.output.linear.w.assign(np.linspace(-1, 1, 6).reshape([3, 2]))

  def __call__(self, inputs, is_training, seed=None):
    del seed
    if is_training:
      self.memory()
    inputs = inputs + self.offset
    return self.output(self.norm(inputs, is_training) if self.norm else inputs)


def _arrays(num_batches, bad=()):
  """Draws examples; batches of these numbers hold a NaN."""
  generator = np.random.default_rng(0)
  size = num_batches * _BATCH_SIZE
  image = generator.normal(size=[size, 3]).astype(np.float32)
  for index in bad:
    image[index * _BATCH_SIZE + 1, 2] = np.nan
  return {'image': image, 'label': generator.integers(0, 2, size)}


def _batches(arrays):
  num = len(arrays['label']) // _BATCH_SIZE
  parts = {name: np.split(array, num) for name, array in arrays.items()}
  return [
      {name: part[i] for name, part in parts.items()}
      | {'weight': np.ones(_BATCH_SIZE, np.float32)}
      for i in range(num)
  ]


class _Run:
  """A state, with an average, and its step."""

  def __init__(
      self,
      model,
      objective,
      optimizer,
      has_scale,
      extent='NONE',
      num_replicas=1,
  ):
    self.strategy = virtual_devices.mirrored(num_replicas)
    self.metric = metrics.mean()
    with self.strategy.scope():
      self.model = model()
      self.state = training.TrainState(
          self.model,
          optimizer,
          average_decay=0.5,
          # So small that no good step overflows.
          loss_scale=loss_scaling.init(2.0**-2) if has_scale else None,
      )
    self.step = training.make_train_step(
        objective,
        optimizer,
        self.metric,
        self.strategy,
        compilation.Extent[extent],
    )
    self.objective = objective

  def bits(self):
    named = self.state.named_variables()
    assert not distribution.unequal_replicas(named)
    return {name: variable.numpy() for name, variable in named.items()}

  def take(self, *batches):
    stacked = tf.nest.map_structure(lambda *parts: np.stack(parts), *batches)
    dataset = tf.data.Dataset.from_tensor_slices(stacked)
    return [
        self.step(self.state, batch)
        for batch in self.strategy.experimental_distribute_dataset(dataset)
    ]


def _run(has_norm, *args, **kwargs):
  objective = objectives.supervised(losses.softmax_cross_entropy)
  measured = lambda *args, **kwargs: objective(*args, **kwargs)._replace(
      predictions=tf.zeros([tf.shape(args[1]['weight'])[0]])
  )
  return _Run(lambda: _Net(has_norm), measured, *args, **kwargs)


def _skipped(bits):
  return [bits[f'skipped/{n}'] for n in ('total', 'in_a_row', 'longest')]


class _TestCase(parameterized.TestCase):

  def assert_as_if_never(self, run, batches):
    """Takes batches, with and without the third, which is bad."""
    first, second, bad, third = batches
    start = run.bits()
    run.take(first, second)
    before = run.bits()
    for name, value in before.items():
      if re.fullmatch('average/count|model/.*(calls|mean)', name):
        self.assertTrue(np.any(value != start[name]), name)
    [sums] = run.take(bad)
    for value in tf.nest.flatten(sums):
      self.assertFalse(np.any(value))
    after = run.bits()
    self.assert_same_bits(after, before)
    self.assertEqual(after['step'], before['step'] + 1)
    self.assertEqual(_skipped(after), [1, 1, 1])
    run.take(third)
    with_bad = run.bits()
    self.assertEqual(_skipped(with_bad), [1, 0, 1])
    for name, variable in run.state.named_variables().items():
      variable.assign(before[name])
    run.take(third)
    self.assert_same_bits(with_bad, run.bits())
    self.assertEqual(run.step.experimental_get_tracing_count(), 1)

  def assert_same_bits(self, actual, expected):
    self.assertEqual(actual.keys(), expected.keys())
    for name, value in expected.items():
      if not _MAY_CHANGE.fullmatch(name):
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


class MechanismsTest(_TestCase):

  @parameterized.parameters('last', 'in_lookahead', 'in_multi_steps')
  def test_one_replica(self, name):
    self._assert_as_if_never(name, True)

  def test_replicas(self):
    self._assert_as_if_never('of_some', True, 'UPDATE', 2)

  @parameterized.product(
      name=tuple(_MECHANISMS),
      where=((True, 'STEP', 1), (True, 'UPDATE', 2), (False, 'PARTS', 2)),
  )
  @pytest.mark.slow
  def test_everywhere(self, name, where):
    self._assert_as_if_never(name, *where)

  def _assert_as_if_never(self, name, has_norm, *where):
    run = _run(has_norm, _MECHANISMS[name], name == 'loss_scale', *where)
    self.assert_as_if_never(run, _batches(_arrays(4, bad=[2])))

  def test_no_count_and_no_cost_where_no_step_can_be_skipped(self):
    run = _run(True, optimizers.adam(0.1), False)
    self.assertIsNone(run.state.skipped)
    self.assertNotIn('skipped/total', run.state.named_variables())
    [batch] = _batches(_arrays(1))
    graph = run.step.get_concrete_function(run.state, batch).graph
    floating = [k for k, v in batch.items() if tf.as_dtype(v.dtype).is_floating]
    num_inputs = len(set(floating) - {'weight'})
    types = [node.type for node in graph.get_operations()]
    # And one of the batch norm, which leaves out what has weight 0.
    self.assertEqual(types.count('IsFinite'), num_inputs + 1)

  def test_too_many_in_a_row_are_taken(self):
    run = _run(True, optimizers.apply_if_finite(_SGD, 2), False)
    sums = run.take(*_batches(_arrays(3, bad=[0, 1, 2])))
    self.assertEqual([float(each['weight']) for each in sums], [0, 0, 4])
    self.assertTrue(np.isnan(sums[-1]['loss']))
    self.assertTrue(np.isnan(run.bits()['model/output/linear/b']).any())
    self.assertEqual(_skipped(run.bits()), [2, 0, 2])


@functools.cache
def _stepwise():
  """Takes steps one by one, of which two are skipped."""
  arrays = _arrays(5, bad=[0, 3])
  run = _run(False, _CAREFUL, False)
  return arrays, run.take(*_batches(arrays)), run.bits()


class LoopTest(_TestCase):

  @parameterized.parameters(('LOOP', 1), ('PARTS', 2))
  def test_goes_on_and_is_its_steps(self, extent, num_replicas):
    arrays, expected, weights = _stepwise()
    run = _run(False, _CAREFUL, False, extent, num_replicas)
    loop = resident.make_loop(
        run.step, run.strategy, jit_compile=extent == 'LOOP'
    )
    zeros = tf.nest.map_structure(
        lambda x: tf.zeros(x.shape, tf.float64), expected[0]
    )
    sums, taken = loop(
        run.state,
        resident.place(arrays, run.strategy),
        tf.reshape(tf.range(5 * _BATCH_SIZE), [5, _BATCH_SIZE]),
        tf.constant(0),
        tf.constant(0),
        zeros,
        tf.constant(5),
    )
    self.assertEqual(int(taken), 5)
    self.assertEqual(float(sums['weight']), 3 * _BATCH_SIZE)
    np.testing.assert_allclose(
        sums['loss'], sum(float(each['loss']) for each in expected), rtol=1e-5
    )
    bits = run.bits()
    self.assertEqual(bits['skipped/total'], 2)
    for name, value in weights.items():
      np.testing.assert_allclose(
          bits[name], value, rtol=1e-4, atol=1e-5, err_msg=name
      )


class OptimizersTest(_TestCase):
  """All at once, each with a small model of its own."""

  @pytest.mark.medium
  def test_every_one_in_apply_if_finite(self):
    self._assert_as_if_never(
        lambda optimizer: optimizers.apply_if_finite(optimizer, 5), False
    )

  @pytest.mark.slow
  def test_every_one_with_a_loss_scale(self):
    self._assert_as_if_never(lambda optimizer: optimizer, True)

  def _assert_as_if_never(self, wrap, has_scale):
    names = list(table_optimizers.MEMBERS)
    start = comparison.parameters()['linear/w']

    def model():
      module = tf.Module()
      module.parts = {name: {'w': tf.Variable(start)} for name in names}
      return module

    def objective(model, batch, seed, is_training):
      del seed, is_training
      values = [
          tf.reduce_sum(tf.sin(part['w'] * batch['x'][:, None, None]), [1, 2])
          for part in model.parts.values()
      ]
      return objectives.Evaluation(
          tf.add_n(values), tf.zeros_like(batch['x']), tf.zeros([])
      )

    optimizer = optimizers.partition({
        f'parts/{name}/.*': wrap(table_optimizers.MEMBERS[name])
        for name in names
    })
    run = _Run(model, objective, optimizer, has_scale)
    xs = np.random.default_rng(0).normal(size=[4, _BATCH_SIZE]).astype('f')
    xs[2, 1] = np.inf
    zero, one = np.zeros_like(xs[0]), np.ones_like(xs[0])
    batches = [{'x': x, 'label': zero, 'weight': one} for x in xs]
    self.assert_as_if_never(run, batches)


class ModulesTest(_TestCase):

  def test_every_layer_with_variables_that_are_not_trained(self):
    self._assert_as_if_never(table_layers.MEMBERS)

  @pytest.mark.slow
  def test_every_model_with_variables_that_are_not_trained(self):
    self._assert_as_if_never(table_models.MEMBERS)

  def _assert_as_if_never(self, lines):
    subjects = {name: line.make() for name, line in lines.items()}
    subjects = {
        name: each
        for name, each in subjects.items()
        if each.module and variables.untrained(each.module)
    }
    self.assertNotEmpty(subjects)

    def model():
      module = tf.Module()
      module.parts = {n: subject.module for n, subject in subjects.items()}
      return module

    def objective(model, batch, seed, is_training):
      del seed
      total = tf.zeros([])
      for name, subject in subjects.items():
        part = {
            key.removeprefix(f'{name}:'): value
            for key, value in batch.items()
            if key.startswith(f'{name}:')
        }
        observed = subject.forward(
            model.parts[name], {**part, 'weight': batch['weight']}, is_training
        )
        total += member.mixture(*observed, batch['weight'])
      values = total * tf.ones_like(batch['weight'])
      return objectives.Evaluation(values, values, tf.zeros([]))

    def batch(seed):
      drawn = {
          f'{name}:{key}': value
          for name in subjects
          for key, value in (
              lines[name].draw(np.random.default_rng(seed), _BATCH_SIZE).items()
          )
      }
      for value in drawn.values():
        if value.dtype == np.float32:
          value.flat[1] = np.nan if seed == 3 else value.flat[1]
      zeros = np.zeros(_BATCH_SIZE, 'f')
      return {**drawn, 'label': zeros, 'weight': zeros + 1}

    # Small steps: the mixture has no minimum; at 0.1 the U-Net overflows.
    run = _Run(model, objective, optimizers.sgd(1e-4, 0.9), True)
    first, second, third, bad = map(batch, range(4))
    self.assert_as_if_never(run, (first, second, bad, third))


if __name__ == '__main__':
  absltest.main()
