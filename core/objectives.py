"""Objectives: the functions that a train step minimizes.

An objective combines model, loss and penalties into one function. `supervised`
serves any module that predicts labels; for others, write a function of the same
signature. `augmented` adds data augmentation to any of them.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import sonnet as snt
import tensorflow as tf

from . import augmentation, checks, hidden_variables, random, rows

Batch = Mapping[str, Any]
"""Names to dense, sparse or ragged tensors, or nested mappings of them.

The names `label` and `weight` are optional and reserved, see `Evaluation`."""

Loss = Callable[[Any, Any], tf.Tensor]
Penalty = Callable[[Any], tf.Tensor]
Reader = str | Callable[[Batch], Any]
"""A part of a batch: its name, or a function of the batch."""

# Folded into the step's seed; models fold in the indices of their layers.
_AUGMENTATION = 2**31 - 1


class Evaluation(NamedTuple):
  """The results of an objective for one batch.

  The loss of a step is ``sum(values * weights) / sum(weights) + penalty``, over
  all examples of all replicas.

  Attributes:
    values: Floating-point losses, one per example ``[batch_size]`` or one per
      position, such as tokens ``[batch_size, length]``.
    predictions: The input of metrics, such as logits ``[batch_size,
      num_classes]``, or a nest of such tensors.
    penalty: The part of the objective independent of examples, ``[]``.
    weights: The weight of each value, float32 in the shape of the values; 0
      excludes a value. Default: 1. They are multiplied by the batch's `weight`,
      which is ``[batch_size]`` or has more axes, so padding stays padding.
    labels: The labels that metrics compare with the predictions. Default: the
      batch's `label`, or None. Metrics weight them like the values. If labels
      have fewer axes than the losses, such as a class per text with losses per
      token, examples are weighted by the batch's `weight`, or 1.
    statistics: A nest of tensors that the step sums over all replicas and
      passes to `after`, see `training.make_train_step`. The objective must
      exclude examples of weight 0 itself.
  """

  values: tf.Tensor
  predictions: Any = None
  penalty: tf.Tensor | float = 0.0
  weights: tf.Tensor | None = None
  labels: Any = None
  statistics: Any = ()


class Objective(Protocol):
  """A function from a model and a batch to an `Evaluation`."""

  def __call__(
      self,
      model: Any,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    """Evaluates the objective on one replica's part of a batch."""


def image_of(batch: Batch) -> tf.Tensor:
  """Returns the image of a batch as the model's input.

  Args:
    batch: A batch with `image` ``[batch_size, ...]``.

  Returns:
    The image.

  Raises:
    ValueError: If the batch has no image.
  """
  return read('inputs', 'image', batch)


