"""One or several numbers per example, or intervals that contain them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from core import losses, metrics, objectives

from .. import config as config_lib
from .. import data as data_lib
from .. import programs
from . import columns, features, making, quantiles, residuals, scatter
from . import task as task_lib

QUANTILE = 'quantile'
DEFAULT_LOSS = 'squared_error'


LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    'absolute_error': losses.absolute_error,
    'huber_loss': losses.huber_loss,
    'log_cosh': losses.log_cosh,
    QUANTILE: quantiles.loss,
    'squared_error': losses.squared_error,
}


class Regression(task_lib.Task):
  """Predicts numbers.

  The objective compares numbers standardized by the mean and the standard
  deviation of the training split, so that training does not depend on their
  unit: predicting the mean has a mean squared error of 1. Metrics and
  predictions are in the unit of the data.
  """

  def __init__(
      self,
      data: data_lib.DataSpec,
      model: Any,
      loss: objectives.Loss,
      inputs: Callable[[objectives.Batch], Any],
      levels: tuple[float, ...] = (),
  ):
    """Takes the parts of the task.

    Args:
      data: The description of the data set.
      model: The model, with `len(levels) or 1` outputs per number.
      loss: The loss of numbers ``[batch_size, num_numbers]``.
      inputs: A function from a batch to the model's inputs.
      levels: The levels of the predicted quantiles. Default: predicts the
        numbers themselves.
    """
    self._mean = np.asarray(data.target_mean, np.float32)
    std = np.asarray(data.target_std, np.float32)
    self._std = np.where(std > 0, std, np.float32(1))  # 1 for constants.
    self._loss = loss
    self._levels = levels
    self._names = data.target.columns or tuple(
        f'{index}' for index in range(len(self._mean))
    )
    self._is_scalar = not data.target.shape
    self.inspection = residuals.OfNumbers(self._names, self._std, self._middle)
    super().__init__(
        model=model,
        objective=self._evaluate,
        train_metric=metrics.collection(
            {'rmse': self._central(metrics.root_mean_squared_error())}
        ),
        eval_metric=metrics.collection(self._members()),
        example_batch=data.spec.zeros(),
        monitor='loss' if levels else 'rmse',
        direction='min',
        inputs=inputs,
        targets=data.spec.targets,
        headline=(
            'loss',
            'mae',
            'rmse',
            'r2',
            'baseline_rmse',
            'coverage',
        ),
    )

  def _evaluate(
      self,
      model: Any,
      batch: objectives.Batch,
      seed: tf.Tensor | None,
      is_training: bool,
  ) -> objectives.Evaluation:
    """The objective."""
    labels = tf.cast(objectives.read('labels', 'label', batch), tf.float32)
    labels = labels[:, tf.newaxis] if self._is_scalar else labels  # [B, N]
    outputs = self._outputs(
        objectives.call(model, self.inputs(batch), is_training, seed)
    )
    return objectives.Evaluation(
        values=self._loss((labels - self._mean) / self._std, outputs),
        predictions=self._scaled(outputs),
        penalty=tf.zeros([]),
        labels=labels,
    )

  def _outputs(self, outputs: Any) -> tf.Tensor:
    """Returns the predictions of a model, standardized.

    Returns:
      ``[batch_size, num_numbers]``, or ``[batch_size, num_numbers,
      num_levels]`` with non-decreasing quantiles.
    """
    if isinstance(outputs, Mapping):
      outputs = outputs['logits']
    outputs = tf.cast(outputs, tf.float32)
    if outputs.shape.rank == 1:
      outputs = outputs[:, tf.newaxis]
    size = len(self._mean)
    if outputs.shape.rank != 2 or outputs.shape[1] != size * self._depth:
      raise programs.UserError(
          f'--model: it predicts {outputs.shape.as_list()}; expected '
          f'[batch_size, {size * self._depth}], one output per number'
          f'{" and quantile" if self._levels else ""}.'
      )
    if not self._levels:
      return outputs
    outputs = tf.reshape(outputs, [-1, size, self._depth])
    # The first quantile, and the differences of successive ones.
    steps = tf.concat(
        [outputs[..., :1], tf.nn.softplus(outputs[..., 1:])], axis=-1
    )
    return tf.cumsum(steps, axis=-1)

  @property
  def _depth(self) -> int:
    return len(self._levels) or 1

  def _scaled(self, outputs: tf.Tensor) -> tf.Tensor:
    """Returns predictions in the unit of the data."""
    if not self._levels:
      return outputs * self._std + self._mean
    return outputs * self._std[:, np.newaxis] + self._mean[:, np.newaxis]

  def _central(self, metric: metrics.Metric) -> metrics.Metric:
    """Measures the number itself, or the quantile nearest the median."""
    return columns.at(metric, self._middle)

  @property
  def _middle(self) -> int | None:
    if not self._levels:
      return None
    return int(np.argmin(np.abs(np.asarray(self._levels) - 0.5)))

  def _members(self) -> dict[str, metrics.Metric]:
    """Returns the evaluation metrics by name."""
    mae, rmse = metrics.mean_absolute_error(), metrics.root_mean_squared_error()
    r2 = metrics.r2_score()
    members = {'mae': mae, 'rmse': rmse, 'r2': r2}
    size = len(self._mean)
    if size > 1:
      members |= {
          f'{name}_each': columns.each(metric, size)
          for name, metric in list(members.items())
      }
    members['counts'] = columns.histogram(
        self._mean.tolist(), self._std.tolist()
    )
    members = {name: self._central(m) for name, m in members.items()}
    baseline = tuple(self._mean.tolist())
    members |= {
        f'baseline_{name}': columns.of_constant(metric, baseline)
        for name, metric in (('mae', mae), ('rmse', rmse))
    }
    if len(self._levels) > 1:
      members['coverage'] = columns.coverage()
      members['interval_width'] = columns.interval_width()
    return members

  def report(self, values: Mapping[str, Any]) -> task_lib.Report:
    """Reports the errors, next to those of predicting the training mean."""
    if not {'mae', 'rmse', 'r2', 'counts', 'baseline_mae'} <= values.keys():
      return super().report(values)  # The user chose other metrics.
    counts = np.asarray(values['counts'])
    rows: list[Any] = [
        ['the model', *(values[name] for name in ('mae', 'rmse', 'r2'))],
        [
            'the mean in training',
            values['baseline_mae'],
            values['baseline_rmse'],
            '',
        ],
    ]
    numbers: dict[str, Any] = {'counts': counts.astype(np.int64).tolist()}
    if 'mae_each' in values:
      per_target = {
          name: {
              key: float(values[f'{key}_each'][i])
              for key in ('mae', 'rmse', 'r2')
          }
          for i, name in enumerate(self._names)
      }
      rows.append(tabulate.SEPARATING_LINE)
      rows += [[name, *row.values()] for name, row in per_target.items()]
      numbers['per_target'] = per_target
    table = tabulate.tabulate(
        rows,
        headers=['error', 'mae', 'rmse', 'r2'],
        floatfmt='.4g',
        disable_numparse=[0],
    )
    if 'coverage' in values:
      share = self._levels[-1] - self._levels[0]
      table += (
          f'\n{values["coverage"]:.1%} of the numbers lie between the first '
          f'and the last quantile, where {share:.1%} are expected; these are '
          f'{values["interval_width"]:.4g} apart on average'
      )
    return task_lib.Report(
        table=table,
        values=numbers,
        figures={
            'predictions.png': functools.partial(
                scatter.draw, counts, self._names, self._mean, self._std
            )
        },
    )

  def predict(self, batch: objectives.Batch) -> dict[str, tf.Tensor]:
    """Predicts numbers in the unit of the data.

    Args:
      batch: A batch; targets and weights are optional.

    Returns:
      `prediction`, or with several targets a column per target, by name,
      ``[batch_size]``; with quantiles, also one per level, such as
      `prediction_0.9`.
    """
    outputs = self._scaled(self._outputs(self.outputs(batch)))
    found = {}
    for index in range(len(self._mean)):
      is_one = len(self._mean) == 1
      name = task_lib.PREDICTION if is_one else self._names[index]
      if not self._levels:
        found[name] = outputs[:, index]
        continue
      found[name] = outputs[:, index, self._middle]
      for place, level in enumerate(self._levels):
        found[f'{name}_{level:g}'] = outputs[:, index, place]
    return found

  def predictions(
      self, columns: Mapping[str, tf.Tensor], like: Any
  ) -> Any | None:
    """Returns the numbers, or their quantiles, in the unit of the data."""
    del like
    size = len(self._mean)
    names = [task_lib.PREDICTION] if size == 1 else list(self._names)
    if not self._levels:
      return tf.stack([columns[name] for name in names], axis=1)
    levels = [f'{level:g}' for level in self._levels]
    return tf.stack(
        [
            tf.stack([columns[f'{name}_{each}'] for each in levels], axis=1)
            for name in names
        ],
        axis=1,
    )


def make(data: data_lib.DataSpec, config: config_lib.Config) -> Regression:
  """Makes the task of a config; see `tasks.make`."""
  making.refuse_class_flags(config)
  name = config.loss or DEFAULT_LOSS
  levels: tuple[float, ...] = ()
  if name == QUANTILE:
    levels = tuple(config.loss_arg.get('levels', quantiles.LEVELS))
    if (
        not levels
        or list(levels) != sorted(set(levels))
        or not all(0 < level < 1 for level in levels)
    ):
      raise programs.UserError(
          f'--loss_arg=levels={",".join(map(str, levels))}: expected numbers '
          'between 0 and 1, each above the one before.'
      )
  model = making.model(config, data, len(data.target_mean) * (len(levels) or 1))
  loss = making.loss(config, LOSSES, DEFAULT_LOSS)
  inputs = features.of_data(model, data)
  return Regression(data, model, loss, inputs, levels)
