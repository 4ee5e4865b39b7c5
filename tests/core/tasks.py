"""Small tasks of every kind that a step has to take, each with its batches.

Between them: no labels and no weights, weights of rank 2, nested, sparse and
ragged batches, several outputs, random numbers, statistics that variables
follow, batch norm, a penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from core import (
    layers,
    losses,
    metrics,
    objectives,
    optimizers,
    random,
    training,
    updating,
)
from core import rows as rows_lib
from tests import virtual_devices

BATCH_SIZE = 7
NUM_BATCHES = 3
_SIZE = 4
OPTIMIZER = optimizers.sgd(0.1, momentum=0.9)


class Task(NamedTuple):
  """What is trained, and on what: a function of the batch's number."""

  model: Callable[[], tf.Module]
  objective: objectives.Objective
  batch: Callable[[int], dict[str, Any]]
  metric: metrics.Metric
  after: updating.After | None = None


def _generator(number: int) -> np.random.Generator:
  return np.random.default_rng(number)


def _mean_of(name: str) -> metrics.Metric:
  return metrics.collection({'mean': metrics.of(metrics.mean(), name)})


class Noisy(snt.Module):
  """Reconstructs, with noise; no label, no weight."""

  def __init__(self):
    super().__init__()
    self.encode, self.decode = layers.Dense(3), layers.Dense(_SIZE)

  def __call__(self, x, is_training=False, seed=None):
    z = self.encode(x)
    if seed is not None:
      noise = random.normal(seed, tf.unstack(tf.shape(z)))
      z += tf.cast(0.1 * noise, z.dtype)
    return self.decode(tf.tanh(z))


def _reconstruct(model, batch, seed, is_training):
  decoded = model(batch['x'], is_training, seed)
  values = losses.squared_error(batch['x'], decoded)
  penalty = losses.l2_penalty([model.encode.linear.w], scale=0.1)
  return objectives.Evaluation(values, {'error': values}, penalty)


class Tokens(snt.Module):
  """Predicts the next of some tokens; weights of rank 2 in a nested batch."""

  def __init__(self):
    super().__init__()
    self.embed, self.logits = snt.Embed(5, embed_dim=3), layers.Dense(5)

  def __call__(self, inputs):
    return self.logits(self.embed(inputs['tokens']))


def _token_batch(number):
  tokens = _generator(number).integers(0, 5, [BATCH_SIZE, 4])
  weight = _generator(number + 9).random([BATCH_SIZE, 3]) + 0.1
  weight[2, 1:], weight[4] = 0, 0
  return {
      'inputs': {'tokens': tokens[:, :-1].astype('int32')},
      'label': tokens[:, 1:].astype('int32'),
      'weight': weight.astype('float32'),
  }


class Bags(snt.Module):
  """Two outputs of a sparse and of a ragged input."""

  def __init__(self):
    super().__init__()
    self.words, self.tags = layers.SparseDense(3), snt.Embed(4, embed_dim=3)
    self.kind, self.number = layers.Dense(3), layers.Dense(2)

  def __call__(self, inputs):
    tags = inputs['tags'].with_values(self.tags(inputs['tags'].values))
    hidden = tf.tanh(self.words(inputs['words']) + tf.reduce_sum(tags, axis=1))
    return {'kind': self.kind(hidden), 'number': self.number(hidden)}


def _bag_batch(number):
  generator = _generator(number)
  words = generator.random([BATCH_SIZE, 6]) * (
      generator.random([BATCH_SIZE, 6]) < 0.4
  )
  lengths = generator.integers(0, 4, BATCH_SIZE)
  tags = generator.integers(0, 4, lengths.sum()).astype('int32')
  return {
      'words': tf.sparse.from_dense(words.astype('float32')),
      'tags': tf.RaggedTensor.from_row_lengths(tags, lengths),
      'label': {
          'kind': generator.integers(0, 3, BATCH_SIZE).astype('int32'),
          'number': generator.normal(size=[BATCH_SIZE, 2]).astype('float32'),
      },
      'weight': np.array([1, 2, 0, 1, 0.5, 1, 1], 'float32'),
  }


