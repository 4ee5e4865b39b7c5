"""Sonnet with its own optimizers.

Variants:

- `step`: a `tf.function` a step, called from Python.
- `epoch`: a `tf.function` over an epoch, which takes batches off an iterator.
- `epoch_jit`: the same, with the step compiled by XLA.
"""

from __future__ import annotations

import sonnet as snt
import tensorflow as tf

from tests.benchmarks import cases, protocol
from tests.benchmarks.contenders import tensorflow_device

_HE = snt.initializers.VarianceScaling(2.0)


def _norm() -> snt.BatchNorm:
  return snt.BatchNorm(
      create_scale=True,
      create_offset=True,
      decay_rate=cases.NORM_MOMENTUM,
      eps=cases.NORM_EPSILON,
  )


class Block(snt.Module):
  """A pre-activation block."""

  def __init__(self, filters: int, stride: int):
    super().__init__()
    self.filters, self.stride = filters, stride
    self.norms = [_norm(), _norm()]
    self.convolutions = [
        snt.Conv2D(filters, 3, step, w_init=_HE, with_bias=False)
        for step in (stride, 1)
    ]
    self.shortcut = snt.Conv2D(filters, 1, stride, w_init=_HE, with_bias=False)

  def __call__(self, inputs, is_training):
    x = tf.nn.relu(self.norms[0](inputs, is_training))
    skip = inputs
    if self.stride != 1 or inputs.shape[-1] != self.filters:
      skip = self.shortcut(x)
    x = self.convolutions[0](x)
    x = tf.nn.relu(self.norms[1](x, is_training))
    return skip + self.convolutions[1](x)


class Network(snt.Module):
  """The layers of a case, one after another."""

  def __init__(self, case: cases.Case):
    super().__init__()
    self.layers = [_BUILDERS[kind](*sizes) for kind, *sizes in case.layers]

  def __call__(self, inputs, is_training):
    x = inputs
    for layer in self.layers:
      if isinstance(layer, (Block, snt.BatchNorm)):
        x = layer(x, is_training)
      else:
        x = layer(x)
    return x


_BUILDERS = {
    'conv': lambda n, padding: snt.Conv2D(n, 3, padding=padding, w_init=_HE),
    'stem': lambda n: snt.Conv2D(n, 3, w_init=_HE, with_bias=False),
    'block': Block,
    'norm': _norm,
    'relu': lambda: tf.nn.relu,
    'pool': lambda: lambda x: tf.nn.max_pool2d(x, 2, 2, 'VALID'),
    'flatten': snt.Flatten,
    'average': lambda: lambda x: tf.reduce_mean(x, [1, 2]),
    'dense': snt.Linear,  # Its default is the distribution of the cases.
}


def _optimizer(case: cases.Case) -> snt.Optimizer:
  rate = tf.Variable(case.learning_rate, trainable=False)
  if case.optimizer == 'nesterov':
    return snt.optimizers.Momentum(rate, 0.9, use_nesterov=True)
  return snt.optimizers.Adam(rate)


def _loss(case: cases.Case, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
  if case.label_smoothing:
    share = case.label_smoothing
    hot = tf.one_hot(labels, cases.NUM_CLASSES) * (1 - share)
    values = tf.nn.softmax_cross_entropy_with_logits(
        hot + share / cases.NUM_CLASSES, logits
    )
  else:
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  return tf.reduce_mean(values)


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  case = run.case
  tensorflow_device.setup(run)
  model = Network(case)
  model(tf.zeros([1, *cases.IMAGE_SHAPE]), is_training=True)
  optimizer = _optimizer(case)
  # Makes the slots now: a second trace would fall into a timed epoch.
  optimizer.apply(
      [tf.zeros_like(v) for v in model.trainable_variables],
      model.trainable_variables,
  )
  if case.optimizer == 'adam':
    optimizer.step.assign(0)
  rates = tf.constant(run.learning_rates)
  count = tf.Variable(0, trainable=False)
  images, labels = tf.constant(run.train.scaled()), tf.constant(
      run.train.labels
  )
  num_examples = len(run.train.labels)
  # Indices are shuffled and batched much faster than images are.
  train = (
      tf.data.Dataset.range(num_examples)
      .shuffle(num_examples, seed=run.seed)
      .batch(case.batch_size, drop_remainder=True)
      .map(lambda i: (tf.gather(images, i), tf.gather(labels, i)))
      .prefetch(tf.data.AUTOTUNE)
  )

  def step(images, labels):
    if case.schedule != 'constant':
      # XLA would compile the slice `rates[count]` anew at every step.
      optimizer.learning_rate.assign(tf.gather(rates, count))
      count.assign_add(1)
    with tf.GradientTape() as tape:
      logits = model(images, is_training=True)
      loss = _loss(case, labels, logits)
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)
    hits = tf.argmax(logits, -1, labels.dtype) == labels
    return loss, tf.reduce_mean(tf.cast(hits, tf.float32))

  train_step = tf.function(step, jit_compile=run.variant == 'epoch_jit')

  @tf.function
  def train_epoch(iterator):
    loss = accuracy = 0.0
    # A loop over the data set itself would be run by tf.data, which leaves
    # XLA a single thread.
    for _ in tf.range(run.num_steps):
      sums = train_step(*next(iterator))
      loss, accuracy = loss + sums[0], accuracy + sums[1]
    return loss, accuracy

  def train_steps(iterator):
    loss = accuracy = 0.0
    for images, labels in iterator:
      sums = train_step(images, labels)
      loss, accuracy = loss + sums[0], accuracy + sums[1]
      if run.is_first_step:
        loss.numpy()
        run.end_step()
    return loss, accuracy

  epoch = train_steps if run.variant == 'step' else train_epoch
  for _ in run.epochs():
    loss, accuracy = epoch(iter(train))
    run.end_epoch(
        loss.numpy() / run.num_steps, accuracy.numpy() / run.num_steps
    )

  @tf.function
  def predict(images):
    return tf.argmax(model(images, is_training=False), -1)

  images = tf.split(
      run.test.scaled(), len(run.test.labels) // protocol.EVAL_BATCH_SIZE
  )
  predictions = tf.concat([predict(batch) for batch in images], 0)
  run.finish(
      accuracy=(predictions.numpy() == run.test.labels).mean(),
      num_parameters=sum(
          v.shape.num_elements() for v in model.trainable_variables
      ),
      device=tensorflow_device.name(),
      versions={'tensorflow': tf.__version__, 'sonnet': snt.__version__},
  )


if __name__ == '__main__':
  main()
