"""Tests of the train step with mixed precision and averaged weights."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    checkpoints,
    distribution,
    loss_scaling,
    optimizers,
    precision,
    training,
    variables,
)
from tests.core import runs
from tests.core.export import cases as export_cases

_REPLICAS = (1, 3)
_BATCH_SIZE = 12


def _make(
    model_name='mlp',
    num_replicas=1,
    dtype=None,
    learning_rate=0.05,
    model_arguments=None,
    **state_arguments,
):
  """Makes a run whose step has options."""
  optimizer = optimizers.sgd(learning_rate, momentum=0.9)
  model_arguments = {'dropout_rate': 0.0, **(model_arguments or {})}
  run = runs.make(model_name, optimizer, num_replicas, **model_arguments)
  with run.strategy.scope():
    state = training.TrainState(run.model, optimizer, 7, **state_arguments)
  objective = run.objective
  if dtype:
    objective = precision.mixed(objective, dtype)
  return run._replace(
      objective=objective,
      state=state,
      train_step=training.make_train_step(
          objective, optimizer, run.metric, run.strategy
      ),
      eval_step=training.make_eval_step(
          objective,
          run.metric,
          run.strategy,
          use_average='average_decay' in state_arguments,
      ),
  )


def _separable(num, seed=0):
  """Draws batches of images whose class can be told."""
  generator = np.random.default_rng(seed)
  centres = np.random.default_rng(9).uniform(size=(4, *runs.IMAGE_SHAPE))
  labels = generator.integers(0, 4, [num, _BATCH_SIZE])
  noise = generator.normal(0, 0.3, [num, _BATCH_SIZE, *runs.IMAGE_SHAPE])
  images = (2 * centres[labels] - 1 + noise).astype(np.float32)
  weight = np.ones([_BATCH_SIZE], np.float32)
  return [
      {'image': image, 'label': label, 'weight': weight}
      for image, label in zip(images, labels)
  ]


def _train(run, batches):
  """Takes one step per batch; returns the losses."""
  iterator = run.distribute(batches)
  losses = []
  for _ in batches:
    sums = run.train_step(run.state, next(iterator))
    losses.append(float(training.summarize(run.metric, sums)['loss']))
  return losses


class MixedPrecisionTest(parameterized.TestCase):

  @parameterized.parameters('mlp', 'convnet')
  def test_learns_like_float32(self, model_name):
    self._assert_learns_like_float32(model_name)

  @pytest.mark.slow
  def test_attention_learns_like_float32(self):
    self._assert_learns_like_float32('vit')

  def _assert_learns_like_float32(self, model_name):
    batches = _separable(40)
    losses = {}
    for dtype in (None, 'bfloat16', 'float16'):
      run = _make(
          model_name,
          dtype=dtype,
          # Larger ones overflow at first: skipped steps are no difference.
          loss_scale=(
              loss_scaling.init(2.0**8) if dtype == 'float16' else None
          ),
      )
      losses[dtype] = np.array(_train(run, batches))
      for name, variable in run.state.named_variables().items():
        self.assertNotIn(variable.dtype, (tf.bfloat16, tf.float16), name)
    initial, final = losses[None][:5].mean(), losses[None][-10:].mean()
    self.assertLess(final, 0.75 * initial)
    for dtype in ('bfloat16', 'float16'):
      self.assertAlmostEqual(
          losses[dtype][-10:].mean(), final, delta=0.05 * initial
      )
      self.assertGreater(np.abs(losses[dtype] - losses[None]).max(), 1e-6)

  def test_updates_below_the_rounding_of_bfloat16_add_up(self):
    run = _make(dtype='bfloat16', learning_rate=1e-5)
    before = run.weights()
    _train(run, _separable(3))
    changes = [
        np.abs(value - before[name]).max()
        for name, value in run.weights().items()
        if name.endswith('/w') and name.startswith('model')
    ]
    self.assertBetween(max(changes), 1e-7, 1e-3)

  def test_replicas_agree_and_the_step_is_traced_once(self):
    self._assert_replicas_agree('mlp', 'float16', {})

  @pytest.mark.slow
  def test_replicas_agree_on_batch_norm(self):
    self._assert_replicas_agree(
        'resnet', 'bfloat16', {'blocks_per_stage': (1,), 'channels': (4,)}
    )

  def _assert_replicas_agree(self, model_name, dtype, model_arguments):
    batches = _separable(6)
    batches[3] = runs.pad(batches[3], 3)
    results = {}
    for num_replicas in _REPLICAS:
      run = _make(
          model_name,
          num_replicas,
          dtype,
          loss_scale=loss_scaling.init(2.0**6),
          average_decay=0.9,
          model_arguments={'activation': 'elu', **model_arguments},
      )
      losses = _train(run, batches)
      evaluated = run.eval_step(run.state, next(run.distribute(batches)))
      results[num_replicas] = losses, float(evaluated['loss']), run.weights()
      self.assertEqual(run.train_step.experimental_get_tracing_count(), 1)
      self.assertEqual(
          distribution.unequal_replicas(run.state.named_variables()), []
      )
    losses, evaluated, weights = results[1]
    for other_losses, other_evaluated, other_weights in results.values():
      # A replica rounds the sum of its own examples' gradients.
      np.testing.assert_allclose(other_losses, losses, rtol=0.02)
      np.testing.assert_allclose(other_evaluated, evaluated, rtol=0.02)
      for name, value in weights.items():
        np.testing.assert_allclose(
            other_weights[name], value, rtol=0.02, atol=0.02, err_msg=name
        )


class LossScaleTest(parameterized.TestCase):

  def test_a_power_of_2_changes_no_bit_in_float32(self):
    digests = []
    for loss_scale in (None, loss_scaling.init(2.0**10)):
      run = _make(loss_scale=loss_scale)
      _train(run, _separable(5))
      digests.append(variables.digest(variables.named(run.state.model)))
    self.assertEqual(*digests)
    self.assertEqual(run.weights()['loss_scale/good_steps'], 5)

  @parameterized.parameters(*_REPLICAS)
  @pytest.mark.medium
  def test_a_step_that_overflows_is_skipped_on_all_replicas(self, num_replicas):
    run = _make(
        num_replicas=num_replicas,
        dtype='float16',
        loss_scale=loss_scaling.init(2.0**10),
        average_decay=0.9,
        model_arguments={'activation': 'elu'},
    )
    good, bad = _separable(2)
    # The gradients of the last replica alone are beyond 65504.
    bad['image'][-1] *= 2000
    _train(run, [good])
    before = run.weights()
    [loss] = _train(run, [bad])
    self.assertTrue(np.isfinite(loss))
    after = run.weights()
    changed = {n for n in before if np.any(before[n] != after[n])}
    self.assertEqual(
        changed,
        {
            'step',
            'loss_scale/scale',
            'loss_scale/good_steps',
            'skipped/in_a_row',
            'skipped/longest',
            'skipped/total',
        },
    )
    self.assertEqual(after['loss_scale/scale'], 2.0**9)
    self.assertEqual(after['loss_scale/good_steps'], 0)
    self.assertEmpty(variables.non_finite(run.state.named_variables()))
    self.assertEqual(
        distribution.unequal_replicas(run.state.named_variables()), []
    )
    _train(run, [good])
    self.assertEqual(run.weights()['loss_scale/scale'], 2.0**9)
    self.assertEqual(run.weights()['loss_scale/good_steps'], 1)
    moved = run.weights()['model/output/linear/w']
    self.assertGreater(np.abs(moved - after['model/output/linear/w']).max(), 0)
    self.assertEqual(run.train_step.experimental_get_tracing_count(), 1)

  def test_the_same_steps_are_skipped_on_any_number_of_replicas(self):
    """The sum of all examples' gradients decides, not that of a replica's."""
    batches = _separable(8)
    for batch in batches:  # Each replica has an equal part of what overflows.
      for name in ('image', 'label'):
        batch[name][:] = batch[name][0]
    scales = {}
    for num_replicas in _REPLICAS:
      run = _make(
          num_replicas=num_replicas,
          dtype='float16',
          loss_scale=loss_scaling.init(2.0**16),
          model_arguments={'activation': 'elu'},
      )
      scales[num_replicas] = []
      for batch in batches:
        _train(run, [batch])
        scales[num_replicas].append(float(run.weights()['loss_scale/scale']))
    found = scales[1]
    self.assertLess(found[-1], found[0])
    self.assertEqual(found[-1], found[-2])
    for other in scales.values():
      self.assertEqual(other, found)

  def test_finds_a_scale_from_far_too_large_a_one(self):
    run = _make(dtype='float16', loss_scale=loss_scaling.init(2.0**24))
    losses = _train(run, _separable(40))
    self.assertBetween(run.weights()['loss_scale/scale'], 2.0**6, 2.0**20)
    self.assertLess(np.mean(losses[-5:]), 0.7 * losses[0])


class AverageTest(parameterized.TestCase):

  def test_evaluates_the_average_of_the_weights(self):
    decay = 0.8
    run = _make(average_decay=decay)
    plain = _make()
    batches = _separable(6)
    reference = optimizers.ema(decay)
    state = reference.init(plain.state.parameters)
    for batch in batches:
      _train(run, [batch])
      _train(plain, [batch])
      weights = plain.state.parameters
      average, state = reference.update(weights, state, weights)
    for name, value in plain.weights().items():
      np.testing.assert_array_equal(run.weights()[name], value, err_msg=name)
    for name, variable in plain.state.parameters.items():
      variable.assign(average[name])
    for batch in batches[:2]:
      sums = run.eval_step(run.state, next(run.distribute([batch])))
      expected = plain.eval_step(plain.state, next(plain.distribute([batch])))
      np.testing.assert_allclose(sums['loss'], expected['loss'], rtol=1e-4)

  def test_names_and_a_checkpoint(self):
    directory = export_cases.temporary_folder(self)
    small = {'blocks_per_stage': (1,), 'channels': (4,)}
    arguments = {'average_decay': 0.9, 'loss_scale': loss_scaling.init()}
    run = _make('resnet', model_arguments=small, **arguments)
    named = run.state.named_variables()
    self.assertContainsSubset(
        [
            'average/count',
            'average/model/output/linear/w',
            'loss_scale/good_steps',
            'loss_scale/scale',
        ],
        named,
    )
    # What is not trained is the model's, and is saved once.
    moving = [name for name in named if 'moving' in name]
    self.assertNotEmpty(moving)
    self.assertTrue(all(name.startswith('model/') for name in moving))
    self.assertEqual(
        {id(v) for v in named.values()}, {id(v) for v in run.state.variables}
    )
    _train(run, _separable(2))
    path = checkpoints.Checkpointer(directory, named).save(2)
    other = _make('resnet', model_arguments=small, **arguments)
    checkpoints.restore(path, other.state.named_variables())
    for each in (run, other):
      _train(each, _separable(2, seed=1))
    self.assertEqual(
        variables.digest(other.state.named_variables()),
        variables.digest(named),
    )
    plain = _make('resnet', model_arguments=small)
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, 'average/count is only in the checkpoint'
    ):
      checkpoints.restore(path, plain.state.named_variables())

  def test_a_state_without_an_average(self):
    run = _make()
    step = training.make_eval_step(
        run.objective, run.metric, run.strategy, use_average=True
    )
    with self.assertRaisesRegex(ValueError, r'use_average: .*TrainState\('):
      step(run.state, next(run.distribute(_separable(1))))

  def test_a_wrong_decay(self):
    with self.assertRaisesRegex(ValueError, 'decay: .*1.5'):
      _make(average_decay=1.5)


if __name__ == '__main__':
  absltest.main()
