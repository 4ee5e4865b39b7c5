"""Metrics of one of several named outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from . import inputs, metric


def of(
    metric: metric.Metric,
    name: str,
    *,
    labels: str | None = None,
    weights: str | None = None,
) -> metric.Metric:
  """Measures one named output of a model that has several.

  Predictions are a mapping, which an objective returns in ``Evaluation(values,
  {name: ...})``, and labels may be. In a `collection`, metrics that share a
  measure still share it for the same output, labels and weights.

  A step passes on the weights of its values. An output whose labels have fewer
  axes than the values, such as the class of a text next to losses of its
  tokens, gets the batch's own ``weight`` instead (1 without one), so that
  padding stays padding. Weights of the ``Evaluation`` do not reach such an
  output: make them an entry of the predictions and name it in `weights`.

  Args:
    metric: A metric, such as `accuracy()`, or a collection.
    name: The entry of the predictions.
    labels: The entry of the labels. Default: `name`, or no labels if there is
      no such entry, for metrics that need none, such as `mean()`. Labels that
      are not a mapping are used directly.
    weights: The entry of the predictions or else of the labels that multiplies
      the weights, numbers or Booleans ``[batch_size, ...]``; 0 where the output
      or its label is missing, which may then be NaN. One of the two shapes must
      begin with the other. Default: no factor.

  Returns:
    A metric, or a collection if one was given, of a mapping of predictions and
    of labels, a mapping or those of `metric`. Its value is that of `metric`.

  Raises:
    ValueError: From `measure`, if predictions are not a mapping, a name is not
      found, or the metric's own shapes are wrong.
    TypeError: If an argument is not as above.

  Reference:
    Keras's ``Model.compile`` with a dict of metrics, by outputs
    (https://keras.io/api/models/model_training_apis/).

  Example:
    >>> from core import metrics
    >>> measure, compute = metrics.of(metrics.accuracy(), 'animal')
    >>> outputs = {'animal': [[2., 1.], [3., 1.]], 'age': [3., 4.]}
    >>> float(compute(measure({'animal': [0, 1], 'age': [3., 5.]}, outputs)))
    0.5
  """
  _check_metric(metric)
  for argument, value in (
      ('name', name),
      ('labels', labels),
      ('weights', weights),
  ):
    if not (isinstance(value, str) or (value is None and argument != 'name')):
      raise TypeError(f'{argument}: expected a name, got {value!r}.')
  return metric._replace(measure=_Of(metric.measure, name, labels, weights))


@dataclasses.dataclass(frozen=True)
class _Of:
  """The measure of one output; equal ones are measured once."""

  measure: Callable[..., metric.Sums]
  name: str
  labels: str | None
  weights: str | None

  def __call__(
      self, labels: Any, predictions: Any, weights: Any = None
  ) -> metric.Sums:
    if not isinstance(predictions, Mapping):
      raise ValueError(
          f'predictions: expected a mapping with {self.name!r}, got '
          f'{type(predictions).__name__}; return '
          f'Evaluation(values, {{{self.name!r}: ...}}) from the objective.'
      )
    if self.weights is not None:
      factor = _entry('weights', self.weights, predictions, labels)
      like = self._labels(labels)
      if like is None:
        like = predictions.get(self.name)
      weights = inputs.fitting(weights, like)
      weights = inputs.product(weights, f'weights: {self.weights}', factor)
    return self.measure(
        self._labels(labels),
        _entry('predictions', self.name, predictions),
        weights,
    )

  def _labels(self, labels: Any) -> Any:
    if self.labels is None:
      return labels.get(self.name) if isinstance(labels, Mapping) else labels
    if labels is None or isinstance(labels, Mapping):
      return _entry('labels', self.labels, labels)
    return labels


def _check_metric(value: Any) -> None:
  if not isinstance(value, metric.Metric):
    raise TypeError(
        f'metric: expected a Metric, got {value!r}; call the factory, as in '
        'metrics.accuracy().'
    )


def _entry(argument: str, name: str, *places: Any) -> Any:
  """Returns an entry of the first mapping that has it."""
  mappings = [place for place in places if isinstance(place, Mapping)]
  for mapping in mappings:
    if name in mapping:
      return mapping[name]
  known = ', '.join(repr(key) for mapping in mappings for key in mapping)
  raise ValueError(f'{argument}: unknown {name!r}; known: {known or "none"}.')
