"""Objectives: what a training step minimises.

An objective joins model, loss and penalties; the train step knows nothing else
of them. `supervised` serves any model of `core.models`; research that needs
more writes a function of the same signature. `augmented` augments what any
objective is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from . import augmentation, checks, models, random

Batch = Mapping[str, tf.Tensor]
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Penalty = Callable[[models.Model], tf.Tensor]
# Folded into a step's seed; models fold in the numbers of their layers.
_AUGMENTATION = 2**31 - 1


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
    views: Sequence[augmentation.View] = (),
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
    views: Test-time augmentation, such as `augmentation.flip_views()`: when not
      in training, the logits of each head and the losses from inside are
      averages over views of the batch's `image`. Without views it is as it is.

  Returns:
    The objective. It raises ValueError if a loss is not one number per example
    or the penalty is not one number.
  """

  def objective(
      model: models.Model,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    is_viewed = bool(views) and not is_training
    seen = augmentation.stack(views, batch) if is_viewed else batch
    outputs = model(inputs(seen), is_training=is_training, seed=seed)
    heads = outputs if isinstance(outputs, Mapping) else {'logits': outputs}
    logits = {head: heads[head] for head in ('logits', *model.head_weights)}
    inner = heads.get('losses', {})
    if is_viewed:
      logits, inner = augmentation.average(views, (logits, inner))
    values = {
        f'loss: {head}': weight * _float32(loss(batch['label'], logits[head]))
        for head, weight in model.head_weights.items()
    } | {f'losses: {name}': _float32(value) for name, value in inner.items()}
    for name, value in values.items():
      checks.rank(name, value, 1)
    return Evaluation(
        values=tf.add_n(checks.same_shape(**values)),
        predictions=logits['logits'],
        penalty=_penalty(penalty(model)) if penalty else tf.zeros([]),
    )

  return objective


def _float32(values: tf.Tensor) -> tf.Tensor:
  return tf.cast(values, tf.float32)


def _penalty(value: tf.Tensor) -> tf.Tensor:
  return checks.shape('penalty', tf.convert_to_tensor(value), [])


def augmented(
    objective: Objective, augment: augmentation.Augmenter
) -> Objective:
  """Makes an objective augment the batches of training.

  Args:
    objective: Any objective.
    augment: A function of a batch and a seed to a batch, such as
      `augmentation.augment` makes. Its seed is derived from that of the step,
      and apart from all that a model derives, which gets the step's as before.

  Returns:
    The objective; when not in training it is the given one.
  """

  def augmented_objective(
      model: Any,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    if is_training:
      batch = augment(batch, random.fold_in(seed, _AUGMENTATION))
    return objective(model, batch, seed, is_training)

  return augmented_objective
