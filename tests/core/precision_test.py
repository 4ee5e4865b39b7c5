"""Tests of mixed precision, over all models."""

from __future__ import annotations

import functools
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    distribution,
    layers,
    losses,
    models,
    objectives,
    precision,
    processor,
    variables,
    workers,
)
from tests import virtual_devices
from tests.core import runs
from tests.core.models import cases

_SEED = tf.constant([1, 2])
# The rounding of each type, relative to 1.
_ROUNDING = {'bfloat16': 2.0**-8, 'float16': 2.0**-11}


def _dense(tensor):
  return np.asarray(tf.convert_to_tensor(tensor))


class MixedTest(parameterized.TestCase):

  @parameterized.product(name=list(models.REGISTRY), dtype=precision.DTYPES)
  def test_every_model_is_close_to_float32(self, name, dtype):
    # Rounding turns a rectifier on or off, and with it a whole gradient.
    has_activation = 'activation' in models.arguments(name)
    smooth = {'activation': 'elu'} if has_activation else {}
    tf.random.set_seed(0)  # For variables that are not trained.
    model = cases.create(name, **smooth)
    batch = cases.batch(model, (8, 8, 3), 8)
    objective = objectives.supervised(
        losses.softmax_cross_entropy,
        inputs=functools.partial(cases.inputs, model),
    )
    model(cases.inputs(model, batch), is_training=False)
    runs.initialize(model)
    parameters = variables.trainable(model)
    results = []
    for each in (objective, precision.mixed(objective, dtype)):
      with tf.GradientTape() as tape:
        evaluation = each(model, batch, _SEED, is_training=True)
        loss = losses.mean(evaluation.values)
      gradients = tape.gradient(loss, parameters)
      results.append((evaluation, gradients))
    (expected, expected_gradients), (evaluation, gradients) = results
    self.assertEqual(evaluation.predictions.dtype, tf.float32)
    self.assertEqual(evaluation.values.dtype, tf.float32)
    error = np.abs(evaluation.predictions - expected.predictions)
    size = np.abs(expected.predictions).max()
    self.assertBetween(error.max() / size, 1e-7, 16 * _ROUNDING[dtype])
    for path, gradient in gradients.items():
      self.assertEqual(gradient.dtype, tf.float32, path)
      one, other = _dense(gradient), _dense(expected_gradients[path])
      self.assertTrue(np.isfinite(one).all(), path)
      cosine = np.sum(one * other) / (
          np.linalg.norm(one) * np.linalg.norm(other) + 1e-30
      )
      if np.abs(other).max() > 1e-4:
        # Rounded, another pixel may be a pool's maximum and get the gradient.
        self.assertGreater(cosine, 0.95, path)

  @pytest.mark.medium
  def test_graph_and_xla(self):
    model = cases.create('vit')
    batch = cases.batch(model, (8, 8, 3), 4)
    model.build(batch['image'].shape)
    objective = precision.mixed(
        objectives.supervised(losses.softmax_cross_entropy)
    )
    evaluate = lambda: objective(model, batch, None, is_training=False)
    expected = evaluate().predictions
    for jit_compile in (False, True):
      compiled = tf.function(evaluate, jit_compile=jit_compile)
      np.testing.assert_allclose(
          compiled().predictions, expected, rtol=0.05, atol=0.03
      )

  def test_penalties_see_the_float32_weights(self):
    model = models.create('mlp', 3, hidden_sizes=())
    model.build((None, 2))
    model.output.linear.w.assign(np.full([2, 3], 1 + 2**-10))
    objective = objectives.supervised(
        losses.softmax_cross_entropy,
        penalty=lambda model: losses.l2_penalty(variables.trainable(model)),
    )
    batch = {'image': tf.ones([1, 2]), 'label': tf.constant([0])}
    results = [
        each(model, batch, None, True).penalty
        for each in (objective, precision.mixed(objective))
    ]
    self.assertEqual(*map(float, results))


