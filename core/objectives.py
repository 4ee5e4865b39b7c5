"""Objectives: what a training step minimises.

An objective joins model, loss and penalties; the train step knows nothing else
of them. `supervised` serves any module that predicts the batch's labels;
research that needs more writes a function of the same signature. `augmented`
augments what any objective is trained on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import sonnet as snt
import tensorflow as tf

from . import augmentation, checks, hidden_variables, random

Batch = Mapping[str, Any]
"""Names to tensors, sparse or ragged ones, or mappings of them.

Two names have a meaning, and both may be absent: `label` and `weight`, see
`Evaluation`."""

Loss = Callable[[Any, Any], tf.Tensor]
Penalty = Callable[[Any], tf.Tensor]
Reader = str | Callable[[Batch], Any]
"""A part of a batch: its name, or a function of the batch."""

# Folded into a step's seed; models fold in the numbers of their layers.
_AUGMENTATION = 2**31 - 1


class Evaluation(NamedTuple):
  """What an objective computes of one batch.

  The loss of a step is ``sum(values * weights) / sum(weights) + penalty``, over
  all examples of all replicas.

  Attributes:
    values: The loss of each example ``[batch_size]``, or of each of its places,
      such as tokens ``[batch_size, length]``; floating point.
    predictions: What metrics are measured on, such as logits ``[batch_size,
      num_classes]``, or a nest of them.
    penalty: The part of the objective that is no example's, a number ``[]``.
    weights: How much each value counts, float32 of the values' shape: 0 for
      what is left out. By default 1. The batch's `weight`, ``[batch_size]`` or
      of more of the values' axes, multiplies it, so that padding stays padding.
    labels: What metrics compare the predictions with, by default the batch's
      `label`, None where it has none. Metrics weigh them as the values are; of
      labels with fewer axes, such as the class of a text next to losses of its
      tokens, an example counts by the batch's `weight`, or 1.
    statistics: A nest of tensors, which the step sums over all replicas and
      gives to `after`, see `training.make_train_step`. What of the batch has
      weight 0 is the objective's own to leave out.
  """

  values: tf.Tensor
  predictions: Any = None
  penalty: tf.Tensor | float = 0.0
  weights: tf.Tensor | None = None
  labels: Any = None
  statistics: Any = ()


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

  Raises:
    ValueError: If the batch has none.
  """
  return read('inputs', 'image', batch)


def read(argument: str, reader: Reader, batch: Batch) -> Any:
  """Reads a part of a batch.

  Args:
    argument: The name of the argument that the reader is, for the message.
    reader: A name in the batch, or a function of the batch.
    batch: The batch.

  Returns:
    The part.

  Raises:
    ValueError: If the batch has no such name.
  """
  if not isinstance(reader, str):
    return reader(batch)
  if reader not in batch:
    raise ValueError(
        f'{argument}: the batch has no {reader!r}, but {", ".join(batch)}; '
        f'pass {argument}= a name in it, or a function of it.'
    )
  return batch[reader]


