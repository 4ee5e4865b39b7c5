"""The train and evaluation steps on 1 = 2 = 3 replicas, one without examples.

Every model is trained in a run of its own; all optimizers in one run, each with
a model of its own, so that one trace and one checkpoint serve them all.
"""

from __future__ import annotations

import functools
import math
import tempfile

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    checkpoints,
    distribution,
    metrics,
    models,
    objectives,
    optimizers,
    training,
)
from tests import virtual_devices
from tests.core import runs
from tests.core.conformance import member, table_metrics, table_optimizers
from tests.core.metrics import cases
from tests.core.optimizers import comparison

_BATCH_SIZE = 12
_NUM_REAL = (12, 5, 7)  # Of three replicas with 5 real examples one has none.
_REPLICAS = (1, 2, 3)
# Long to trace.
_LONG = {'resnet', 'row_rnn', 'text_classifier', 'unet', 'vit'}
_NUM_BATCHES = 7
_FIELDS = {'label': 'labels', 'predictions': 'predictions', 'weight': 'weights'}
_PARAMETERS = ('convolution/w', 'linear/w')
# One line an optimizer: its other options have no state of another kind.
_OPTIMIZERS = {
    name: optimizer
    for name, optimizer in table_optimizers.MEMBERS.items()
    if '__' not in name
}


class _Models(tf.Module):
  """A small model for each optimizer."""

  def __init__(self):
    super().__init__()
    start = comparison.parameters()
    self.models = {
        optimizer: {name: tf.Variable(start[name]) for name in _PARAMETERS}
        for optimizer in _OPTIMIZERS
    }


def _objective(model, batch, seed, is_training):
  """Sums over the models, which see none of each other."""
  del seed, is_training
  values = [
      tf.reduce_sum(
          tf.sin(
              tf.reshape(parameter, [1, -1]) * batch['input'][:, tf.newaxis]
          ),
          axis=1,
      )
      for parameters in model.models.values()
      for parameter in parameters.values()
  ]
  return objectives.Evaluation(tf.add_n(values), batch['input'], tf.zeros([]))


def _all_optimizers():
  return optimizers.partition({
      f'models/{name}/.*': optimizer for name, optimizer in _OPTIMIZERS.items()
  })


@functools.cache
def _optimizers_run(num_replicas):
  """Trains by all optimizers at once; returns the state and its values."""
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = _all_optimizers()
  metric = metrics.mean()
  with strategy.scope():
    state = training.TrainState(_Models(), optimizer)
  step = training.make_train_step(_objective, optimizer, metric, strategy)
  generator = np.random.default_rng(0)
  batches = [
      {
          'input': generator.normal(size=[_BATCH_SIZE]).astype(np.float32),
          'label': np.zeros([_BATCH_SIZE], np.float32),
          'weight': np.float32(np.arange(_BATCH_SIZE) < num_real),
      }
      for num_real in _NUM_REAL
  ]
  stacked = tf.nest.map_structure(lambda *parts: np.stack(parts), *batches)
  dataset = tf.data.Dataset.from_tensor_slices(stacked)
  for batch in strategy.experimental_distribute_dataset(dataset):
    step(state, batch)
  named = state.named_variables()
  assert not distribution.unequal_replicas(named)
  return state, {name: v.numpy() for name, v in named.items()}


def _of(name, values):
  """Takes the parameters and the state of one optimizer."""
  index = list(_OPTIMIZERS).index(name)
  return {
      key: value
      for key, value in values.items()
      if key.startswith(
          (f'model/models/{name}/', f'optimizer/inner_states/{index}/')
      )
  }


class OptimizersTest(parameterized.TestCase):

  @parameterized.parameters(*_OPTIMIZERS)
  def test_replicas_are_one(self, name):
    start = comparison.parameters()
    expected = _of(name, _optimizers_run(1)[1])
    for key, value in expected.items():
      if key.startswith('model/'):
        parameter = key.removeprefix(f'model/models/{name}/')
        moved = np.abs(value - start[parameter]).max()
        # Four steps are gathered before the first is taken.
        self.assertEqual(moved > 0, name != 'multi_steps', key)
    actual = _of(name, _optimizers_run(3)[1])
    member.assert_same(actual, expected, 2e-5)

  @pytest.mark.medium
  def test_checkpoint_and_back(self):
    state, values = _optimizers_run(3)
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = checkpoints.Checkpointer(folder, state.named_variables()).save(3)
    other = training.TrainState(_Models(), _all_optimizers())
    named = other.named_variables()
    self.assertEqual(len(checkpoints.restore(path, named)), len(values))
    for name, value in values.items():
      np.testing.assert_array_equal(named[name], value, err_msg=name)


class ModelsTest(parameterized.TestCase):

  @parameterized.parameters(*sorted(set(models.REGISTRY) - _LONG))
  @pytest.mark.medium
  def test_train_steps_on_replicas_are_those_on_one(self, name):
    self._assert_replicas_are_one(name)

  @parameterized.parameters(*sorted(_LONG))
  @pytest.mark.slow
  def test_train_steps_of_long_models_on_replicas(self, name):
    self._assert_replicas_are_one(name)

  def _assert_replicas_are_one(self, name):
    # Where a rectifier's input comes to rounding's distance of 0 the replicas'
    # gradients part, as those of one replica in another order would.
    has_activation = 'activation' in models.arguments(name)
    smooth = {'activation': 'elu'} if has_activation else {}
    results = []
    # What padding holds does not matter.
    for num_replicas, rubbish in ((1, 0.0), (3, np.nan)):
      run = runs.make(name, optimizers.sgd(0.05, 0.9), num_replicas, **smooth)
      batches = runs.batches(run.model, len(_NUM_REAL), _BATCH_SIZE)
      iterator = run.distribute([
          runs.pad(batch, num_real, rubbish)
          for batch, num_real in zip(batches, _NUM_REAL, strict=True)
      ])
      sums = [run.train_step(run.state, next(iterator)) for _ in batches]
      self.assertEqual(run.train_step.experimental_get_tracing_count(), 1)
      named = run.state.named_variables()
      self.assertEqual(distribution.unequal_replicas(named), [])
      num_places = math.prod(batches[0]['label'].shape[1:])
      self.assertEqual(
          [float(each['weight']) for each in sums],
          [num_places * num_real for num_real in _NUM_REAL],
      )
      losses = {f'loss {i}': each['loss'] for i, each in enumerate(sums)}
      results.append({**run.weights(), **losses})
    self.assertTrue(np.isfinite(list(losses.values())).all())
    for actual in results[1:]:
      member.assert_same(actual, results[0], 1e-4)