class ChooseTest(parameterized.TestCase):

  @parameterized.parameters((True, 'bfloat16'), (False, 'float32'))
  def test_auto_is_what_the_devices_have(self, is_native, expected):
    with mock.patch.object(precision, 'is_native', return_value=is_native):
      self.assertEqual(precision.choose(), expected)
      for each in ('float32', *precision.DTYPES):
        self.assertEqual(precision.choose(each), each)

  @parameterized.parameters(((1, 1), 'bfloat16'), ((1, 0), 'float32'))
  def test_workers_agree(self, have, expected):
    with mock.patch.object(
        workers, 'gather', return_value=[[each] for each in have]
    ):
      self.assertEqual(precision.choose('auto'), expected)

  @parameterized.parameters(
      ([(9, 0)], 'bfloat16', True),
      ([(8, 0), (7, 5)], 'bfloat16', False),
      ([(8, 0), (7, 5)], 'float16', True),
      ([(6, 1)], 'float16', False),
      ([(6, 1)], 'float32', True),
      ([None], 'bfloat16', False),
  )
  def test_gpus(self, capabilities, dtype, expected):
    details = [
        {} if each is None else {'compute_capability': each}
        for each in capabilities
    ]
    with (
        mock.patch.object(distribution, 'on_gpu', return_value=True),
        mock.patch.object(
            tf.config, 'list_physical_devices', return_value=capabilities
        ),
        mock.patch.object(
            tf.config.experimental, 'get_device_details', side_effect=details
        ),
    ):
      self.assertEqual(precision.is_native(dtype), expected)

  @parameterized.product(dtype=precision.DTYPES, has=(False, True))
  def test_a_cpu(self, dtype, has):
    with mock.patch.object(processor, 'multiplies_in', return_value=has):
      strategy = virtual_devices.mirrored(2)
      self.assertEqual(precision.is_native(dtype, strategy), has)

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, "precision: unknown 'half'"):
      precision.choose('half')
    with self.assertRaisesRegex(ValueError, "dtype: unknown 'auto'"):
      precision.is_native('auto')


class Spy(models.Model):
  """Records what it computes with."""

  def __init__(self, record):
    super().__init__()
    self.record = record
    self.dense = layers.Dense(3)
    self.norm = layers.BatchNorm()

  def __call__(self, inputs, is_training, seed=None):
    x = self.dense(inputs['x'])
    y = self.norm(x, is_training)
    self.record(
        x=x.dtype,
        w=self.dense.linear.w.dtype,
        index=inputs['index'].dtype,
        wide=inputs['wide'].dtype,
        mean=self.norm.moving_mean.dtype,
    )
    return {'logits': y, 'index': inputs['index'], 'losses': {'y': y[:, 0]}}


class AutocastTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.seen = {}
    self.model = Spy(self.seen.update)
    x = np.random.default_rng(0).normal(size=(8, 4))
    self.inputs = {
        'x': tf.constant(x, tf.float32),
        'index': tf.range(8),
        'wide': tf.ones([8], tf.float64),
    }
    self.model(self.inputs, is_training=False)

  @parameterized.parameters(*precision.DTYPES)
  def test_computes_in_the_type_and_returns_float32(self, dtype):
    half = precision.autocast(self.model, dtype)
    outputs = half(self.inputs, is_training=True)
    self.assertEqual(
        self.seen,
        {
            'x': tf.as_dtype(dtype),
            'w': tf.as_dtype(dtype),
            'index': tf.int32,
            'wide': tf.float64,
            'mean': tf.float32,
        },
    )
    self.assertEqual(outputs['logits'].dtype, tf.float32)
    self.assertEqual(outputs['losses']['y'].dtype, tf.float32)
    self.assertEqual(outputs['index'].dtype, tf.int32)
    self.model(inputs=self.inputs, is_training=True)
    self.assertEqual(self.seen['x'], tf.float32)
    half(inputs=self.inputs, is_training=True)
    self.assertEqual(self.seen['x'], tf.as_dtype(dtype))

  def test_is_the_model_otherwise(self):
    half = precision.autocast(self.model)
    self.assertIsInstance(half, Spy)
    self.assertIs(half.dense, self.model.dense)
    self.assertEqual(half.head_weights, self.model.head_weights)
    self.assertEqual(
        {name: id(v) for name, v in variables.named(half).items()},
        {name: id(v) for name, v in variables.named(self.model).items()},
    )
    for name, variable in variables.named(half).items():
      self.assertEqual(variable.dtype, tf.float32, name)

  def test_moving_statistics_of_the_model_move(self):
    precision.autocast(self.model)(self.inputs, is_training=True)
    x = self.model.dense(self.inputs['x'])
    np.testing.assert_allclose(
        self.model.norm.moving_mean, tf.reduce_mean(x, 0), atol=0.02
    )

  def test_refuses(self):
    for function in (precision.autocast, precision.mixed):
      with self.assertRaisesRegex(ValueError, "dtype: unknown 'float8'"):
        function(self.model, 'float8')


if __name__ == '__main__':
  absltest.main()
