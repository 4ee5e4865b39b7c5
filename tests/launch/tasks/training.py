"""Trains a task for a few steps, in this process and without files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import optimizers, training
from launch import data as data_lib
from launch import tasks
from pipelines import spec as spec_lib
from tests import virtual_devices
from tests.launch import runs

_strategy = functools.cache(virtual_devices.mirrored)


def data_of(
    features: Mapping[str, spec_lib.Feature],
    num_train: int = 64,
    **changes: Any,
) -> data_lib.DataSpec:
  """Returns what a run would keep of a data set with these features."""
  return data_lib.DataSpec(
      spec_lib.Spec(features), {'train': num_train}, **changes
  )


def make(
    data: data_lib.DataSpec, num_replicas: int = 1, **changes: Any
) -> tasks.Task:
  """Makes the task of a data set, with the model and loss that it defaults to.

  Args:
    data: What the data set is.
    num_replicas: The number of devices that it is to be trained on.
    **changes: Changes of the config.

  Returns:
    The task, its variables made.
  """
  plain = {'model': None, 'loss': None, 'model_arg': {}}
  tf.random.set_seed(1)
  task = tasks.make(data, runs.config(**{**plain, **changes}))
  with _strategy(num_replicas).scope():
    task.objective(task.model, data.spec.zeros(), None, is_training=False)
  return task


def train(
    task: tasks.Task,
    arrays: Mapping[str, np.ndarray],
    num_steps: int = 50,
    learning_rate: float = 0.01,
    num_replicas: int = 1,
) -> dict[str, Any]:
  """Takes steps on all of some arrays, and evaluates the task on them.

  Args:
    task: The task.
    arrays: An array for each feature.
    num_steps: The number of steps.
    learning_rate: The learning rate of Adam.
    num_replicas: The number of devices, which halve the arrays.

  Returns:
    The values of the evaluation.
  """
  optimizer = optimizers.adam(learning_rate)
  strategy = _strategy(num_replicas)
  size = len(next(iter(arrays.values())))
  assert size % num_replicas == 0
  batch = {n: tf.constant(a) for n, a in arrays.items()}
  batch['weight'] = tf.ones([size])

  def part(context: Any) -> dict[str, tf.Tensor]:
    at = context.replica_id_in_sync_group * size // num_replicas
    return {n: v[at : at + size // num_replicas] for n, v in batch.items()}

  whole = strategy.experimental_distribute_values_from_function
  parts = {n: whole(lambda c, n=n: part(c)[n]) for n in batch}
  with strategy.scope():
    state = training.TrainState(task.model, optimizer, seed=0)
  step = training.make_train_step(
      task.objective, optimizer, task.train_metric, strategy
  )
  for _ in range(num_steps):
    step(state, parts)
  score = training.make_eval_step(task.objective, task.eval_metric, strategy)
  values = training.summarize(task.eval_metric, score(state, parts))
  return {
      name: float(value) if not value.shape.rank else value.numpy()
      for name, value in values.items()
  }