def _cut(case, num_replicas):
  """Cuts a case into batches of unequal parts, padded to one size."""
  bounds = np.random.default_rng(1).integers(
      len(case.labels) + 1, size=_NUM_BATCHES * num_replicas - 1
  )
  parts = case.slices(np.sort(bounds))
  size = max(len(part.labels) for part in parts)
  padded = [
      cases.Case(*(
          np.pad(
              field,
              [(0, size - len(field))] + [(0, 0)] * (field.ndim - 1),
              constant_values=value,
          )
          # Rubbish, that weighs nothing.
          for field, value in zip(part, (99, np.nan, 0), strict=True)
      ))
      for part in parts
  ]
  batches = {
      name: np.stack([getattr(part, field) for part in padded])
      for name, field in _FIELDS.items()
  }
  return {
      name: array.reshape([_NUM_BATCHES, -1, *array.shape[2:]])
      for name, array in batches.items()
  }


def _evaluate(metric, case, num_replicas):
  """Measures by the evaluation step, in batches of unequal parts."""
  strategy = virtual_devices.mirrored(num_replicas)
  with strategy.scope():
    model = tf.Module()
    model.unused = tf.Variable(0.0)
    state = training.TrainState(model, optimizers.sgd(0.1))

  def objective(model, batch, seed, is_training):
    del model, seed, is_training
    return objectives.Evaluation(
        tf.zeros_like(batch['weight']), batch['predictions'], tf.zeros([])
    )

  step = training.make_eval_step(objective, metric, strategy)
  dataset = tf.data.Dataset.from_tensor_slices(_cut(case, num_replicas))
  sums = [
      step(state, batch)['metrics']
      for batch in strategy.experimental_distribute_dataset(dataset)
  ]
  assert len(sums) == _NUM_BATCHES
  return sums


class MetricsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      kind=tuple(table_metrics.KINDS), num_replicas=_REPLICAS
  )
  @pytest.mark.medium
  def test_evaluation_measures_each_example_once(self, kind, num_replicas):
    line = table_metrics.KINDS[kind]
    metric = line.collection()
    case = line.draw(np.random.default_rng(0), 100)
    expected = metric.compute(metric.measure(*case.real()))
    sums = _evaluate(metric, case, num_replicas)
    doubles = tf.nest.map_structure(lambda x: tf.cast(x, tf.float64), sums)
    for added in (cases.add(*sums), cases.add(*doubles)):
      values = metric.compute(added)
      self.assertEqual(values.keys(), expected.keys())
      for name, value in values.items():
        self.assertEqual(value.dtype, tf.nest.flatten(added)[0].dtype, name)
        self.assertAllClose(value, expected[name], 1e-6, 1e-6, name)

  def test_7_batches_on_3_replicas_are_scikit_learn_s(self):
    rng = np.random.default_rng(7)
    case = cases.classes(rng, 150, 4)
    real = case.real()
    guesses = np.argmax(real.predictions, axis=1)
    weigh = {'sample_weight': real.weights.astype(np.float64)}
    members = {
        'f1_score': (metrics.f1_score(4), sklearn.metrics.f1_score),
        'precision': (metrics.precision(4), sklearn.metrics.precision_score),
        'recall': (metrics.recall(4), sklearn.metrics.recall_score),
    }
    metric = metrics.collection({k: m for k, (m, _) in members.items()})
    values = metric.compute(cases.add(*_evaluate(metric, case, 3)))
    for name, (_, reference) in members.items():
      expected = reference(
          real.labels, guesses, average='macro', zero_division=0, **weigh
      )
      self.assertAllClose(values[name], expected, 1e-6, 1e-6, name)

  def test_areas_of_7_batches_on_3_replicas_are_scikit_learn_s(self):
    # The bins are so fine that none holds two examples, as the bound shows.
    case = cases.binary(np.random.default_rng(11), 150)
    real = case.real()
    arguments = {'num_bins': 2**18}
    metric = metrics.collection({
        'area': metrics.roc_auc(**arguments),
        'area_bound': metrics.roc_auc_error_bound(**arguments),
        'precision': metrics.average_precision(**arguments),
        'precision_bound': metrics.average_precision_error_bound(**arguments),
    })
    values = metric.compute(cases.add(*_evaluate(metric, case, 3)))
    for name, reference in (
        ('area', sklearn.metrics.roc_auc_score),
        ('precision', sklearn.metrics.average_precision_score),
    ):
      self.assertEqual(float(values[f'{name}_bound']), 0.0)
      expected = reference(
          real.labels, real.predictions, sample_weight=real.weights
      )
      self.assertAllClose(values[name], expected, 1e-6, 1e-6, name)


if __name__ == '__main__':
  absltest.main()
