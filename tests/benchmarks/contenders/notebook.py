"""A good notebook: a Keras model, a tape, a `tf.function` a step, tf.data.

The baseline of the comparison: what someone writes who knows TensorFlow's
guides and does not write a framework.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from tests.benchmarks import protocol
from tests.benchmarks.contenders import keras_network, tensorflow_device


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  case = run.case
  tensorflow_device.setup(run)
  keras_network.setup(run)
  model = keras_network.network(case)
  optimizer = keras_network.optimizer(run)
  optimizer.build(model.trainable_variables)
  loss_fn = keras_network.loss(case)
  mean_loss = keras.metrics.Mean()
  accuracy = keras_network.accuracy(case)

  def dataset(split: protocol.Split) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(
        (split.scaled(), keras_network.targets(case, split.labels))
    )

  train = (
      dataset(run.train)
      .shuffle(len(run.train.labels), seed=run.seed)
      .batch(case.batch_size, drop_remainder=True)
      .prefetch(tf.data.AUTOTUNE)
  )
  test = dataset(run.test).batch(protocol.EVAL_BATCH_SIZE)

  @tf.function
  def train_step(images, labels):
    with tf.GradientTape() as tape:
      logits = model(images, training=True)
      loss = loss_fn(labels, logits)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    mean_loss.update_state(loss)
    accuracy.update_state(labels, logits)

  @tf.function
  def test_step(images, labels):
    accuracy.update_state(labels, model(images, training=False))

  for _ in run.epochs():
    mean_loss.reset_state()
    accuracy.reset_state()
    for images, labels in train:
      train_step(images, labels)
      if run.is_first_step:
        mean_loss.result().numpy()
        run.end_step()
    run.end_epoch(mean_loss.result().numpy(), accuracy.result().numpy())
  accuracy.reset_state()
  for images, labels in test:
    test_step(images, labels)
  run.finish(
      accuracy=accuracy.result().numpy(),
      num_parameters=keras_network.num_parameters(model),
      device=tensorflow_device.name(),
      versions={'tensorflow': tf.__version__, 'keras': keras.__version__},
  )


if __name__ == '__main__':
  main()
