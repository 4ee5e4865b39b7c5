"""Writes report/ of a run: figures, index.html, model_card.md."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from typing import Any

from .. import commands, tasks
from .. import workdir as workdir_lib
from ..files import starts, whole_files
from ..hooks import summaries
from . import board as board_lib
from . import card, curves, inspecting, page, run_page
from . import subject as subject_lib

# In the run's own work directory, the command would find a complete run.
_ELSEWHERE = 'runs/again'


def write(
    directory: workdir_lib.Workdir,
    subject: subject_lib.Subject,
    board: summaries.Summaries | None = None,
) -> None:
  """Applies the model to examples, and writes the report.

  All workers must call it, since they read per-replica variables together.

  Args:
    directory: The work directory of the run.
    subject: The subject of the report.
    board: TensorBoard's files, which receive the report as well.

  Raises:
    OSError: If a file cannot be written.
  """
  seen = inspecting.inspect(subject.experiment, subject.model, subject.dataset)
  if directory.is_chief:
    facts = _write(
        directory.path,
        subject,
        seen,
        directory.read_start(),
        directory.read_metrics(),
    )
    if board:
      board_lib.write(board, facts)


def _write(
    workdir: pathlib.Path,
    subject: subject_lib.Subject,
    seen: inspecting.Inspected | None,
    start: starts.Start,
    rows: curves.Rows,
) -> run_page.Facts:
  """Writes the report of a run.

  Args:
    workdir: Its work directory.
    subject: The subject of the report.
    seen: The inspected examples, if there is a split to inspect.
    start: The content of its config.json.
    rows: The rows of its metrics.jsonl.

  Returns:
    The content of its page.

  Raises:
    OSError: If a file cannot be written.
  """
  folder = workdir / 'report'
  folder.mkdir(parents=True, exist_ok=True)
  report = subject.scored.report if subject.scored else None
  more = list(seen.inspection.sections(seen.kept)) if seen else []
  figures: dict[str, Any] = {
      'curves.png': curves.draw({'': rows}, [subject.monitor]),
      **(report.figures if report else {}),
  }
  for section in (*(report.sections if report else ()), *more):
    figures |= section.figures
  drawn = {name: page.render(each, name) for name, each in figures.items()}
  for name, data in drawn.items():
    _replace(folder / name, data)
  result = subject.result
  if subject.started is not None:
    result['seconds'] = round(time.monotonic() - subject.started, 3)
  config = dataclasses.replace(start.config, workdir=_ELSEWHERE)
  command = commands.line('train', commands.flags(config))
  task = start.config.task or tasks.of(start.data.spec)
  facts = run_page.Facts(
      name=str(workdir),
      start=start,
      rows=rows,
      result=result,
      task=str(task),
      num_steps=subject.experiment.num_steps,
      report=report,
      inspected=seen,
      more=more,
      drawn=drawn,
      command=command,
  )
  _replace(folder / 'index.html', run_page.text(facts).encode())
  text = card.text(str(workdir), start, result, str(task), command)
  _replace(folder / 'model_card.md', text.encode(errors='replace'))
  return facts


def _replace(path: pathlib.Path, data: bytes) -> None:
  """Replaces a file atomically."""
  with whole_files.replacing(path) as temporary:
    temporary.write_bytes(data)
