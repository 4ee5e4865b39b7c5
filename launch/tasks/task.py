"""A task: what is trained, apart from how and where.

    def task(spec, width=64):
      model = Net(width)
      return tasks.Task(
          model=model,
          objective=objectives.supervised(losses.squared_error, inputs='x'),
          eval_metric=metrics.collection(
              {'mae': metrics.mean_absolute_error()}
          ),
          monitor='mae',
          direction='min',
      )

What a report, a prediction and an export of it look like are methods, with
defaults for any task; a subclass has its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from core import metrics, models, objectives

from . import features
from . import inspection as inspection_lib

PREDICTION = 'prediction'
# What of a batch is no input, besides the targets.
_NO_INPUTS = ('weight', 'index', 'epoch')


@dataclasses.dataclass(frozen=True)
class Report:
  """An evaluation as people read it.

  Attributes:
    table: Text to print.
    values: More than numbers by name, as JSON has it: for result.json.
    figures: A Figure of matplotlib for each file of report/, or a function that
      draws it when it is wanted.
    sections: More parts of report/index.html; without any it shows the table.
  """

  table: str = ''
  values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  sections: Sequence[inspection_lib.Section] = ()


@dataclasses.dataclass(frozen=True)
class Export:
  """What a file that is exported computes.

  Attributes:
    signature: The inputs by name; the size of the first axis is None.
    function: A function from a mapping of the inputs to one of the outputs.
    module: What `core.export` saves instead, if the task has an own form.
    label_names: The name of each class, if there are classes.
  """

  signature: Mapping[str, tf.TensorSpec]
  function: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
  module: Any = None
  label_names: tuple[str, ...] = ()


class Task:
  """What is trained, apart from how and where.

  Attributes:
    model: The model, a `tf.Module`; its variables may be made by its first
      call.
    objective: The objective, in float32 and without augmentation.
    train_metric: What every training step measures besides the loss, a
      collection, or None.
    eval_metric: What an evaluation measures, likewise.
    example_batch: A batch of any values; only names, types and sizes beyond the
      first axis matter. A run gives one of zeros to a task that has None.
    monitor: The name of the value that tells which weights are the best: the
      loss, or a metric of an evaluation.
    direction: 'max' if more of it is better, 'min' if less is.
    headline: The names of values that a line has room for; by default the first
      few.
    inspection: Which examples a report shows; by default those with the largest
      loss.
  """

  inspection = inspection_lib.Inspection()

  def __init__(
      self,
      *,
      model: Any,
      objective: objectives.Objective,
      train_metric: metrics.Metric | None = None,
      eval_metric: metrics.Metric | None = None,
      example_batch: objectives.Batch | None = None,
      monitor: str = 'loss',
      direction: str | None = None,
      inputs: Callable[[objectives.Batch], Any] | None = None,
      targets: tuple[str, ...] = ('label',),
      headline: tuple[str, ...] = (),
  ):
    """Collects the parts.

    Args:
      model: See the class.
      objective: See the class.
      train_metric: See the class.
      eval_metric: See the class; by default the `train_metric`.
      example_batch: See the class.
      monitor: See the class.
      direction: See the class. It may be left out for the loss alone.
      inputs: A function of a batch to the inputs of the model, for models that
        are initialised from data. By default what `features.of` finds.
      targets: The names of what is predicted, which an export does not take.
      headline: See the class.

    Raises:
      ValueError: If there is no direction, or it is an unknown one.
    """
    if direction is None and monitor == 'loss':
      direction = 'min'
    if direction not in ('max', 'min'):
      raise ValueError(
          f"direction: expected 'max' or 'min', what is better for {monitor}, "
          f'got {direction!r}.'
      )
    self.model = model
    self.objective = objective
    self.train_metric = train_metric
    self.eval_metric = train_metric if eval_metric is None else eval_metric
    self.example_batch = example_batch
    self.monitor = monitor
    self.direction = direction
    self.targets = targets
    self.headline = headline
    self._inputs = inputs

  def inputs(self, batch: objectives.Batch) -> Any:
    """Returns the inputs of the model, of what a batch has."""
    if self._inputs is not None:
      return self._inputs(batch)
    return features.of(self.model, list(self._given(batch)))(batch)

  def outputs(self, batch: objectives.Batch) -> Any:
    """Returns what the model makes of a batch, as after training."""
    return objectives.call(
        self.model, self.inputs(batch), is_training=False, seed=None
    )

  def report(self, values: Mapping[str, Any]) -> Report:
    """Makes the report of an evaluation.

    Args:
      values: Numbers, arrays and nests of arrays by name: the loss and those of
        `eval_metric`.

    Returns:
      The report: a table of the numbers, and all else for JSON.
    """
    numbers = {n: v for n, v in values.items() if isinstance(v, float)}
    table = tabulate.tabulate(
        list(numbers.items()), headers=['metric', 'value'], floatfmt='.4f'
    )
    others = {n: v for n, v in values.items() if n not in numbers}
    return Report(table, to_json(others))

  def predict(self, batch: objectives.Batch) -> dict[str, tf.Tensor]:
    """Predicts, as after training.

    Args:
      batch: A batch; targets and weights may be left out.

    Returns:
      Columns by name, ``[batch_size, ...]``: by default the predictions of the
      objective, by their names or as `prediction`.

    Raises:
      ValueError: If the objective gives no predictions.
    """
    evaluation = self.objective(
        self.model, self._completed(batch), None, is_training=False
    )
    if evaluation.predictions is None:
      raise ValueError(
          'task: its objective gives no predictions; return '
          'objectives.Evaluation(values, predictions), or override predict.'
      )
    return _columns(evaluation.predictions)

  def predictions(
      self, columns: Mapping[str, tf.Tensor], like: Any
  ) -> Any | None:
    """Converts the columns of `predict` to what the metrics take.

    With it the metrics of an export are computed from the export's outputs.

    Args:
      columns: Columns ``[batch_size, ...]``, without those of strings.
      like: The predictions of the objective for the same examples.

    Returns:
      A nest like `like`. Default: the columns of the default `predict`; None,
      for unknown, if `predict` is overridden.
    """
    if type(self).predict is not Task.predict:
      return None
    like = tf.nest.map_structure(tf.convert_to_tensor, like)
    names = {id(value): name for name, value in _columns(like).items()}
    return tf.nest.map_structure(
        lambda value: tf.cast(columns[names[id(value)]], value.dtype), like
    )

  def export(self) -> Export:
    """Describes the inputs and outputs of an export.

    Returns:
      By default a function of the inputs of `example_batch` that predicts.

    Raises:
      ValueError: If the task has no example batch, or one that is a nest.
    """
    if self.example_batch is None:
      raise ValueError('task: it has no example_batch to export by.')
    signature = {}
    for name, value in self._given(self.example_batch).items():
      if not tf.is_tensor(value) and not isinstance(value, np.ndarray):
        raise ValueError(
            f'task: {name} of its example_batch is a {type(value).__name__}; '
            'override export.'
        )
      tensor = tf.convert_to_tensor(value)
      signature[name] = tf.TensorSpec(
          [None, *tensor.shape[1:]], tensor.dtype, name=name
      )
    return Export(signature, self.predict)

  def _given(self, batch: objectives.Batch) -> dict[str, Any]:
    """Returns what of a batch is an input."""
    return {
        name: value
        for name, value in batch.items()
        if name not in self.targets and name not in _NO_INPUTS
    }

  def _completed(self, batch: objectives.Batch) -> dict[str, Any]:
    """Returns a batch with zeros for what is missing, such as targets."""
    missing = {
        name: value
        for name, value in (self.example_batch or {}).items()
        if name not in batch and name != 'weight'
    }
    if not missing:
      return dict(batch)
    size = tf.shape(tf.nest.flatten(dict(batch), expand_composites=True)[0])[0]

    def zeros(value: Any) -> tf.Tensor:
      tensor = tf.convert_to_tensor(value)
      shape = tf.concat([[size], tensor.shape[1:]], axis=0)
      return tf.ensure_shape(
          tf.zeros(shape, tensor.dtype), [None, *tensor.shape[1:]]
      )

    return {**tf.nest.map_structure(zeros, missing), **batch}


def wants_data(model: Any) -> bool:
  """Returns whether a model is to be initialised from training examples."""
  own = getattr(type(model), 'initialize', None)
  return own is not None and own is not models.Model.initialize


def _columns(predictions: Any, name: str = '') -> dict[str, tf.Tensor]:
  """Returns the tensors of a nest by their paths."""
  if isinstance(predictions, Mapping):
    items = [(str(key), value) for key, value in predictions.items()]
  elif hasattr(predictions, '_asdict'):
    items = list(predictions._asdict().items())
  elif isinstance(predictions, list | tuple):
    items = [(str(index), value) for index, value in enumerate(predictions)]
  else:
    return {name or PREDICTION: tf.convert_to_tensor(predictions)}
  columns = {}
  for key, value in items:
    columns.update(_columns(value, f'{name}.{key}' if name else key))
  return columns


def to_json(value: Any) -> Any:
  """Returns a nest of numbers, arrays and tensors as JSON has it."""
  if isinstance(value, Mapping):
    return {str(name): to_json(item) for name, item in value.items()}
  if hasattr(value, '_asdict'):
    return to_json(value._asdict())
  if isinstance(value, list | tuple):
    return [to_json(item) for item in value]
  if value is None or isinstance(value, str):
    return value
  return np.asarray(value).tolist()
