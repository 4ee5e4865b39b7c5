"""Any number of classes per example."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from core import losses, metrics, objectives
from core.metrics import rates

from .. import config as config_lib
from .. import data as data_lib
from .. import programs
from . import (
    classification,
    columns,
    confusion,
    features,
    inspection,
    making,
)
from . import task as task_lib

DEFAULT_LOSS = 'sigmoid_binary_cross_entropy'
LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    'dice_loss': losses.dice_loss,
    'sigmoid_binary_cross_entropy': losses.sigmoid_binary_cross_entropy,
    'sigmoid_focal_loss': losses.sigmoid_focal_loss,
}
_PER_CLASS = {
    'precision': rates.precision,
    'recall': rates.recall,
    'f1': rates.f_beta,
}
# Limits the histograms, one per class, for areas under curves.
_MAX_CURVES = 50


class MultiLabel(task_lib.Task):
  """Predicts which of several classes apply to each example."""

  def __init__(self, data: data_lib.DataSpec, **parts: Any):
    """Takes the description of the data, and the parts of a task."""
    super().__init__(
        train_metric=metrics.collection(
            {'micro_f1': columns.counted(rates.f_beta, 'micro')}
        ),
        eval_metric=eval_metric(data.target.num_classes),
        example_batch=data.spec.zeros(),
        monitor='macro_f1',
        direction='max',
        targets=data.spec.targets,
        headline=(
            'loss',
            'macro_f1',
            'micro_f1',
            'exact_match',
            'mean_average_precision',
        ),
        **parts,
    )
    self._names = data.target.class_names

  def report(self, values: Mapping[str, Any]) -> task_lib.Report:
    """Reports precision, recall and F1 per class, and averages."""
    if not {*_PER_CLASS, 'macro_f1', 'micro_f1'} <= values.keys():
      return super().report(values)  # The user chose other metrics.
    vectors = [n for n in values if np.ndim(values[n]) == 1]
    per_class = {
        label: {name: float(values[name][i]) for name in vectors}
        for i, label in enumerate(self._names)
    }
    rows: list[Any] = [
        [confusion.shortened(label), *row.values()]
        for label, row in per_class.items()
    ]
    rows.append(tabulate.SEPARATING_LINE)
    rows += [
        [f'{average} average', *(values[f'{average}_{n}'] for n in _PER_CLASS)]
        for average in ('macro', 'micro')
    ]
    formats = ['.0f' if name == 'support' else '.4f' for name in vectors]
    table = tabulate.tabulate(
        rows,
        headers=['class', *vectors],
        floatfmt=('', *formats),
        disable_numparse=[0],
    )
    section = inspection.Section(
        'By label',
        headers=('label', *vectors),
        rows=[
            [label, *(int(v) if n == 'support' else v for n, v in row.items())]
            for label, row in per_class.items()
        ],
    )
    return task_lib.Report(table, {'per_class': per_class}, sections=[section])

  def predict(self, batch: objectives.Batch) -> dict[str, tf.Tensor]:
    """Predicts the names of the classes that apply, and probabilities.

    Args:
      batch: A batch; targets and weights are optional.

    Returns:
      `prediction`, strings ``[batch_size]`` of names separated by commas;
      `classes`, 0 or 1, and `probabilities`, both ``[batch_size,
      num_classes]``.
    """
    logits = inspection.logits_of(self.outputs(batch))
    applies = logits > 0
    named = tf.where(applies, [f'{name},' for name in self._names], '')
    joined = tf.strings.reduce_join(named, axis=1)
    return {
        task_lib.PREDICTION: tf.strings.regex_replace(joined, ',$', ''),
        'classes': tf.cast(applies, tf.int32),
        'probabilities': tf.sigmoid(logits),
    }

  def predictions(
      self, columns: Mapping[str, tf.Tensor], like: Any
  ) -> Any | None:
    """Returns the logits, computed from the probabilities."""
    del like
    shares = columns['probabilities']
    tiny = np.finfo(np.float32).tiny
    return tf.math.log(tf.maximum(shares, tiny)) - tf.math.log(
        tf.maximum(1 - shares, tiny)
    )

  def export(self) -> task_lib.Export:
    """Describes the inputs and outputs of an export."""
    return dataclasses.replace(super().export(), label_names=self._names)


def make(data: data_lib.DataSpec, config: config_lib.Config) -> MultiLabel:
  """Makes the task of a config.

  Args:
    data: The description of the data set.
    config: The config. Its class weights are the weights of positive examples
      of each class, relative to negative ones; `balanced` makes both count the
      same in total.

  Returns:
    The task.

  Raises:
    UserError: If a name or an argument in the config is not valid.
  """
  num_classes = data.target.num_classes
  model = making.model(config, data, num_classes)
  inputs = features.of_data(model, data)
  options = {}
  weights = _positive_weights(data, config)
  if weights is not None:
    if (config.loss or DEFAULT_LOSS) != DEFAULT_LOSS:
      raise programs.UserError(
          f'--class_weights: --loss={config.loss} has none; {DEFAULT_LOSS} has.'
      )
    options['positive_weights'] = weights
  loss = _smoothed(
      making.loss(config, LOSSES, DEFAULT_LOSS, **options),
      config.label_smoothing,
  )
  return MultiLabel(
      data,
      model=model,
      objective=objectives.supervised(
          making.for_classes(loss, num_classes),
          inputs=inputs,
          views=classification.VIEWS[config.test_time_augmentation](),
      ),
      inputs=inputs,
  )


def _support(counts: rates.Counts) -> tf.Tensor:
  """Returns the number of examples to which each class applies."""
  return counts.true_positives + counts.false_negatives


def _positive_weights(
    data: data_lib.DataSpec, config: config_lib.Config
) -> Sequence[float] | None:
  num_classes = data.target.num_classes
  if config.class_weights == 'balanced':
    total = data.num_examples['train']
    return [(total - n) / max(n, 1) for n in data.class_counts]
  weights = config.class_weights
  if weights is not None and len(weights) != num_classes:
    raise programs.UserError(
        f'--class_weights: {len(weights)} weights for {num_classes} classes; '
        'give one per class.'
    )
  return weights


def _smoothed(loss: objectives.Loss, smoothing: float) -> objectives.Loss:
  """Moves labels towards 1/2 by a fraction of the distance."""

  def smoothed(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labels = tf.cast(labels, tf.float32)
    if smoothing:
      labels = labels * (1 - smoothing) + smoothing / 2
    return loss(labels, logits)

  return smoothed


def eval_metric(num_classes: int) -> metrics.Metric:
  """Makes the evaluation metric for a number of classes."""
  members = {
      f'{average}_{name}': columns.counted(formula, average)
      for average in ('macro', 'micro')
      for name, formula in _PER_CLASS.items()
  }
  members['exact_match'] = columns.exact_match()
  members |= {
      name: columns.counted(formula, None)
      for name, formula in (_PER_CLASS | {'support': _support}).items()
  }
  if num_classes <= _MAX_CURVES:
    curves = columns.each(metrics.average_precision(), num_classes)
    members['average_precision'] = curves
    members['mean_average_precision'] = curves._replace(
        compute=lambda sums: tf.reduce_mean(curves.compute(sums))
    )
  return metrics.collection(members)
