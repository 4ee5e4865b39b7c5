"""Experiment trackers that runs can be published to."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from .. import programs

_MAX_BATCH = 100  # MLflow's limit of parameters per call.
_MAX_CHARACTERS = 500


class Row(NamedTuple):
  """The numbers of one step.

  Attributes:
    step: The step.
    wall_time: The time of logging, in seconds since 1970.
    values: The numbers by name, such as `train/loss`.
  """

  step: int
  wall_time: float
  values: Mapping[str, float]


class Tracker(Protocol):
  """A tracker that is open for one run.

  Attributes:
    id: The tracker's identifier of the run.
  """

  id: str

  def __enter__(self) -> Tracker:
    """Opens it."""

  def __exit__(
      self,
      kind: type[BaseException] | None,
      error: BaseException | None,
      trace: TracebackType | None,
  ) -> None:
    """Sends what remains, and closes it."""

  def log(self, row: Row) -> None:
    """Sends a row."""

  def finish(
      self, result: Mapping[str, Any], files: Sequence[pathlib.Path]
  ) -> None:
    """Sends the result of the run, and files."""


def require(to: str) -> None:
  """Checks that the package of a tracker is installed.

  Raises:
    UserError: If it is not.
  """
  if importlib.util.find_spec(to) is None:
    raise programs.UserError(
        f'--to={to}: No module named {to!r}; install it into this environment.'
    )


def address(to: str, place: str) -> str:
  """Returns where a tracker stores runs; each place gets the whole run."""
  if to == 'mlflow':
    import mlflow

    return f'{mlflow.get_tracking_uri()} {place}'
  if to == 'wandb':
    return f'{os.environ.get("WANDB_BASE_URL", "its default")} {place}'
  return place


class _Open:
  """The context manager that all trackers share."""

  def __enter__(self) -> Any:
    return self

  def __exit__(self, *error: Any) -> None:
    self._close(is_whole=error[0] is None)

  def _close(self, is_whole: bool) -> None:
    del is_whole


class MLflow(_Open):
  """MLflow: its server, database or folder."""

  def __init__(
      self,
      project: str,
      name: str,
      run_id: str | None,
      parameters: Mapping[str, str],
  ):
    """Creates a run of an experiment, or continues one."""
    import mlflow
    from mlflow import entities

    self._entities = entities
    self._client = mlflow.MlflowClient()
    self._metrics: list[Any] = []
    if run_id is None:
      found = self._client.get_experiment_by_name(project)
      experiment = (
          found.experiment_id
          if found
          else self._client.create_experiment(project)
      )
      run_id = self._client.create_run(experiment, run_name=name).info.run_id
      given = [
          entities.Param(key, value[:_MAX_CHARACTERS])
          for key, value in parameters.items()
      ]
      for first in range(0, len(given), _MAX_BATCH):
        self._client.log_batch(run_id, params=given[first : first + _MAX_BATCH])
    self.id: str = run_id

  def log(self, row: Row) -> None:
    """Adds a row to the next batch."""
    when = int(row.wall_time * 1000)
    self._metrics += [
        self._entities.Metric(name, float(value), when, row.step)
        for name, value in row.values.items()
    ]
    if len(self._metrics) >= _MAX_BATCH:
      self._send()

  def finish(
      self, result: Mapping[str, Any], files: Sequence[pathlib.Path]
  ) -> None:
    """Sends the numbers of the result as metrics, the rest as tags."""
    self._send()
    for name, value in result.items():
      if isinstance(value, str):
        self._client.set_tag(self.id, name, value)
      else:
        self._client.log_metric(self.id, name, float(value))
    for path in files:
      self._client.log_artifact(self.id, str(path), 'report')
    self._client.set_terminated(self.id)

  def _send(self) -> None:
    if self._metrics:
      self._client.log_batch(self.id, metrics=self._metrics)
      self._metrics = []

  def _close(self, is_whole: bool) -> None:
    if is_whole:
      self._send()


class WandB(_Open):
  """Weights & Biases."""

  def __init__(
      self,
      project: str,
      name: str,
      run_id: str | None,
      parameters: Mapping[str, str],
  ):
    """Creates a run of a project, or continues one."""
    import wandb

    self._run = wandb.init(
        project=project,
        name=name,
        id=run_id,
        resume='allow',
        config=dict(parameters),
        settings=wandb.Settings(
            console='off', disable_git=True, disable_code=True, silent=True
        ),
    )
    self.id: str = self._run.id
    self._wandb = wandb

  def log(self, row: Row) -> None:
    """Sends a row; W&B merges the rows of a step."""
    self._run.log({**row.values, 'wall_time': row.wall_time}, step=row.step)

  def finish(
      self, result: Mapping[str, Any], files: Sequence[pathlib.Path]
  ) -> None:
    """Sends the result as the run's summary, and the files unchanged."""
    self._run.summary.update(dict(result))
    for path in files:
      self._run.save(str(path), base_path=str(path.parents[1]), policy='now')

  def _close(self, is_whole: bool) -> None:
    self._run.finish(exit_code=0 if is_whole else 1)


class TensorBoard(_Open):
  """TensorBoard event files, with hyperparameters for comparing runs."""

  def __init__(
      self,
      directory: str,
      name: str,
      run_id: str | None,
      parameters: Mapping[str, str],
  ):
    """Opens a new event file below the directory."""
    self._tf = programs.import_tensorflow()
    from tensorboard.plugins.hparams import summary_v2

    from ..hooks import summaries

    self._hparams, self._add = summary_v2, summaries.add
    self._parameters = {
        key: value[:_MAX_CHARACTERS] for key, value in parameters.items()
    }
    self.id = run_id or _unused(directory, name)
    self._directory = os.path.join(directory, self.id)
    self._writers: dict[str, Any] = {}

  def _writer(self, split: str) -> Any:
    """Returns the writer of a split."""
    if split not in self._writers:
      self._writers[split] = self._tf.summary.create_file_writer(
          os.path.join(self._directory, split)
      )
    return self._writers[split]

  def log(self, row: Row) -> None:
    """Writes a row under its split, so that splits share a plot."""
    for name, value in row.values.items():
      split, _, metric = name.partition('/')
      self._add(self._writer(split), row.step, {metric: value}, row.wall_time)

  def finish(
      self, result: Mapping[str, Any], files: Sequence[pathlib.Path]
  ) -> None:
    """Writes the flags and the result for the HParams tab."""
    del files  # TensorBoard does not show files.
    with self._writer('').as_default(0):
      self._hparams.hparams(self._parameters, trial_id=self.id)
    numbers = {k: v for k, v in result.items() if not isinstance(v, str)}
    self._add(self._writer(''), 0, numbers, time.time())

  def _close(self, is_whole: bool) -> None:
    for writer in self._writers.values():
      writer.close()


def _unused(directory: str, name: str) -> str:
  """Returns a name that is unused in a directory."""
  names = itertools.chain([name], (f'{name}_{i}' for i in itertools.count(2)))
  return next(
      each
      for each in names
      if not os.path.lexists(os.path.join(directory, each))
  )


TRACKERS: Mapping[str, Callable[..., Tracker]] = {
    'mlflow': MLflow,
    'wandb': WandB,
    'tensorboard': TensorBoard,
}
