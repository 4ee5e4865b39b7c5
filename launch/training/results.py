"""The result of a run: result.json."""

from __future__ import annotations

import base64
import dataclasses
import html
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from core import training

from .. import building, loop, workdir
from ..evaluating import evaluation
from ..hooks import monitor as monitor_lib
from ..machine import environment

_LEAST_SECS = 0.01


class Result(NamedTuple):
  """The result of a run.

  Attributes:
    state: The train state, with the model. None if it was not requested.
    values: The fields of result.json, such as `test_accuracy`.
    workdir: The work directory.
    stopped: The hook's reason to stop, if a hook ended the run.
  """

  state: training.TrainState | None
  values: dict[str, Any]
  workdir: str
  stopped: loop.Stopped | None

  def _repr_html_(self) -> str:
    """Shows the result in a notebook, with the plots of report/."""
    plots = ''.join(
        '<img src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        for path in sorted(pathlib.Path(self.workdir).glob('report/*.png'))
    )
    return f'<p>{html.escape(headline(self.values))}</p>{plots}'


def summarize(
    run: building.Training,
    directory: workdir.Workdir,
    scored: evaluation.Scored | None,
    num_compilations: int,
) -> dict[str, Any]:
  """Summarizes a run that has ended.

  Args:
    run: The run.
    directory: Its work directory.
    scored: The score of the test split, if there is one.
    num_compilations: The number of programs that XLA compiled in this process.

  Returns:
    The fields of result.json.
  """
  experiment, now, clock = run.experiment, run.now, run.now.call_length
  examples = clock.timed_steps * experiment.config.global_batch_size
  speed = (
      round(examples / clock.timed_seconds, 1) if clock.timed_seconds else None
  )
  result: dict[str, Any] = {
      'num_steps': now.step,
      'num_epochs': now.at.epochs(now.step),
      'num_parameters': sum(
          v.shape.num_elements() for v in run.state.parameters.values()
      ),
      'num_train_step_traces': run.train_step.experimental_get_tracing_count(),
      'compiled': run.extent.name.lower(),
      'num_compilations': num_compilations,
      'train_seconds': round(clock.timed_seconds, 3),
      'examples_per_second': speed,
      'images_per_second': speed,  # Its former name.
      'num_train_examples': experiment.data.num_examples['train'],
      'monitor': run.monitor.metric,
      'direction': run.monitor.direction,
      'seconds_in': {
          name: round(seconds, 3)
          for name, seconds in sorted(
              now.seconds_in.items(), key=lambda item: -item[1]
          )
          if seconds >= _LEAST_SECS
      },
      'machine': environment.machine(),
  }
  if shapes := directory.config_file.shapes():
    result['shapes'] = shapes
  if now.stopped:
    result['stopped'] = dataclasses.asdict(now.stopped)
  if run.state.skipped is not None:
    result['skipped_steps'] = run.health.num_skipped()
  result |= _validation(run, directory)
  if scored:
    result['test'] = scored.to_json()
    result |= {f'test_{name}': each for name, each in scored.values.items()}
    result['num_test_examples'] = scored.num_examples
  result['weights_sha256'] = experiment.digest()
  return result


def _validation(
    run: building.Training, directory: workdir.Workdir
) -> dict[str, Any]:
  """Returns the last validation, and the first of the best ones."""
  metric = run.monitor.metric
  rows = [
      row
      for row in directory.read_metrics()
      if row['split'] == 'validation' and metric in row
  ]
  if not rows:
    return {}
  return {
      'num_validation_examples': rows[-1]['num_examples'],
      f'validation_{metric}': rows[-1][metric],
      'last_validation': rows[-1],
      'best_validation': run.monitor.best(rows),
  }


def headline(result: Mapping[str, Any]) -> str:
  """Summarizes a result in a few words.

  Args:
    result: The result.

  Returns:
    The metric that the run is judged by, on the test split or else on the
    validation split; without either, the number of steps.
  """
  metric = monitor_lib.of_result(result).metric
  for name in (f'test_{metric}', f'validation_{metric}'):
    if name in result:
      return f'{name} {result[name]:.4f}'
  return f'{result["num_steps"]} steps'


def complete(directory: workdir.Workdir) -> str:
  """Reports that the run is complete, and its result."""
  result = directory.read_result() or {}
  text = f'The run in {directory.path} is complete: {headline(result)}.'
  if stopped := result.get('stopped'):
    return (
        f'{text} {stopped["hook"]} ended it at step {stopped["step"]}: '
        f'{stopped["reason"]}. Other flags for that go on with it.'
    )
  return (
      f'{text} Name another --workdir to train again, or more epochs to go on.'
  )
