"""The report of a run that was trained before, or is still training."""

from __future__ import annotations

import dataclasses
from typing import Any

from .. import config as config_lib
from .. import finished_run, programs
from .. import workdir as workdir_lib
from ..evaluating import evaluation
from ..machine import devices
from . import subject, writing


def write(
    directory: workdir_lib.Workdir, place: config_lib.Config
) -> finished_run.Run:
  """Scores the test split with the last checkpoint, and writes the report.

  Args:
    directory: The work directory of the run.
    place: The location of its data, if they were moved.

  Returns:
    The run.

  Raises:
    UserError: If the run, its checkpoint or its data set is missing, or they do
      not match.
    OSError: If a file cannot be written.
  """
  strategy = devices.strategy('one_device')
  place = dataclasses.replace(place, workdir=str(directory.path))
  run = finished_run.load(place, None, strategy)
  for split in run.dataset.num_examples:
    if split != 'train':
      run.check_split(split)
  result: dict[str, Any] = directory.read_result() or {'num_steps': run.step}
  scored = None
  if 'test' in run.dataset.num_examples:
    evaluator = evaluation.Evaluator(run.experiment, run.dataset, strategy)
    try:
      scored = evaluator.run(run, 'test')
    except programs.Failure as error:  # The report shows the example.
      programs.note(f'there are no values of the test split: {error}')
    else:
      result.setdefault('test', scored.to_json())
  writing.write(
      directory,
      subject.Subject(
          run.experiment,
          run.model,
          run.dataset,
          scored,
          result,
          result.get('monitor') or run.config.monitor or run.task.monitor,
      ),
  )
  return run
