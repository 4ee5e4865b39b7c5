"""Small training runs, the same on any number of replicas."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from core import losses, metrics, models, objectives, optimizers, training
from core import variables as variables_lib
from tests import virtual_devices
from tests.core.models import cases

IMAGE_SHAPE = (8, 8, 1)


class Run(NamedTuple):
  """What `make` made."""

  strategy: tf.distribute.Strategy
  model: models.Model
  objective: objectives.Objective
  metric: metrics.Metric
  state: training.TrainState
  train_step: training.Step
  eval_step: training.Step

  def distribute(self, batches: list[dict[str, Any]]) -> Any:
    """Returns an iterator over the batches, split over the replicas."""
    stacked = {
        name: np.stack([batch[name] for batch in batches])
        for name in batches[0]
    }
    dataset = tf.data.Dataset.from_tensor_slices(stacked)
    return iter(self.strategy.experimental_distribute_dataset(dataset))

  def weights(self) -> dict[str, np.ndarray]:
    """Returns the values of all variables of the state."""
    return {
        name: variable.numpy()
        for name, variable in self.state.named_variables().items()
    }


def weight_penalty(model: models.Model) -> tf.Tensor:
  """An L2 penalty on the matrices."""
  trainable = variables_lib.trainable(model)
  matrices = {n: v for n, v in trainable.items() if n.endswith('/w')}
  return losses.l2_penalty(matrices, scale=1e-2)


def make(
    model_name: str = 'mlp',
    optimizer: optimizers.GradientTransformation | None = None,
    num_replicas: int = 1,
    seed: int = 7,
    **arguments: Any,
) -> Run:
  """Makes a run with class weights, label smoothing and a penalty."""
  tf.random.set_seed(seed)  # For variables that are not trained.
  optimizer = optimizer or optimizers.sgd(0.1)
  strategy = virtual_devices.mirrored(num_replicas)
  metric = metrics.collection({
      'accuracy': metrics.accuracy(),
      'confusion': metrics.confusion_matrix(cases.NUM_CLASSES),
  })
  with strategy.scope():
    model = cases.create(model_name, **arguments)
    model.build(cases.input_shapes(model, IMAGE_SHAPE))
    initialize(model)
    state = training.TrainState(model, optimizer, seed)
  objective = objectives.supervised(
      functools.partial(
          losses.softmax_cross_entropy,
          class_weights=[0.5, 1.0, 2.0, 1.5],
          label_smoothing=0.1,
      ),
      inputs=functools.partial(cases.inputs, model),
      penalty=weight_penalty,
  )
  return Run(
      strategy,
      model,
      objective,
      metric,
      state,
      training.make_train_step(objective, optimizer, metric, strategy),
      training.make_eval_step(objective, metric, strategy),
  )


def initialize(model: models.Model) -> None:
  """Sets all variables by a fixed seed."""
  generator = np.random.default_rng(0)
  for variable in variables_lib.trainable(model).values():
    fan_in = np.prod(variable.shape[:-1])
    variable.assign(generator.normal(0, fan_in**-0.5, variable.shape))


def batches(model: models.Model, num: int, size: int) -> list[dict[str, Any]]:
  """Draws batches of real examples."""
  return [cases.batch(model, IMAGE_SHAPE, size, seed) for seed in range(num)]


def pad(
    batch: dict[str, Any], num_real: int, rubbish: float = 0.0
) -> dict[str, Any]:
  """Turns the examples from num_real on into padding, which holds rubbish."""
  real = np.arange(len(batch['weight'])) < num_real

  def padded(name, value):
    is_float = np.issubdtype(value.dtype, np.floating) and name != 'weight'
    return np.where(
        real.reshape([-1] + [1] * (value.ndim - 1)),
        value,
        rubbish if is_float else 0,
    ).astype(value.dtype)

  return {name: padded(name, value) for name, value in batch.items()}
