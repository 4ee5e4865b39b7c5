"""One class per example: for images, rows of tables, or texts."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from core import augmentation, losses, metrics, objectives
from core import export as export_lib

from .. import config as config_lib
from .. import data as data_lib
from .. import programs
from . import (
    calibration,
    class_weights,
    confusion,
    features,
    inspection,
    making,
)
from . import task as task_lib

HEADLINE = (
    'loss',
    'accuracy',
    'top_5_accuracy',
    'macro_f1',
    'weighted_f1',
    'cross_entropy',
)
_PER_CLASS = ('precision', 'recall', 'f1')


def on_probabilities(
    loss: Callable[..., tf.Tensor],
) -> Callable[..., tf.Tensor]:
  """Applies a regression loss to class probabilities and one-hot labels."""

  def loss_on_probabilities(
      labels: tf.Tensor,
      logits: tf.Tensor,
      *,
      label_smoothing: float = 0.0,
      **kwargs: Any,
  ) -> tf.Tensor:
    num_classes = logits.shape[-1]
    one_hot = tf.one_hot(labels, num_classes)
    targets = one_hot * (1 - label_smoothing) + label_smoothing / num_classes
    return loss(targets, tf.nn.softmax(logits), **kwargs)

  # The signature is that of the loss, plus label smoothing.
  own = inspect.signature(loss_on_probabilities).parameters
  named = [p for p in own.values() if p.kind != p.VAR_KEYWORD]
  others = list(inspect.signature(loss).parameters.values())[2:]
  vars(loss_on_probabilities)['__signature__'] = inspect.Signature(
      [*named, *others]
  )
  return loss_on_probabilities


DEFAULT_LOSS = 'softmax_cross_entropy'
LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    'absolute_error': on_probabilities(losses.absolute_error),
    'generalized_cross_entropy': losses.generalized_cross_entropy,
    'huber_loss': on_probabilities(losses.huber_loss),
    'multiclass_hinge_loss': losses.multiclass_hinge_loss,
    'poly_loss_cross_entropy': losses.poly_loss_cross_entropy,
    'softmax_cross_entropy': losses.softmax_cross_entropy,
    'softmax_focal_loss': losses.softmax_focal_loss,
    'squared_error': on_probabilities(losses.squared_error),
    'symmetric_cross_entropy': losses.symmetric_cross_entropy,
}
VIEWS: dict[str, Callable[[], Sequence[augmentation.View]]] = {
    'none': tuple,
    'flip': augmentation.flip_views,
    'flip_shift': augmentation.flip_shift_views,
}


class Classification(task_lib.Task):
  """Assigns one of several classes to each example."""

  def __init__(self, data: data_lib.DataSpec, **parts: Any):
    """Takes the description of the data, and the parts of a task."""
    super().__init__(
        train_metric=metrics.collection({'accuracy': metrics.accuracy()}),
        eval_metric=eval_metric(data.target.num_classes),
        monitor='accuracy',
        direction='max',
        headline=HEADLINE,
        targets=data.spec.targets,
        **parts,
    )
    self._data = data
    self._names = data.target.class_names
    self.inspection = calibration.OfClasses(self._names)

  def report(self, values: Mapping[str, Any]) -> task_lib.Report:
    """Reports precision, recall and F1 per class, and confusions."""
    if not {'confusion_matrix', *_PER_CLASS} <= values.keys():
      return super().report(values)  # The user chose other metrics.
    vectors = {name: v for name, v in values.items() if np.ndim(v) == 1}
    per_class = {
        label: {name: float(vector[i]) for name, vector in vectors.items()}
        for i, label in enumerate(self._names)
    }
    counts = confusion.to_json(values['confusion_matrix'])
    return task_lib.Report(
        table=table(per_class, values),
        values={'per_class': per_class, 'confusion_matrix': counts},
        figures=confusion.figures(counts, self._names),
        sections=confusion.sections(counts, per_class),
    )

  def predict(self, batch: objectives.Batch) -> dict[str, tf.Tensor]:
    """Predicts the name and number of a class, and probabilities.

    Args:
      batch: A batch; targets and weights are optional.

    Returns:
      `prediction`, strings, `class`, int64, and `probability`, float32, each
      ``[batch_size]``; and `probabilities`, ``[batch_size, num_classes]``.
    """
    logits = inspection.logits_of(self.outputs(batch))
    probabilities = tf.nn.softmax(logits)
    best = tf.argmax(logits, axis=-1)
    return {
        task_lib.PREDICTION: tf.gather(list(self._names), best),
        'class': best,
        'probability': tf.reduce_max(probabilities, axis=-1),
        'probabilities': probabilities,
    }

  def predictions(
      self, columns: Mapping[str, tf.Tensor], like: Any
  ) -> Any | None:
    """Returns the logits, computed from the probabilities if necessary."""
    del like
    if 'logits' in columns:
      return columns['logits']
    shares = columns['probabilities']
    return tf.math.log(tf.maximum(shares, np.finfo(np.float32).tiny))

  def export(self) -> task_lib.Export:
    """Describes an export; that of images has the form of a `Classifier`."""
    export = dataclasses.replace(super().export(), label_names=self._names)
    if list(export.signature) != [features.IMAGE]:
      return export
    classifier = export_lib.Classifier(
        self.model,
        lambda image: self.inputs({features.IMAGE: image}),
        self._data.spec[features.IMAGE].shape,
        self._names,
    )
    return dataclasses.replace(export, module=classifier)


def make(data: data_lib.DataSpec, config: config_lib.Config) -> Classification:
  """Makes the task of a config; see `tasks.make`."""
  if data.target.num_classes < 2:
    raise programs.UserError(
        'label: expected at least 2 classes, and every example is of '
        f'{", ".join(data.target.class_names)}.'
    )
  model = making.model(config, data, data.target.num_classes)
  inputs = features.of_data(model, data)
  objective = objectives.supervised(
      make_loss(data, config),
      inputs=inputs,
      views=VIEWS[config.test_time_augmentation](),
  )
  return Classification(
      data,
      model=model,
      objective=objective,
      inputs=inputs,
      example_batch=data.spec.zeros(),
  )


def make_loss(
    data: data_lib.DataSpec, config: config_lib.Config
) -> objectives.Loss:
  """Makes the loss of a config, with its class weights and smoothing."""
  options = making.smoothing(config, LOSSES, DEFAULT_LOSS)
  loss = making.loss(config, LOSSES, DEFAULT_LOSS, **options)
  if config.loss_arg:
    _try(loss, config)
  loss = class_weights.weighted(loss, class_weights.of(data, config))
  return making.for_classes(loss, data.target.num_classes)


def _try(loss: objectives.Loss, config: config_lib.Config) -> None:
  """Raises UserError unless the loss of simple logits is finite."""
  logits = tf.constant([[0.5, -1.0], [0.25, -0.5]])
  shown = ' '.join(f'--loss_arg={k}={v}' for k, v in config.loss_arg.items())
  try:
    with tf.GradientTape() as tape:
      tape.watch(logits)
      values = loss(tf.constant([0, 1]), logits)
    for what, tensor in (
        ('the loss', values),
        ('its gradient', tape.gradient(values, logits)),
    ):
      if not bool(tf.reduce_all(tf.math.is_finite(tensor))):
        raise ValueError(f'{what} is not finite with these arguments.')
  except programs.Failure:  # From a custom part; the message is complete.
    raise
  except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
    raise programs.UserError(f'--loss={config.loss} {shown}: {error}') from None


def eval_metric(num_classes: int) -> metrics.Metric:
  """Makes the evaluation metric for a number of classes."""
  members = {
      'accuracy': metrics.accuracy(),
      'cross_entropy': metrics.cross_entropy(),
      'macro_precision': metrics.precision(num_classes, average='macro'),
      'macro_recall': metrics.recall(num_classes, average='macro'),
      'macro_f1': metrics.f1_score(num_classes, average='macro'),
      'weighted_f1': metrics.f1_score(num_classes, average='weighted'),
      'precision': metrics.precision(num_classes, average=None),
      'recall': metrics.recall(num_classes, average=None),
      'f1': metrics.f1_score(num_classes, average=None),
      'confusion_matrix': metrics.confusion_matrix(num_classes),
  }
  if num_classes > 5:
    members['top_5_accuracy'] = metrics.top_k_accuracy(5)
  return metrics.collection(members)


def table(
    per_class: Mapping[str, Mapping[str, float]], values: Mapping[str, Any]
) -> str:
  """Formats precision, recall and F1 of each class, and their averages.

  Args:
    per_class: Values by name, by class.
    values: The averages, `macro_precision` and so on.
  """
  rows: list[Any] = [
      [confusion.shortened(label), *(row[name] for name in _PER_CLASS)]
      for label, row in per_class.items()
  ]
  rows.append(tabulate.SEPARATING_LINE)
  averages = [values[f'macro_{name}'] for name in _PER_CLASS]
  rows.append(['macro average', *averages])
  return tabulate.tabulate(
      rows,
      headers=['class', *_PER_CLASS],
      floatfmt='.4f',
      disable_numparse=[0],  # A class may be named 1e5.
  )