def supervised(
    loss: Loss | Mapping[str, Loss],
    *,
    inputs: Reader = image_of,
    labels: Reader | Mapping[str, Reader] = 'label',
    weights: Mapping[str, float] | None = None,
    penalty: Penalty | None = None,
    views: Sequence[augmentation.View] = (),
) -> Objective:
  """Makes the objective of a module that predicts the batch's labels.

  The module is called with the inputs, and with `is_training` and `seed` where
  its signature has them. It returns predictions, or a mapping of named outputs.
  For models of `core.models` the values are the sum of the losses of their
  heads, by their weights, and of the losses from inside of the model: see
  `models.Model`.

  Args:
    loss: A function of labels and predictions, such as logits ``[batch_size,
      ..., num_classes]``, to losses ``[batch_size, ...]``; or one for each of
      several named outputs. Losses of outputs whose axes are fewer than those
      of others, such as of a class beside a mask, are summed an example: the
      others are averaged over the axes that not all have.
    inputs: The module's inputs: a name in the batch or a function of it.
    labels: What the loss compares with: a name in the batch or a function of
      it; with several outputs one for all, or one for each by name. Outputs
      that are not named have the entry of their own name where the batch's
      `label` is a mapping, and else the `label`.
    weights: With several outputs the weight of each one's loss, by default 1.
    penalty: A function of the module to a scalar, such as an L2 penalty on its
      weights.
    views: Test-time augmentation, such as `augmentation.flip_views()`: when not
      in training, the logits of each head and the losses from inside are
      averages over views of the batch's `image`. Without views it is as it is.

  Returns:
    The objective. Its predictions are those that the loss scores; with several
    outputs they, and the labels, are mappings of the outputs' names. It raises
    ValueError if an output or a label is missing, if losses are not numbers per
    example, or have other axes than labels and predictions begin with, or the
    penalty is not one number, and TypeError for a model of Keras.

  Raises:
    ValueError: If the weights or labels name an output that has no loss.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers, losses, objectives
    >>> objective = objectives.supervised(
    ...     losses.squared_error, inputs='x', labels=lambda batch: batch['x'])
    >>> model = layers.Dense(2, w_init=tf.ones)
    >>> evaluation = objective(
    ...     model, {'x': tf.constant([[1.0, 2.0]])}, None, is_training=False)
    >>> evaluation.values.numpy().tolist()
    [2.5]
  """
  scored: dict[str, Loss] = {}
  if isinstance(loss, Mapping):
    scored = dict(loss)
    for argument, names in (('weights', weights), ('labels', labels)):
      for name in names if isinstance(names, Mapping) else ():
        checks.one_of(argument, name, list(scored))
  elif weights is not None or isinstance(labels, Mapping):
    raise ValueError(
        'weights, labels: expected one of labels, and no weights, for one '
        'loss; for several outputs pass a mapping of losses.'
    )

  def objective(
      model: Any,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    is_viewed = bool(views) and not is_training
    seen = augmentation.stack(views, batch) if is_viewed else batch
    outputs = call(model, read('inputs', inputs, seen), is_training, seed)
    of_head = (weights or {}) if scored else _head_weights(model)
    heads = _heads(outputs, tuple(scored) or ('logits', *of_head))
    inner = outputs.get('losses', {}) if isinstance(outputs, Mapping) else {}
    if is_viewed:
      heads, inner = augmentation.average(views, (heads, inner))
    targets = {name: _target(labels, name, batch) for name in heads}
    functions = scored or dict.fromkeys(of_head, cast(Loss, loss))
    values = {
        f'loss: {name}': of_head.get(name, 1.0)
        * _losses(function, targets[name], heads[name])
        for name, function in functions.items()
    } | {f'losses: {name}': _float32(value) for name, value in inner.items()}
    return Evaluation(
        values=_sum(values),
        predictions=heads if scored else heads['logits'],
        penalty=_penalty(penalty(model)) if penalty else tf.zeros([]),
        labels=targets if scored else targets['logits'],
    )

  return objective


def call(
    model: Any, inputs: Any, is_training: bool, seed: tf.Tensor | None
) -> Any:
  """Calls any module, with what of the arguments its signature has.

  Args:
    model: A module, called as `model(inputs)`, with `is_training` and `seed` if
      it takes them by these names.
    inputs: The inputs.
    is_training: Whether dropout and its like are on.
    seed: Integers ``[2]``, or None.

  Returns:
    What the module returns.

  Raises:
    TypeError: If it is a model of Keras.
  """
  hidden_variables.refuse_keras('model', model)
  # Not for **kwargs: snt.Sequential would hand them to any function.
  named = _signature(model).parameters
  arguments = {'is_training': is_training, 'seed': seed}
  if isinstance(model, snt.nets.MLP) and not model._dropout_rate:
    del arguments['is_training']  # It refuses what its signature has.
  return model(
      inputs,
      **{name: value for name, value in arguments.items() if name in named},
  )


def _signature(model: Any) -> inspect.Signature:
  """Returns what a module's call takes, as its author wrote it."""
  if not isinstance(model, tf.Module):
    return inspect.signature(model)
  function: Any = type(model).__call__
  # Sonnet puts every method of a module into one of any arguments.
  while function.__module__ == snt.Module.__module__.replace('base', 'utils'):
    function = inspect.getclosurevars(function).nonlocals['f']
    function = inspect.unwrap(function)
  return inspect.signature(function)


def _head_weights(model: Any) -> Mapping[str, float]:
  return getattr(model, 'head_weights', {'logits': 1.0})


def _heads(outputs: Any, names: Sequence[str]) -> dict[str, Any]:
  """Returns the named outputs; one that has no name is the logits."""
  if not isinstance(outputs, Mapping):
    outputs = {'logits': outputs}
  for name in names:
    if name not in outputs:
      raise ValueError(
          f'loss: the model has no output {name!r}, but '
          f'{", ".join(map(str, outputs))}.'
      )
  return {name: outputs[name] for name in names}


def _target(
    labels: Reader | Mapping[str, Reader], name: str, batch: Batch
) -> Any:
  """Returns what an output is compared with."""
  if isinstance(labels, Mapping):
    if name in labels:
      return read('labels', labels[name], batch)
    labels = 'label'
  label = read('labels', labels, batch)
  return label.get(name, label) if isinstance(label, Mapping) else label


def _losses(function: Loss, labels: Any, predictions: Any) -> tf.Tensor:
  """Computes the losses of an output.

  Raises:
    ValueError: If they have axes that neither labels nor predictions have: what
      TensorFlow makes of ``[n]`` and ``[n, 1]`` is ``[n, n]``.
  """
  values = _float32(function(labels, predictions))
  known = [x.shape for x in (labels, predictions) if isinstance(x, tf.Tensor)]
  if len(known) < 2 or any(_begins(values.shape, shape) for shape in known):
    return values
  raise ValueError(
      f'loss: labels {known[0]} and predictions {known[1]} gave losses '
      f'{values.shape}; expected the first axes of one of them. An axis of '
      'size 1 that only one has is broadcast: take it away, or give both one.'
  )


def _begins(values: tf.TensorShape, shape: tf.TensorShape) -> bool:
  """Returns whether values may be of the first axes of a shape."""
  if shape.rank is None or values.rank is None:
    return True
  # A size that is not known may be any, but 1, which broadcasts, is known.
  return values.rank <= shape.rank and all(
      size is None or size == value or (value is None and size != 1)
      for size, value in zip(shape, values, strict=False)
  )


def _float32(values: tf.Tensor) -> tf.Tensor:
  return tf.cast(values, tf.float32)


def _sum(values: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """Adds up losses ``[batch_size, ...]``, by the axes that all of them have."""
  for name, value in values.items():
    if not value.shape.rank:
      raise ValueError(
          f'{name}: expected a loss for each example, got shape {value.shape}.'
      )
  rank = min(value.shape.rank for value in values.values())
  values = {
      name: tf.reduce_mean(value, axis=list(range(rank, value.shape.rank)))
      if value.shape.rank > rank
      else value
      for name, value in values.items()
  }
  return tf.add_n(checks.same_shape(**values))


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
