"""Quatrain: what a user of `core` and `pipelines` writes.

Under a MirroredStrategy over every device of its kind. Variants:

- `resident`: the data lie on the device, and the epoch is a loop in the graph.
- `streaming`: batches come through tf.data, as for a set that is too large.
"""

# ruff: noqa: E402
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from core import processor

processor.use_onednn()  # Before TensorFlow is imported.

import sonnet as snt
import tensorflow as tf

from core import (
    compilation,
    distribution,
    layers,
    loops,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    precision,
    resident,
    schedules,
    training,
    xla_flags,
)
from pipelines import batches, in_memory, preprocessing, spec
from tests.benchmarks import cases, protocol
from tests.benchmarks.contenders import tensorflow_device

_HE = snt.initializers.VarianceScaling(2.0)
_BUILDERS: dict[str, Callable[..., Callable[[tf.Tensor], tf.Tensor]]] = {
    'conv': lambda n, padding: layers.Conv2D(n, 3, padding=padding, w_init=_HE),
    'relu': lambda: tf.nn.relu,
    'pool': lambda: layers.max_pool2d,
    'flatten': snt.Flatten,
    'dense': layers.Dense,
}


class Network(models.Model):
  """The layers of a case, one after another."""

  def __init__(self, case: cases.Case):
    super().__init__()
    self.layers = [_BUILDERS[kind](*sizes) for kind, *sizes in case.layers]

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    x = inputs
    for layer in self.layers:
      x = layer(x)
    return x


def network(case: cases.Case) -> models.Model:
  """Makes the network of a case."""
  if case.has_norms:
    return models.create('resnet', cases.NUM_CLASSES)
  return Network(case)


def _optimizer(run: protocol.Run) -> optimizers.GradientTransformation:
  case = run.case
  rate: Any = case.learning_rate
  if case.schedule != 'constant':
    rate = schedules.cosine_onecycle(len(run.learning_rates), rate)
  if case.optimizer == 'nesterov':
    return optimizers.sgd(rate, momentum=0.9, nesterov=True)
  return optimizers.adam(rate)


def _objective(run: protocol.Run) -> objectives.Objective:
  def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return losses.softmax_cross_entropy(
        labels, logits, label_smoothing=run.case.label_smoothing
    )

  objective = objectives.supervised(
      loss, inputs=lambda batch: preprocessing.scale(batch['image'])
  )
  half = run.precision == 'bfloat16'
  return precision.mixed(objective, 'bfloat16') if half else objective


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  case = run.case
  tensorflow_device.setup(run)
  xla_flags.tune_for_cpu(case.batch_size)
  strategy = distribution.create('auto')
  objective, optimizer = _objective(run), _optimizer(run)
  metric = metrics.collection({'accuracy': metrics.accuracy()})
  with strategy.scope():
    model = network(case)
    model.build([None, *cases.IMAGE_SHAPE])
    state = training.TrainState(model, optimizer, run.seed)
  eval_step = training.make_eval_step(objective, metric, strategy)
  num_train, num_test = len(run.train.labels), len(run.test.labels)

  def train_resident() -> Callable[[int, int, int, Any], Any]:
    loop = resident.make_train_loop(
        state,
        objective,
        optimizer,
        metric,
        {'image': run.train.images, 'label': run.train.labels},
        strategy,
    )

    @functools.lru_cache(maxsize=1)
    def rows(epoch: int) -> tf.Tensor:
      order = in_memory.epoch_order(num_train, run.seed, epoch)
      return tf.reshape(order, [run.num_steps, case.batch_size])

    def train(epoch: int, start: int, num_steps: int, sums: Any) -> Any:
      return loop(
          rows(epoch), epoch, start=start, num_steps=num_steps, sums=sums
      )[0]

    return train

  def train_streaming() -> Callable[[int, int, int, Any], Any]:
    example = {
        'image': tf.zeros([1, *cases.IMAGE_SHAPE], tf.uint8),
        'label': tf.zeros([1], tf.int32),
    }
    forward = training.trace(objective, model, example)
    zeros = training.zero_sums(metric, forward)
    extent = compilation.choose_for(model, forward, strategy, is_resident=False)
    loop = loops.make_loop(
        training.make_train_step(objective, optimizer, metric, strategy, extent)
    )
    images, labels = run.train
    arrays = {'image': images, 'label': labels.astype('int64')}
    names = [str(name) for name in range(cases.NUM_CLASSES)]
    data = in_memory.InMemorySplit(
        arrays, spec.of_images(cases.IMAGE_SHAPE, names)
    )
    dataset = strategy.distribute_datasets_from_function(
        lambda context: batches.train_batches(
            data,
            seed=run.seed,
            global_batch_size=case.batch_size,
            num_steps=case.num_epochs * run.num_steps,
            num_replicas=context.num_replicas_in_sync,
        )
    )
    iterator = iter(dataset)

    def train(epoch: int, start: int, num_steps: int, sums: Any) -> Any:
      del epoch, start  # The stream goes on where it was.
      sums = zeros if sums is None else sums
      return loop(state, iterator, sums, tf.constant(num_steps))[0]

    return train

  train = train_resident() if run.variant == 'resident' else train_streaming()
  for epoch in run.epochs():
    sums, start = None, 0  # The sums of no step.
    if run.is_first_step:
      # The same program as for the rest of the epoch: the number of steps is
      # a tensor.
      sums, start = train(epoch, 0, 1, sums), 1
      float(sums['loss'])
      run.end_step()
    sums = train(epoch, start, run.num_steps - start, sums)
    summary = training.summarize(metric, sums)
    run.end_epoch(summary['loss'].numpy(), summary['accuracy'].numpy())

  data = resident.place(
      {'image': run.test.images, 'label': run.test.labels}, strategy
  )
  evaluate = resident.make_loop(eval_step, strategy)
  rows = tf.reshape(tf.range(num_test), [-1, protocol.EVAL_BATCH_SIZE])
  zero = tf.constant(0)
  zeros = tf.nest.map_structure(tf.zeros_like, sums)
  sums, _ = evaluate(state, data, rows, zero, zero, zeros, tf.shape(rows)[0])
  run.finish(
      accuracy=training.summarize(metric, sums)['accuracy'].numpy(),
      num_parameters=sum(
          v.shape.num_elements() for v in state.parameters.values()
      ),
      device=tensorflow_device.name(),
      versions={'tensorflow': tf.__version__, 'sonnet': snt.__version__},
  )


if __name__ == '__main__':
  main()
