"""Trains a convolutional network on Fashion-MNIST: a whole run in one file.

    python docs/examples/whole_run.py --workdir=/tmp/whole_run

Uses every GPU, or the CPU. Started again, it continues from its last checkpoint
and ends with the same weights to the bit. Seen on 2 CPU cores (AMD EPYC,
AVX-512): 5 epochs in 43 s, test accuracy 0.9153 with seed 0.
"""

import time

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl import app, flags, logging
from quatrain.core import augmentation, checkpoints, distribution, layers
from quatrain.core import losses, metrics, objectives, optimizers, random
from quatrain.core import resident, schedules, training, xla_flags
from quatrain.pipelines import sources

_WORKDIR = flags.DEFINE_string('workdir', None, 'Directory.', required=True)
_NUM_EPOCHS = flags.DEFINE_integer('num_epochs', 5, 'Number of epochs.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 200, 'Examples per step.')
_LEARNING_RATE = flags.DEFINE_float('learning_rate', 5e-3, 'Its peak.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of all randomness.')


class Net(snt.Module):
  """Two blocks of convolution, batch norm and pooling, then a dense layer."""

  def __init__(self, num_classes, channels=(32, 64)):
    super().__init__()
    self.convolutions = [layers.Conv2D(size, 3) for size in channels]
    self.norms = [layers.BatchNorm() for _ in channels]
    self.dropout = layers.Dropout(0.3)
    self.logits = layers.Dense(num_classes)

  def __call__(self, images, is_training, seed=None):
    x = images
    for convolution, norm in zip(self.convolutions, self.norms):
      x = layers.max_pool2d(convolution(x))
      x = tf.nn.relu(norm(x, is_training))
    x = self.dropout(snt.flatten(x), is_training, random.layer_seed(seed, 0))
    return self.logits(x)


def images_of(batch):
  """Scales the bytes of images to [-1, 1]."""
  return tf.cast(batch['image'], tf.float32) / 127.5 - 1


def smoothed_cross_entropy(labels, logits):
  return losses.softmax_cross_entropy(labels, logits, label_smoothing=0.05)


def shuffled(num_examples, epoch):
  """Returns the positions [num_steps, batch_size] of an epoch's batches.

  They are a function of the seed and the epoch, so that a run that continues
  sees the same batches. The remainder of an epoch is dropped.
  """
  order = np.random.default_rng([_SEED.value, epoch]).permutation(num_examples)
  num_steps = num_examples // _BATCH_SIZE.value
  return resident.batched(
      order[: num_steps * _BATCH_SIZE.value], _BATCH_SIZE.value
  )


def main(_):
  logging.set_verbosity(logging.WARNING)
  xla_flags.tune_for_cpu(_BATCH_SIZE.value)
  strategy = distribution.create('mirrored')
  dataset = sources.open_dataset('fashion_mnist')
  data = {
      name: dict(dataset.split(name).arrays)
      for name in ('train', 'validation', 'test')
  }
  num_examples = len(data['train']['label'])
  num_steps = num_examples // _BATCH_SIZE.value * _NUM_EPOCHS.value

  augment = augmentation.augment(flip='random')
  objective = objectives.supervised(smoothed_cross_entropy, inputs=images_of)
  metric = metrics.collection({'accuracy': metrics.accuracy()})
  optimizer = optimizers.adamw(
      schedules.cosine_onecycle(num_steps, _LEARNING_RATE.value),
      weight_decay=1e-2,
  )

  tf.random.set_seed(_SEED.value)  # Decides the initial weights.
  with strategy.scope():
    model = Net(num_classes=10)
    model(tf.zeros([1, 28, 28, 1]), is_training=False)
    state = training.TrainState(model, optimizer, _SEED.value)
  checkpointer = checkpoints.Checkpointer(
      f'{_WORKDIR.value}/checkpoints',
      state.named_variables(),
      strategy=strategy,
  )
  checkpointer.restore()

  train = resident.make_train_loop(
      state,
      objectives.augmented(objective, augment),
      optimizer,
      metric,
      data['train'],
      strategy,
  )
  validate, test = (
      resident.make_eval_loop(state, objective, metric, data[name], strategy)
      for name in ('validation', 'test')
  )

  begun = int(state.step.numpy()) * _NUM_EPOCHS.value // num_steps
  for epoch in range(begun, _NUM_EPOCHS.value):
    started = time.monotonic()
    sums, _ = train(shuffled(num_examples, epoch), epoch)
    trained = training.summarize(metric, sums)
    validated = training.summarize(metric, validate()[0])
    checkpointer.save(int(state.step.numpy()))
    print(
        f'epoch {epoch + 1}: loss {trained["loss"]:.3f}, validation accuracy '
        f'{validated["accuracy"]:.4f}, {time.monotonic() - started:.1f} s'
    )
  tested = training.summarize(metric, test()[0])
  print(f'test accuracy {tested["accuracy"]:.4f}')


if __name__ == '__main__':
  app.run(main)
