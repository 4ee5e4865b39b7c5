"""Keras's DCGAN: two networks, a state each, and one loop that trains both.

https://keras.io/examples/generative/dcgan_overriding_train_step/, on
scikit-learn's digits, with batch norm in the generator.
"""

# ruff: noqa: I001
from __future__ import annotations

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest

from core import layers, loops, losses, metrics, objectives, optimizers
from core import random, resident, training
from tests import virtual_devices
from tests.programs import digits, replicas

_LATENT_SIZE, _BATCH_SIZE = 8, 64
_JUDGED = metrics.collection({'accuracy': metrics.binary_accuracy()})
_FOOLED = metrics.collection({'fooled': metrics.of(metrics.mean(), 'fooled')})


class Generator(snt.Module):

  def __init__(self):
    super().__init__()
    self.project = layers.Dense(4 * 4 * 16, with_bias=False)
    self.norm = layers.BatchNorm()
    self.up = snt.Conv2DTranspose(16, 4, stride=2)
    self.out = layers.Conv2D(1, 3)

  def __call__(self, noise, is_training):
    x = tf.nn.relu(self.norm(self.project(noise), is_training))
    x = tf.nn.relu(self.up(tf.reshape(x, [-1, 4, 4, 16])))
    return tf.sigmoid(self.out(x))


class Discriminator(snt.Module):

  def __init__(self):
    super().__init__()
    self.down = [layers.Conv2D(16, 3, stride=2) for _ in range(2)]
    self.dropout, self.logit = layers.Dropout(0.2), layers.Dense(1)

  def __call__(self, images, is_training, seed):
    x = images
    for convolution in self.down:
      x = tf.nn.leaky_relu(convolution(x))
    x = self.dropout(snt.flatten(x), is_training, seed)
    return self.logit(x)[:, 0]


def _noise(batch, seed):
  if seed is None:
    return batch['noise']  # In evaluation.
  return random.normal(seed, [tf.shape(batch['image'])[0], _LATENT_SIZE])


def _discriminates(generator):
  def objective(model, batch, seed, is_training):
    fake = generator(_noise(batch, seed), is_training)
    seeds = random.split(seed, 2) if is_training else (None, None)
    real = model(batch['image'], is_training, seeds[0])
    fake = model(fake, is_training, seeds[1])
    logits = tf.stack([real, fake], axis=1)  # [batch_size, 2]
    labels = tf.broadcast_to([1.0, 0.0], tf.shape(logits))
    values = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return objectives.Evaluation(values, logits, labels=labels)

  return objective


def _generates(discriminator):
  def objective(model, batch, seed, is_training):
    fake = model(_noise(batch, seed), is_training)
    logits = discriminator(fake, is_training, seed)
    values = losses.sigmoid_binary_cross_entropy(tf.ones_like(logits), logits)
    return objectives.Evaluation(values, {'fooled': tf.sigmoid(logits)})

  return objective


def _train(num_replicas, num_steps):
  """Returns the states and sums of both, and the number of steps taken."""
  tf.random.set_seed(0)
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = optimizers.adam(2e-3, b1=0.5)
  with strategy.scope():
    generator, discriminator = Generator(), Discriminator()
    discriminator(generator(tf.zeros([1, _LATENT_SIZE]), False), False, None)
    states = {
        'discriminator': training.TrainState(discriminator, optimizer, seed=1),
        'generator': training.TrainState(generator, optimizer, seed=2),
    }
  discriminate = training.make_train_step(
      _discriminates(generator), optimizer, _JUDGED, strategy
  )
  generate = training.make_train_step(
      _generates(discriminator), optimizer, _FOOLED, strategy
  )

  def step(states, batch):
    return {
        'discriminator': discriminate(states['discriminator'], batch),
        'generator': generate(states['generator'], batch),
    }

  data = tf.data.Dataset.from_tensor_slices(
      {'image': digits.load().reshape(-1, 8, 8, 1)}
  )
  data = data.shuffle(digits.NUM_EXAMPLES, seed=0).repeat()
  data = data.batch(_BATCH_SIZE, drop_remainder=True)
  batches = iter(strategy.experimental_distribute_dataset(data))
  zeros = training.zero_sums_of(step, states, next(batches))
  loop, count = loops.make_loop(step), tf.constant(num_steps)
  return states, *loop(states, batches, zeros, count)


class DCGANTest(tf.test.TestCase):

  def test_generates_what_looks_like_digits_on_average(self):
    states, sums, num_steps = _train(num_replicas=1, num_steps=250)
    self.assertEqual(num_steps, 250)
    self.assertEqual(sums['generator']['weight'], 250 * _BATCH_SIZE)
    image = digits.load().reshape(-1, 8, 8, 1)
    generator = states['generator'].model
    noise = random.normal([0, 3], [len(image), _LATENT_SIZE])
    fake = generator(noise, is_training=False).numpy()
    grey = np.abs(0.5 - image.mean(0)).mean()
    self.assertLess(np.abs(fake.mean(0) - image.mean(0)).mean(), 0.6 * grey)
    self.assertGreater(fake.std(0).mean(), 0.5 * image.std(0).mean())

    judge, data = states['discriminator'], {'image': image, 'noise': noise}
    evaluate = resident.make_eval_loop(
        judge, _discriminates(generator), _JUDGED, data, jit='off'
    )
    values = training.summarize(_JUDGED, evaluate()[0])
    real, fake = (judge.model(x, False, None).numpy() for x in (image, fake))
    wrong = np.concatenate([-real, fake])  # Logits of the wrong answer.
    self.assertAllClose(values['accuracy'], np.mean(wrong < 0))
    self.assertAllClose(values['loss'], np.logaddexp(0, wrong).mean())

  @pytest.mark.slow
  def test_replicas_change_nothing(self):
    (one, sums, _), (two, again, _) = (_train(num, 3) for num in (1, 2))
    self.assertAllClose(sums, again, rtol=1e-3)
    for name in one:
      replicas.assert_same(one[name], two[name])


if __name__ == '__main__':
  absltest.main()
