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

Methods define its reports, predictions and exports. Their defaults work for any
task; subclasses override them.
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
# Features of a batch, apart from targets, that are not inputs.
_NO_INPUTS = ('weight', 'index', 'epoch')


@dataclasses.dataclass(frozen=True)
class Report:
  """An evaluation in human-readable form.

  Attributes:
    table: Text to print.
    values: Numbers and other JSON values by name, for result.json.
    figures: A matplotlib Figure, or a function that draws one, for each file of
      report/.
    sections: Further sections of report/index.html. If empty, the page shows
      the table.
  """

  table: str = ''
  values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  sections: Sequence[inspection_lib.Section] = ()


@dataclasses.dataclass(frozen=True)
class Export:
  """The computation of an exported file.

  Attributes:
    signature: The inputs by name; the size of the first axis is None.
    function: A function from a mapping of the inputs to one of the outputs.
    module: What `core.export` saves instead, if the task has its own format.
    label_names: The name of each class, if there are classes.
  """

  signature: Mapping[str, tf.TensorSpec]
  function: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
  module: Any = None
  label_names: tuple[str, ...] = ()


class Task:
  """What is trained, apart from how and where.

  Attributes:
    model: The model, a `tf.Module`; its first call may create its variables.
    objective: The objective, in float32 and without augmentation.
    train_metric: A collection measured in every training step in addition to
      the loss, or None.
    eval_metric: The same for evaluations.
    example_batch: A batch with any values; only names, dtypes and sizes beyond
      the first axis matter. If None, a run sets a batch of zeros.
    monitor: The name of the value that decides which weights are best: the
      loss, or an evaluation metric.
    direction: 'max' if larger is better, 'min' if smaller is.
    headline: The names of values to show in one line. Default: the first few.
    inspection: Chooses the examples that a report shows. Default: those with
      the largest loss.
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
      eval_metric: See the class. Default: the `train_metric`.
      example_batch: See the class.
      monitor: See the class.
      direction: See the class. Optional for the loss.
      inputs: A function from a batch to the inputs of the model, for models
        that are initialized from data. Default: the result of `features.of`.
      targets: The names of the targets, which an export does not take.
      headline: See the class.

    Raises:
      ValueError: If the direction is missing or unknown.
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
    """Returns the inputs of the model for a batch."""
    if self._inputs is not None:
      return self._inputs(batch)
    return features.of(self.model, list(self._given(batch)))(batch)

  def outputs(self, batch: objectives.Batch) -> Any:
    """Returns the outputs of the model for a batch, in inference mode."""
    return objectives.call(
        self.model, self.inputs(batch), is_training=False, seed=None
    )

  def report(self, values: Mapping[str, Any]) -> Report:
    """Makes the report of an evaluation.

    Args:
      values: Numbers, arrays and nests of arrays by name: the loss and those of
        `eval_metric`.

    Returns:
      The report: a table of the numbers, and the other values for JSON.
    """
    numbers = {n: v for n, v in values.items() if isinstance(v, float)}
    table = tabulate.tabulate(
        list(numbers.items()), headers=['metric', 'value'], floatfmt='.4f'
    )
    others = {n: v for n, v in values.items() if n not in numbers}
    return Report(table, to_json(others))

  def predict(self, batch: objectives.Batch) -> dict[str, tf.Tensor]:
    """Predicts, in inference mode.

    Args:
      batch: A batch; targets and weights are optional.

    Returns:
      Columns by name, ``[batch_size, ...]``. Default: the predictions of the
      objective, by their names or as `prediction`.

    Raises:
      ValueError: If the objective returns no predictions.
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
    """Converts the columns of `predict` to the form that metrics take.

    This allows computing metrics from the outputs of an export.

    Args:
      columns: Columns ``[batch_size, ...]``, without those of strings.
      like: The predictions of the objective for the same examples.

    Returns:
      A nest like `like`. Default: the columns of the default `predict`, or None
      (unknown) if `predict` is overridden.
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
      Default: a function from the inputs of `example_batch` to predictions.

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
    """Returns the features of a batch that are inputs."""
    return {
        name: value
        for name, value in batch.items()
        if name not in self.targets and name not in _NO_INPUTS
    }

  def _completed(self, batch: objectives.Batch) -> dict[str, Any]:
    """Returns a batch with zeros for missing features, such as targets."""
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
  """Returns whether a model is to be initialized from training examples."""
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
  """Converts a nest of numbers, arrays and tensors to JSON values."""
  if isinstance(value, Mapping):
    return {str(name): to_json(item) for name, item in value.items()}
  if hasattr(value, '_asdict'):
    return to_json(value._asdict())
  if isinstance(value, list | tuple):
    return [to_json(item) for item in value]
  if value is None or isinstance(value, str):
    return value
  return np.asarray(value).tolist()
