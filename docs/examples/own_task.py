r"""A task of your own: a denoising autoencoder of images.

    python -m launch.train --task=docs/examples/own_task.py:task \
        --task_arg=noise=0.3 --num_epochs=5 --workdir=/tmp/denoising
    python -m launch.predict --workdir=/tmp/denoising --split=test \
        --output=/tmp/denoised.npz

A task says what is trained: a model, an objective, metrics, and which of them
decides. Data, optimizer, schedule, replicas, checkpoints, resuming, evaluation,
predictions and export are those of every run, and so are their flags.

Reference: Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294.
"""

import sonnet as snt
import tensorflow as tf
from quatrain.core import losses, metrics, objectives, random
from quatrain.launch import tasks


class Autoencoder(snt.Module):
  """Compresses images [batch_size, height, width, channels] to a code."""

  def __init__(self, image_shape, code_size):
    super().__init__()
    self.image_shape = image_shape
    num_pixels = tf.TensorShape(image_shape).num_elements()
    self.encoder = snt.nets.MLP([128, code_size])
    self.decoder = snt.nets.MLP([128, num_pixels])

  def __call__(self, images):
    code = tf.nn.relu(self.encoder(snt.flatten(images)))
    pixels = tf.sigmoid(self.decoder(code))
    return tf.reshape(pixels, [-1, *self.image_shape])


def task(spec, code_size: int = 32, noise: float = 0.3) -> tasks.Task:
  """Makes the task.

  Args:
    spec: The features of the data set; `image` is the only one that is used.
    code_size: The number of values that are left of an image.
    noise: The standard deviation of the noise, where pixels are in [0, 1].
  """

  def objective(model, batch, seed, is_training):
    clean = tf.cast(batch['image'], tf.float32) / 255
    noisy = clean
    if is_training:
      noisy += noise * random.normal(seed, tf.shape(clean))
    restored = model(noisy)
    return objectives.Evaluation(
        losses.squared_error(clean, restored), restored, labels=clean
    )

  return tasks.Task(
      model=Autoencoder(spec['image'].shape, code_size),
      objective=objective,
      train_metric=metrics.collection({'mse': metrics.mean_squared_error()}),
      monitor='mse',
      direction='min',
  )