class Codes(snt.Module):
  """Codes that follow the mean of what is nearest to them."""

  def __init__(self):
    super().__init__()
    self.encode = layers.Dense(2)
    codes = tf.constant([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    self.codes = tf.Variable(codes, trainable=False)

  def __call__(self, x):
    z = self.encode(x)
    codes = tf.cast(self.codes, z.dtype)
    distances = tf.reduce_sum((z[:, None] - codes) ** 2, axis=-1)
    return z, tf.one_hot(tf.argmin(distances, axis=1), 3)


def _quantize(model, batch, seed, is_training):
  z, used = model(batch['x'])
  used *= batch['weight'][:, None]
  values = tf.reduce_mean((z - tf.matmul(used, model.codes)) ** 2, axis=1)
  statistics = {
      'count': tf.reduce_sum(used, axis=0),
      'total': tf.matmul(used, z, transpose_a=True),
  }
  return objectives.Evaluation(values, {'error': values}, statistics=statistics)


def _follow(state, statistics):
  mean = tf.math.divide_no_nan(
      statistics['total'], statistics['count'][:, None]
  )
  is_used = statistics['count'][:, None] > 0
  codes = state.model.codes
  return {'codes': tf.where(is_used, 0.5 * codes + 0.5 * mean, codes)}


def _numbers(number):
  x = _generator(number).normal(size=[BATCH_SIZE, _SIZE])
  return {'x': x.astype('float32')}


def _classes(number):
  label = _generator(number + 5).integers(0, 3, BATCH_SIZE)
  return {
      **_numbers(number),
      'label': label.astype('int32'),
      'weight': np.array([1, 1, 0, 2, 1, 1, 0], 'float32'),
  }


class Normed(snt.Module):
  """Batch norm between dense layers."""

  def __init__(self):
    super().__init__()
    self.hidden, self.norm = layers.Dense(3), layers.BatchNorm(decay_rate=0.5)
    self.logits = layers.Dense(3)

  def __call__(self, x, is_training, weights=None):
    x = self.norm(self.hidden(x), is_training, weights)
    return self.logits(tf.tanh(x))


def _classify(model, batch, seed, is_training):
  logits = model(batch['x'], is_training, batch['weight'])
  values = losses.softmax_cross_entropy(batch['label'], logits)
  return objectives.Evaluation(values, logits)


TASKS = {
    'noise': Task(Noisy, _reconstruct, _numbers, _mean_of('error')),
    'tokens': Task(
        Tokens,
        objectives.supervised(losses.softmax_cross_entropy, inputs='inputs'),
        _token_batch,
        metrics.collection({'accuracy': metrics.accuracy()}),
    ),
    'bags': Task(
        Bags,
        objectives.supervised(
            {
                'kind': losses.softmax_cross_entropy,
                'number': losses.squared_error,
            },
            inputs=lambda batch: batch,
            weights={'number': 0.5},
        ),
        _bag_batch,
        metrics.collection({
            'accuracy': metrics.of(metrics.accuracy(), 'kind'),
            'mse': metrics.of(metrics.mean_squared_error(), 'number'),
        }),
    ),
    'codes': Task(Codes, _quantize, _classes, _mean_of('error'), after=_follow),
    'norm': Task(
        Normed,
        _classify,
        _classes,
        metrics.collection({'accuracy': metrics.accuracy()}),
    ),
}


class Trained(NamedTuple):
  """What `train` ends with: the variables, and the sums of each step."""

  variables: dict[str, np.ndarray]
  sums: list[Any]


def make_state(
    task: Task, optimizer: optimizers.GradientTransformation, **options: Any
) -> training.TrainState:
  """Makes a state whose weights are always the same."""
  tf.random.set_seed(3)
  model = task.model()
  batch = tensors(task.batch(0))
  task.objective(model, batch, tf.constant([0, 0]), is_training=False)
  return training.TrainState(model, optimizer, **options)


def tensors(batch: dict[str, Any]) -> dict[str, Any]:
  """Returns a batch of tensors."""
  return tf.nest.map_structure(
      lambda x: tf.constant(x) if isinstance(x, np.ndarray) else x, batch
  )


def whole(strategy: tf.distribute.Strategy, batch: dict[str, Any]) -> Any:
  """Gives one replica the batch as it is."""
  del strategy
  return tensors(batch)


def uneven(strategy: tf.distribute.Strategy, batch: dict[str, Any]) -> Any:
  """Splits a batch over replicas, of which the last of three gets nothing."""
  cuts = [0, 3, BATCH_SIZE, BATCH_SIZE]
  batch = tensors(batch)
  return _distributed(
      strategy,
      lambda replica: rows_lib.take(
          batch, tf.range(cuts[replica], cuts[replica + 1])
      ),
  )


def padded(strategy: tf.distribute.Strategy, batch: dict[str, Any]) -> Any:
  """Splits a batch over replicas evenly, filled up with weight 0."""
  size = -(-BATCH_SIZE // strategy.num_replicas_in_sync)
  batch = tensors({'weight': np.ones(BATCH_SIZE, 'float32'), **batch})
  batch = rows_lib.with_empty(batch)
  return _distributed(
      strategy,
      lambda replica: rows_lib.take(
          batch, tf.minimum(tf.range(size) + replica * size, BATCH_SIZE)
      ),
  )


def _distributed(
    strategy: tf.distribute.Strategy, part: Callable[[int], Any]
) -> Any:
  return strategy.experimental_distribute_values_from_function(
      lambda context: part(context.replica_id_in_sync_group)
  )


def train(
    task: Task,
    num_replicas: int = 1,
    distribute: Callable[..., Any] = whole,
    objective: objectives.Objective | None = None,
    options: dict[str, Any] | None = None,
    **step_options: Any,
) -> Trained:
  """Takes a step on each batch."""
  strategy = virtual_devices.mirrored(num_replicas)
  optimizer = OPTIMIZER
  with strategy.scope():
    state = make_state(task, optimizer, **(options or {}))
  step = training.make_train_step(
      objective or task.objective,
      optimizer,
      task.metric,
      strategy,
      after=task.after,
      **step_options,
  )
  sums = [
      tf.nest.map_structure(
          lambda x: x.numpy(),
          step(state, distribute(strategy, task.batch(number))),
      )
      for number in range(NUM_BATCHES)
  ]
  variables = state.named_variables()
  return Trained({name: v.numpy() for name, v in variables.items()}, sums)
