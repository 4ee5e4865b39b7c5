"""Objectives: what a training step minimises.

An objective joins model, loss and penalties; the train step knows nothing else
of them. `supervised` serves any model of `core.models`; research that needs
more writes a function of the same signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from . import checks, models
from .models import model as model_lib

Batch = Mapping[str, tf.Tensor]
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Penalty = Callable[[models.Model], tf.Tensor]


class Evaluation(NamedTuple):
  """What an objective computes of one batch.

  Attributes:
    values: The loss of each example, float32 ``[batch_size]``.
    predictions: What metrics are measured on, such as logits
      ``[batch_size, num_classes]``.
    penalty: The part of the objective that is no example's, float32 ``[]``.
  """

  values: tf.Tensor
  predictions: Any
  penalty: tf.Tensor


class Objective(Protocol):
  """A function from model and batch to losses, predictions and a penalty."""

  def __call__(
      self,
      model: Any,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    """Evaluates the objective on one replica's part of a batch."""


def image_of(batch: Batch) -> tf.Tensor:
  """Takes the image of a batch as the model's input.

  Args:
    batch: A batch with `image` ``[batch_size, ...]``.

  Returns:
    The image.
  """
  return batch['image']


def supervised(
    loss: Loss,
    *,
    inputs: Callable[[Batch], Any] = image_of,
    penalty: Penalty | None = None,
) -> Objective:
  """Makes the objective of a model that predicts the batch's labels.

  Per example it is the sum of the model's heads' losses, by their weights, and
  of the losses from inside of the model: see `models.Model`.

  Args:
    loss: A function of labels ``[batch_size]`` and logits ``[batch_size,
      num_classes]`` to losses ``[batch_size]``.
    inputs: The model's inputs, as a function of the batch.
    penalty: A function of the model to a scalar, such as an L2 penalty on its
      weights.

  Returns:
    The objective.
  """

  def objective(
      model: models.Model,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    outputs = model(inputs(batch), is_training=is_training, seed=seed)
    heads = outputs if isinstance(outputs, Mapping) else {'logits': outputs}
    values = tf.add_n(
        [
            weight * tf.cast(loss(batch['label'], heads[head]), tf.float32)
            for head, weight in model.head_weights.items()
        ]
        + [tf.cast(v, tf.float32) for v in heads.get('losses', {}).values()]
    )
    checks.rank('loss', values, 1)
    return Evaluation(
        values=values,
        predictions=model_lib.logits(outputs),
        penalty=penalty(model) if penalty else tf.zeros([]),
    )

  return objective