def read(argument: str, reader: Reader, batch: Batch) -> Any:
  """Reads a part of a batch.

  Args:
    argument: The argument that holds the reader, for the message.
    reader: A name in the batch, or a function of the batch.
    batch: The batch.

  Returns:
    The part.

  Raises:
    ValueError: If the batch does not have this name.
  """
  if not isinstance(reader, str):
    return reader(batch)
  if reader not in batch:
    raise ValueError(
        f'{argument}: the batch has no {reader!r}, only {", ".join(batch)}; '
        f'pass {argument}= one of these names, or a function of the batch.'
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
  """Makes the objective of a module that predicts the labels of a batch.

  The module is called with the inputs, and with `is_training` and `seed` if its
  signature has them. It returns predictions, or a mapping of named outputs. For
  models of `core.models`, the values are the weighted sum of the losses of
  their heads plus their internal losses, see `models.Model`.

  Args:
    loss: A function from labels and predictions, such as logits ``[batch_size,
      ..., num_classes]``, to losses ``[batch_size, ...]``, or a mapping of such
      functions for named outputs. Losses with more axes than others, such as
      that of a mask next to that of a class, are averaged over their extra axes
      before the sum.
    inputs: The inputs of the module: a name in the batch or a function of it.
    labels: The labels: a name in the batch or a function of it; with several
      outputs, one for all or a mapping. Outputs missing in the mapping use the
      entry of their name in the batch's `label` if that is a mapping, and
      otherwise the `label` itself.
    weights: The weights of the losses of several outputs. Default: 1.
    penalty: A function from the module to a scalar, such as an L2 penalty.
    views: Test-time augmentation, such as `augmentation.flip_views()`: in
      evaluation, the logits of each head and the internal losses are averaged
      over views of the batch's `image`. Default: the original image only.

  Returns:
    The objective. Its predictions are those that the loss scores; with several
    outputs, predictions and labels are mappings. It raises ValueError if an
    output or a label is missing, if the losses are not numbers per example or
    their axes are not the first axes of labels or predictions, or if the
    penalty is not a scalar, and TypeError for Keras models and for inputs of
    another dtype than the model's weights.

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
        'weights, labels: with a single loss, expected a single entry for '
        'labels and no weights; for several outputs, pass a mapping of losses.'
    )

  def objective(
      model: Any,
      batch: Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> Evaluation:
    is_viewed = bool(views) and not is_training
    seen = augmentation.stack(views, batch) if is_viewed else batch
    given = read('inputs', inputs, seen)
    with _dtypes_explained(inputs, given):
      outputs = call(model, given, is_training, seed)
    of_head = (weights or {}) if scored else _head_weights(model)
    heads = _heads(outputs, tuple(scored) or ('logits', *of_head))
    inner = outputs.get('losses', {}) if isinstance(outputs, Mapping) else {}
    if is_viewed:
      heads, inner = augmentation.average(views, (heads, inner))
    targets = {name: _target(labels, name, batch) for name in heads}
    functions = scored or dict.fromkeys(of_head, cast(Loss, loss))
    values = {
        f'loss: {name}': (
            of_head.get(name, 1.0)
            * _losses(function, targets[name], heads[name])
        )
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
  """Calls a module with those of the arguments that its signature has.

  Args:
    model: A module, called as `model(inputs)`, with `is_training` and `seed` if
      it has parameters of these names.
    inputs: The inputs.
    is_training: Whether dropout and similar layers are active.
    seed: Integers ``[2]``, or None.

  Returns:
    The result of the module.

  Raises:
    TypeError: If it is a Keras model.
  """
  hidden_variables.refuse_keras('model', model)
  # Not for **kwargs, which snt.Sequential would pass on to any function.
  named = _signature(model).parameters
  arguments = {'is_training': is_training, 'seed': seed}
  if isinstance(model, snt.nets.MLP) and not model._dropout_rate:
    del arguments['is_training']  # Rejected despite being in the signature.
  return model(
      inputs,
      **{name: value for name, value in arguments.items() if name in named},
  )


@contextlib.contextmanager
def _dtypes_explained(reader: Reader, inputs: Any) -> Iterator[None]:
  """Names the inputs whose dtype an operation of the model does not take."""
  try:
    yield
  except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
    text = str(error).replace('double', 'float64')
    if not re.search('does not match type|was expected to be a', text):
      raise
    name = reader if isinstance(reader, str) else 'the tensor'
    other = [
        f'{path} is {leaf.dtype.name}'
        for path, leaf in rows.leaves(
            inputs if isinstance(inputs, Mapping) else {name: inputs}
        )
        if leaf.dtype != tf.float32 and leaf.dtype.name in text
    ]
    if not other:
      raise
    raise TypeError(
        f"inputs: {', '.join(other)}, which the model's float32 weights do not "
        "take; convert it with array.astype('float32') or tf.cast."
    ).with_traceback(error.__traceback__) from error


def _signature(model: Any) -> inspect.Signature:
  """Returns the signature of a module's call as written by its author."""
  if not isinstance(model, tf.Module):
    return inspect.signature(model)
  function: Any = type(model).__call__
  # Sonnet wraps every method of a module in a function of (*args, **kwargs).
  while function.__module__ == snt.Module.__module__.replace('base', 'utils'):
    function = inspect.getclosurevars(function).nonlocals['f']
    function = inspect.unwrap(function)
  return inspect.signature(function)


def _head_weights(model: Any) -> Mapping[str, float]:
  return getattr(model, 'head_weights', {'logits': 1.0})


def _heads(outputs: Any, names: Sequence[str]) -> dict[str, Any]:
  """Returns the named outputs; an output without a name is the logits."""
  if not isinstance(outputs, Mapping):
    outputs = {'logits': outputs}
  for name in names:
    if name not in outputs:
      raise ValueError(
          f'loss: the model has no output {name!r}; it has '
          f'{", ".join(map(str, outputs))}.'
      )
  return {name: outputs[name] for name in names}


def _target(
    labels: Reader | Mapping[str, Reader], name: str, batch: Batch
) -> Any:
  if isinstance(labels, Mapping):
    if name in labels:
      return read('labels', labels[name], batch)
    labels = 'label'
  label = read('labels', labels, batch)
  return label.get(name, label) if isinstance(label, Mapping) else label


def _losses(function: Loss, labels: Any, predictions: Any) -> tf.Tensor:
  """Computes the losses of an output.

  Raises:
    ValueError: If they have axes that neither labels nor predictions have,
      since TensorFlow broadcasts ``[n]`` and ``[n, 1]`` to ``[n, n]``.
  """
  values = _float32(function(labels, predictions))
  known = [x.shape for x in (labels, predictions) if isinstance(x, tf.Tensor)]
  if len(known) < 2 or any(_begins(values.shape, shape) for shape in known):
    return values
  raise ValueError(
      f'loss: labels {known[0]} and predictions {known[1]} gave losses '
      f'{values.shape}; expected the first axes of one of them. An axis of '
      'size 1 in only one of them is broadcast: remove it, or add it to both.'
  )


def _begins(values: tf.TensorShape, shape: tf.TensorShape) -> bool:
  if shape.rank is None or values.rank is None:
    return True
  # An unknown size matches any but a known 1, which would broadcast.
  return values.rank <= shape.rank and all(
      size is None or size == value or (value is None and size != 1)
      for size, value in zip(shape, values, strict=False)
  )


def _float32(values: tf.Tensor) -> tf.Tensor:
  return tf.cast(values, tf.float32)


def _sum(values: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """Adds up losses ``[batch_size, ...]``, averaged over axes not in all."""
  for name, value in values.items():
    if not value.shape.rank:
      raise ValueError(
          f'{name}: expected one loss per example, got shape {value.shape}.'
      )
  rank = min(value.shape.rank for value in values.values())
  values = {
      name: (
          tf.reduce_mean(value, axis=list(range(rank, value.shape.rank)))
          if value.shape.rank > rank
          else value
      )
      for name, value in values.items()
  }
  return tf.add_n(checks.same_shape(**values))


def _penalty(value: tf.Tensor) -> tf.Tensor:
  return checks.shape('penalty', tf.convert_to_tensor(value), [])


def augmented(
    objective: Objective, augment: augmentation.Augmenter
) -> Objective:
  """Makes an objective augment the batches in training.

  Args:
    objective: Any objective.
    augment: A function from a batch and a seed to a batch, such as
      `augmentation.augment` makes. Its seed is derived from the step's seed,
      independently of the seeds of the model.

  Returns:
    An objective; in evaluation it equals the given one.
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
