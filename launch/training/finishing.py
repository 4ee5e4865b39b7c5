"""The end of a run: the test split, the result, the report."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pipelines import datasets

from .. import building, interruption, programs
from .. import workdir as workdir_lib
from ..evaluating import evaluation
from ..hooks import metrics_writer
from ..reporting import subject
from . import results


def finish(
    training: building.Training,
    dataset: datasets.Dataset,
    directory: workdir_lib.Workdir,
    say: Callable[[str], None],
    started: float,
    compilations: Callable[[], int],
) -> dict[str, Any]:
  """Scores the test split, and writes the report and the result.

  Args:
    training: The run, after its last step.
    dataset: The data set.
    directory: The work directory.
    say: Prints a message on the chief.
    started: When this start began, on the monotonic clock.
    compilations: Counts the programs XLA has compiled in this process.

  Returns:
    The fields of result.json.

  Raises:
    Failure: If a value is not finite.
    OSError: If a file cannot be written. The next start writes it.
  """
  now = training.now
  now.seconds_in['start'] = (
      time.monotonic() - started - sum(now.seconds_in.values())
  )
  training.health.check_trained(now.step)
  if stopped := now.stopped:
    say(
        f'{stopped.hook} ended the run at step {stopped.step}: '
        f'{stopped.reason}.\n'
    )
  scored = None
  if 'test' in training.experiment.data.num_examples:
    before = time.monotonic()
    scored = training.evaluator.run(training.state, 'test')
    now.seconds_in['test'] = time.monotonic() - before
    say(scored.table())
  result = results.summarize(training, directory, scored, compilations())
  about = report_of(training, dataset, scored, result, started)
  # Signals wait for the plots, since they may be lost during an import.
  with interruption.remembering():
    try:
      # Imported here: it is slow, and only needed at the end of a run.
      from ..reporting import writing

      [log] = (
          hook
          for hook in training.hooks
          if isinstance(hook, metrics_writer.Log)
      )
      writing.write(directory, about, log.board)
      log.board.close()
    except OSError:  # For example a full disk. The next start tries again.
      raise
    except Exception as error:  # A run must not fail because of plots.
      say(f'report/ is not complete: {programs.reason(error)}')
  result.setdefault('seconds', round(time.monotonic() - started, 3))
  # Written last, because it marks the run as complete.
  directory.write_result(result)
  say(f'{results.headline(result)}; {directory.path}/result.json')
  return result


def report_of(
    training: building.Training,
    dataset: datasets.Dataset,
    scored: evaluation.Scored | None,
    result: dict[str, Any],
    started: float,
) -> subject.Subject:
  """Returns the subject of the report on a run in training."""
  average = training.state.average
  return subject.Subject(
      training.experiment,
      training.state.model if average is None else average.model,
      dataset,
      scored,
      result,
      training.monitor.metric,
      started,
  )
