"""Every public name of core.metrics, a line each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from core import metrics
from tests.core.conformance import member
from tests.core.metrics import cases

C = 4
CLASSES = {
    'accuracy': metrics.accuracy,
    'average_precision': lambda: metrics.average_precision(C),
    'average_precision_error_bound': (
        lambda: metrics.average_precision_error_bound(C)
    ),
    'balanced_accuracy': lambda: metrics.balanced_accuracy(C),
    'brier_score': metrics.brier_score,
    'cohen_kappa': lambda: metrics.cohen_kappa(C, 'linear'),
    'confusion_matrix': lambda: metrics.confusion_matrix(C),
    'cross_entropy': metrics.cross_entropy,
    'expected_calibration_error': metrics.expected_calibration_error,
    'f1_score': lambda: metrics.f1_score(C),
    'fbeta_score': lambda: metrics.fbeta_score(C, 2.0, None),
    'matthews_corrcoef': lambda: metrics.matthews_corrcoef(C),
    'maximum_calibration_error': metrics.maximum_calibration_error,
    'mean_iou': lambda: metrics.mean_iou(C),
    'perplexity': metrics.perplexity,
    'precision': lambda: metrics.precision(C, 'micro'),
    'recall': lambda: metrics.recall(C, 'weighted'),
    'roc_auc': lambda: metrics.roc_auc(C),
    'roc_auc_error_bound': lambda: metrics.roc_auc_error_bound(C, None),
    'specificity': lambda: metrics.specificity(C, None),
    'top_k_accuracy': lambda: metrics.top_k_accuracy(2),
}
BINARY = {
    'average_precision': metrics.average_precision,
    'binary_accuracy': metrics.binary_accuracy,
    'binary_f1_score': metrics.binary_f1_score,
    'binary_fbeta_score': lambda: metrics.binary_fbeta_score(0.5, [0.2, 0.8]),
    'binary_precision': lambda: metrics.binary_precision([0.5, 0.7]),
    'binary_recall': metrics.binary_recall,
    'binary_specificity': metrics.binary_specificity,
    'roc_auc': metrics.roc_auc,
}
NUMBERS = {
    'explained_variance': metrics.explained_variance,
    'mean': metrics.mean,
    'mean_absolute_error': metrics.mean_absolute_error,
    'mean_squared_error': metrics.mean_squared_error,
    'r2_score': metrics.r2_score,
    'root_mean_squared_error': metrics.root_mean_squared_error,
}


class Kind(NamedTuple):
  """Metrics of the same labels and predictions, which are tried together."""

  table: Mapping[str, Callable[[], metrics.Metric]]
  draw: Callable[[np.random.Generator, int], cases.Case]

  def collection(self) -> metrics.Metric:
    return metrics.collection({n: make() for n, make in self.table.items()})

  def whole(self, generator: np.random.Generator, size: int) -> cases.Case:
    """Draws examples that all count."""
    while True:
      real = self.draw(generator, 3 * size).real()
      if len(real.labels) >= size:
        return cases.Case(*(field[:size] for field in real))

  def member(self, *places: int) -> member.Member:
    """The line of all together, of examples with places of these sizes."""
    metric = self.collection()

    def draw(generator, size):
      case = self.whole(generator, size * math.prod(places))
      labels, predictions, _ = case.shaped(size, *places)
      return {'labels': labels, 'predictions': predictions}

    def forward(module, batch, is_training):
      del module, is_training
      sums = metric.measure(
          batch['labels'], batch['predictions'], batch['weight']
      )
      return member.Observed({}, {'metrics': sums})

    return member.Member(
        lambda: member.Subject(
            forward, finish=lambda sums: metric.compute(sums['metrics'])
        ),
        draw,
        rubbish={'labels': 99, 'predictions': np.nan},
        exceptions={'gradient': 'metrics measure; the step stops gradients'},
    )


KINDS = {
    'classes': Kind(CLASSES, lambda rng, size: cases.classes(rng, size, C)),
    'binary': Kind(BINARY, cases.binary),
    'numbers': Kind(NUMBERS, lambda rng, size: cases.numbers(rng, size, 2)),
}
MEMBERS = {
    **{name: kind.member() for name, kind in KINDS.items()},
    **{f'{name}_of_places': kind.member(3) for name, kind in KINDS.items()},
}


def _measures():
  found = {}
  for kind in KINDS.values():
    for name, make in kind.table.items():
      found.setdefault(make().measure, (name, kind))
  return {
      f'{name}_{index}': (measure, kind)
      for index, (measure, (name, kind)) in enumerate(found.items())
  }


# The distinct measures, by the name of a metric that has it, with its kind.
MEASURES = _measures()
