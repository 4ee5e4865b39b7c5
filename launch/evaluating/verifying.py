"""Verifies an evaluation in NumPy, from written predictions per example.

The model is applied again, in batches on one device, and its prediction for
each example is written to a file. From that file alone, every metric is
recomputed and compared with the evaluation.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import objectives
from pipelines import splits

from .. import finished_run, programs, tasks
from ..files import array_files
from ..lookup import own
from ..tasks import quantiles, regression
from . import by_example, evaluation, numpy_metrics, unseen

# How far predictions of two programs with the same weights may differ.
_ROUNDING = {'float32': 2e-5, 'float16': 0.01, 'bfloat16': 0.05}
_PREDICTION = 'prediction'


@dataclasses.dataclass(frozen=True)
class Facts:
  """What is known about predictions besides the file.

  Attributes:
    task: The name of a built-in task. None if the task or the metrics are
      custom, so that NumPy knows no metric.
    num_examples: The number of examples of the split.
    middle: The index of the quantile that represents the number.
    mean: The means of the numbers in training.
    std: Their standard deviations.
    rounding: The possible error of predictions.
  """

  task: str | None
  num_examples: int
  middle: int | None = None
  mean: Sequence[float] = (0.0,)
  std: Sequence[float] = (1.0,)
  rounding: float = _ROUNDING['float32']


def verify(
    path: pathlib.Path,
    run: finished_run.Run,
    chosen: unseen.Chosen,
    scored: evaluation.Scored,
    *,
    is_chief: bool = True,
) -> str:
  """Writes predictions, and compares an evaluation with them.

  Args:
    path: The file to write.
    run: The run.
    chosen: The split.
    scored: The evaluation.
    is_chief: Whether this process writes; all workers predict.

  Returns:
    A line that lists what was verified, and what could not be.

  Raises:
    Failure: If any value differs by more than rounding.
    OSError: If the file cannot be written.
  """
  data = chosen.dataset.split(chosen.split)
  predicted = predictions(run, data)
  if not is_chief:
    return ''
  array_files.write(path, predicted)
  return check(path, scored, facts(run, data.num_examples))


def facts(run: finished_run.Run, num_examples: int) -> Facts:
  """Returns the facts about a run's predictions.

  Args:
    run: The run.
    num_examples: The number of examples of the verified split.
  """
  config, data = run.config, run.experiment.data
  name: Any = config.task or tasks.of(data.spec)
  if own.is_part(name) or config.metrics:
    name = None
  middle = None
  if name == 'regression' and config.loss == regression.QUANTILE:
    levels = np.asarray(config.loss_arg.get('levels', quantiles.LEVELS))
    middle = int(np.argmin(np.abs(levels - 0.5)))
  return Facts(
      name,
      num_examples,
      middle,
      data.target_mean or (0.0,),
      [each if each > 0 else 1.0 for each in data.target_std] or (1.0,),
      _ROUNDING[config.precision],
  )


def predictions(
    run: finished_run.Run, data: splits.Split
) -> dict[str, np.ndarray]:
  """Predicts each example of a split.

  Args:
    run: The run.
    data: The split.

  Returns:
    ``[num_examples, ...]``: `index`, `label`, `prediction` of the objective,
    `loss`, `weight`, and `penalty` of the batch. Parts of nests have their
    paths, such as `prediction.logits`.
  """

  def measured(
      batch: objectives.Batch, found: objectives.Evaluation
  ) -> dict[str, Any]:
    values = found.values
    weight = batch['weight']
    places = tf.ones(values.shape[1:], values.dtype)
    weights = (
        tf.cast(weight, values.dtype)[
            (..., *[tf.newaxis] * (values.shape.rank - 1))
        ]
        * places
    )
    if found.weights is not None:
      weights = tf.math.multiply_no_nan(found.weights, weights)
    label = batch.get('label') if found.labels is None else found.labels
    kept = {'loss': values, 'weight': weights, 'index': batch['index']}
    kept |= {'penalty': tf.fill(tf.shape(weight), found.penalty)}
    named = {'label': label, _PREDICTION: found.predictions}
    for name, part in named.items():
      kept |= _flat(name, part)
    return kept

  measure = by_example.measuring(
      run.experiment, run.model, measured, run.config.global_batch_size
  )
  parts = [columns for _, columns in measure(data)]
  return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _flat(name: str, nest: Any) -> dict[str, tf.Tensor]:
  """Returns the dense tensors of a nest of numbers, by path."""
  if isinstance(nest, Mapping):
    found: dict[str, tf.Tensor] = {}
    for key, value in nest.items():
      found |= _flat(f'{name}.{key}', value)
    return found
  is_numbers = tf.is_tensor(nest) and not isinstance(
      nest, tf.RaggedTensor | tf.SparseTensor
  )
  return {name: nest} if is_numbers and nest.dtype != tf.string else {}


def check(path: pathlib.Path, scored: evaluation.Scored, known: Facts) -> str:
  """Compares an evaluation with the predictions in a file.

  Args:
    path: The file.
    scored: The evaluation.
    known: The facts about the predictions.

  Returns:
    A line that lists what was verified, and what could not be.

  Raises:
    Failure: If values differ by more than rounding; it lists all of them.
  """
  written = array_files.read(path)
  if written is None:
    raise programs.Failure(f'{path} cannot be read; it is not verified.')
  values = {**scored.values, **scored.arrays}
  wrong = differences(written, values, scored.num_examples, known)
  if wrong:
    raise programs.Failure(
        f'not verified: {"; ".join(wrong)}; the predictions are in {path}.'
    )
  names = [name for name in values if is_known(name, known)]
  others = [name for name in values if name not in names]
  text = (
      f'verified: {known.num_examples:,} examples, each once; '
      f'{", ".join(names)}; from {path}'
  )
  return f'{text}; not verifiable: {", ".join(others)}' if others else text


def is_known(name: str, known: Facts) -> bool:
  """Returns whether NumPy can compute a metric."""
  return name == 'loss' or name in numpy_metrics.TASKS.get(known.task or '', {})


def differences(
    written: Mapping[str, np.ndarray],
    values: Mapping[str, Any],
    num_scored: int,
    known: Facts,
) -> list[str]:
  """Returns how an evaluation deviates from predictions.

  Args:
    written: The result of `predictions`.
    values: The loss and the metrics, numbers or arrays, by name.
    num_scored: The number of examples that the evaluation scored.
    known: The facts about the predictions.

  Returns:
    A line per deviation, with both values.
  """
  wrong = _counted(written['index'], num_scored, known.num_examples)
  weight = written['weight'].astype(np.float64)
  loss = np.sum(weight * written['loss']) / max(np.sum(weight), 1e-300)
  loss += float(np.mean(written['penalty']))
  limit = known.rounding * max(1.0, abs(loss))
  wrong += _compared('loss', values['loss'], loss, limit)
  functions = numpy_metrics.TASKS.get(known.task or '', {})
  if not functions:
    return wrong
  named = f'{_PREDICTION}.logits'  # For models that return several outputs.
  predicted = numpy_metrics.Predictions(
      written['label'],
      written[named if named in written else _PREDICTION],
      written['weight'],
      known.middle,
      np.asarray(known.mean),
      np.asarray(known.std),
      known.rounding,
  )
  for name, value in values.items():
    if name in functions:
      again = functions[name](predicted)
      limit = numpy_metrics.tolerance(str(known.task), name, predicted)
      wrong += _compared(name, value, again, limit)
  return wrong


def _counted(
    index: np.ndarray, num_scored: int, num_examples: int
) -> list[str]:
  """Compares the scored examples with those of the split."""
  wrong = []
  if num_scored != num_examples:
    wrong.append(
        f'{num_scored:,} examples were scored, the split has {num_examples:,}'
    )
  times = np.unique(index, return_counts=True)[1]
  if len(times) != num_examples or times.max(initial=1) > 1:
    wrong.append(
        f'predictions are of {len(times):,} different examples, '
        f'{int(times.sum()):,} in all, of {num_examples:,}'
    )
  return wrong


def _compared(name: str, value: Any, again: Any, limit: float) -> list[str]:
  """Compares a value with that computed by NumPy."""
  one, other = np.asarray(value, np.float64), np.asarray(again, np.float64)
  if one.shape != other.shape:
    return [f'{name} is of shape {one.shape}, of {other.shape} by NumPy']
  gap = np.abs(one - other)
  is_same = (gap <= limit + 1e-5 * np.abs(other)) | (
      np.isnan(one) & np.isnan(other)
  )
  if is_same.all():
    return []
  place = np.unravel_index(np.argmax(np.where(is_same, -1.0, gap)), gap.shape)
  at = f'[{", ".join(map(str, place))}]' if place else ''
  return [f'{name}{at} is {one[place]:.9g}, {other[place]:.9g} by NumPy']
