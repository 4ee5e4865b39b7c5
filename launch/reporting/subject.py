"""The subject of a report."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipelines import datasets

from .. import experiment as experiment_lib
from ..evaluating import evaluation


@dataclasses.dataclass(frozen=True)
class Subject:
  """The subject of a report.

  Attributes:
    experiment: The parts of the run.
    model: The model that is scored: that of the run, or its average.
    dataset: The data set.
    scored: The score of the test split, if there is one.
    result: The content of result.json.
    monitor: The metric that the run is judged by.
    started: When the process began, on the monotonic clock; writing the report
      sets `seconds` of the result. If None, `seconds` is unchanged.
  """

  experiment: experiment_lib.Experiment
  model: Any
  dataset: datasets.Dataset
  scored: evaluation.Scored | None
  result: dict[str, Any]
  monitor: str
  started: float | None = None
