"""Replica invariance: what 1, 2 and 3 replicas compute is the same."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import distribution, loops, models, optimizers, training
from tests.core import runs

_BATCH_SIZE = 12
_NUM_STEPS = 50
_REPLICAS = (1, 2, 3)
_OPTIMIZERS = {
    'sgd': lambda: optimizers.sgd(0.05, momentum=0.9),
    'adam': lambda: optimizers.chain(
        optimizers.clip_by_global_norm(1.0), optimizers.adam(1e-3, eps=1e-3)
    ),
}


def _train(run):
  """Takes 50 steps, some of them with padding; returns the sums of each."""
  batches = runs.batches(run.model, _NUM_STEPS, _BATCH_SIZE)
  batches[3::7] = [runs.pad(batch, 4) for batch in batches[3::7]]
  batches[5::7] = [runs.pad(batch, 11) for batch in batches[5::7]]
  iterator = run.distribute(batches)
  return [run.train_step(run.state, next(iterator)) for _ in batches]


class InvarianceTest(parameterized.TestCase):

  @parameterized.parameters(('mlp', 'adam'), ('mlp', 'sgd'), ('convnet', 'sgd'))
  @pytest.mark.medium
  def test_50_steps(self, model_name, optimizer_name):
    # Where a rectifier's input comes to rounding's distance of 0 the replicas'
    # gradients part, as those of one replica in another order would.
    has_activation = 'activation' in models.arguments(model_name)
    smooth = {'activation': 'elu'} if has_activation else {}
    results = {}
    for num_replicas in _REPLICAS:
      optimizer = _OPTIMIZERS[optimizer_name]()
      run = runs.make(model_name, optimizer, num_replicas, **smooth)
      sums = _train(run)
      self.assertEqual(run.train_step.experimental_get_tracing_count(), 1)
      self.assertEqual(
          distribution.unequal_replicas(run.state.named_variables()), []
      )
      results[num_replicas] = sums, run.weights()
    sums, weights = results[1]
    losses = [training.summarize(run.metric, each)['loss'] for each in sums]
    self.assertTrue(np.isfinite(losses).all())
    for num_replicas in _REPLICAS[1:]:
      other_sums, other_weights = results[num_replicas]
      for one, other in zip(sums, other_sums):
        np.testing.assert_allclose(other['loss'], one['loss'], rtol=1e-5)
        np.testing.assert_array_equal(other['weight'], one['weight'])
        np.testing.assert_array_equal(
            other['metrics']['confusion'], one['metrics']['confusion']
        )
      for name, value in weights.items():
        np.testing.assert_allclose(
            other_weights[name], value, rtol=1e-3, atol=1e-5, err_msg=name
        )


class PaddingTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.runs = {
        n: runs.make(num_replicas=n, dropout_rate=0.0) for n in _REPLICAS
    }
    cls.initial = cls.runs[1].weights()

  def _reset(self, run):
    for name, variable in run.state.named_variables().items():
      variable.assign(self.initial[name])

  @parameterized.parameters(
      (1, 7, 12),
      (2, 7, 12),
      (3, 7, 12),
      (2, 6, 12),
      (3, 4, 12),
      (3, 1, 12),
      (3, 3, 24),
  )
  def test_a_padded_step_is_the_step_without_padding(
      self, num_replicas, num_real, size
  ):
    [batch] = runs.batches(self.runs[1].model, 1, size)
    reference = self.runs[1]
    self._reset(reference)
    real = {name: value[:num_real] for name, value in batch.items()}
    expected = reference.train_step(
        reference.state, next(reference.distribute([real]))
    )
    weights = reference.weights()
    run = self.runs[num_replicas]
    self._reset(run)
    sums = run.train_step(
        run.state, next(run.distribute([runs.pad(batch, num_real)]))
    )
    self.assertEqual(float(sums['weight']), num_real)
    self.assertEqual(
        float(tf.reduce_sum(sums['metrics']['confusion'])), num_real
    )
    np.testing.assert_allclose(sums['loss'], expected['loss'], rtol=1e-6)
    for name, value in weights.items():
      np.testing.assert_allclose(
          run.weights()[name], value, rtol=1e-5, atol=1e-7, err_msg=name
      )
      if name.startswith('model'):
        self.assertGreater(np.abs(value - self.initial[name]).max(), 0, name)

  @parameterized.parameters(*_REPLICAS)
  def test_a_batch_of_padding_alone_changes_no_parameter(self, num_replicas):
    run = self.runs[num_replicas]
    self._reset(run)
    batch = runs.pad(runs.batches(run.model, 1, 12)[0], 0)
    sums = run.train_step(run.state, next(run.distribute([batch])))
    self.assertEqual(float(sums['weight']), 0.0)
    self.assertEqual(float(training.summarize(run.metric, sums)['loss']), 0.0)
    for name, value in run.weights().items():
      np.testing.assert_array_equal(
          value, self.initial[name] + (name == 'step'), err_msg=name
      )

  @parameterized.parameters(*_REPLICAS)
  def test_an_evaluation_counts_every_example_once(self, num_replicas):
    run, reference = self.runs[num_replicas], self.runs[1]
    self._reset(run)
    self._reset(reference)
    batches = runs.batches(run.model, 3, 12)
    batches[2] = runs.pad(batches[2], 2)
    zeros = training.zero_sums(
        run.metric, training.trace(run.objective, run.model, batches[0])
    )
    loop = loops.make_loop(run.eval_step)
    sums, taken = loop(
        run.state, run.distribute(batches), zeros, tf.constant(3)
    )
    self.assertEqual(int(taken), 3)
    self.assertEqual(float(sums['weight']), 26.0)
    joined = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in batches[0]
    }
    joined = {name: value[:26] for name, value in joined.items()}
    expected = reference.objective(reference.model, joined, None, False)
    logits = reference.model(joined['image'], is_training=False)
    confusion = np.zeros([4, 4])
    np.add.at(confusion, (joined['label'], np.argmax(logits, axis=-1)), 1)
    np.testing.assert_array_equal(sums['metrics']['confusion'], confusion)
    values = training.summarize(run.metric, sums)
    np.testing.assert_allclose(
        values['loss'],
        np.mean(expected.values) + expected.penalty,
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        values['accuracy'], np.trace(confusion) / 26, rtol=1e-6
    )


if __name__ == '__main__':
  absltest.main()
