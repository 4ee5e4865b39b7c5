"""Writes report/ of a run: figures, index.html, model_card.md."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import time
import warnings
from typing import Any

from .. import commands, starts, tasks, whole_files
from .. import workdir as workdir_lib
from . import card, curves, inspecting, run_page
from . import subject as subject_lib

# In its own work directory the run would be found complete.
_ELSEWHERE = 'runs/again'


def write(
    directory: workdir_lib.Workdir, subject: subject_lib.Subject
) -> None:
  """Looks at examples, and writes the report; every worker calls it.

  Args:
    directory: The work directory of the run.
    subject: What the report is about.

  Raises:
    OSError: If a file cannot be written.
  """
  seen = inspecting.inspect(subject.experiment, subject.model, subject.dataset)
  if directory.is_chief:
    _write(
        directory.path,
        subject,
        seen,
        directory.read_start(),
        directory.read_metrics(),
    )


def _write(
    workdir: pathlib.Path,
    subject: subject_lib.Subject,
    seen: inspecting.Inspected | None,
    start: starts.Start,
    rows: curves.Rows,
) -> None:
  """Writes the report of a run.

  Args:
    workdir: Its work directory.
    subject: What it is about.
    seen: What was seen of its examples, if it has a split to look at.
    start: What its config.json says.
    rows: The rows of its metrics.jsonl.

  Raises:
    OSError: If a file cannot be written.
  """
  folder = workdir / 'report'
  folder.mkdir(parents=True, exist_ok=True)
  report = subject.scored.report if subject.scored else None
  sections = [*(report.sections if report else ())]
  more = list(seen.inspection.sections(seen.kept)) if seen else []
  figures: dict[str, Any] = {
      'curves.png': curves.draw({'': rows}, [subject.monitor]),
      **(report.figures if report else {}),
  }
  for section in (*sections, *more):
    figures |= section.figures
  drawn = {name: _save(folder / name, each) for name, each in figures.items()}
  result = subject.result
  if subject.started is not None:
    result['seconds'] = round(time.monotonic() - subject.started, 3)
  config = dataclasses.replace(start.config, workdir=_ELSEWHERE)
  command = commands.line('train', commands.flags(config))
  task: Any = start.config.task or tasks.of(start.data.spec)
  text = run_page.text(run_page.Facts(
      name=str(workdir),
      start=start,
      rows=rows,
      result=result,
      task=getattr(task, '__name__', task),
      num_steps=subject.experiment.num_steps,
      report=report,
      inspected=seen,
      more=more,
      drawn=drawn,
      command=command,
  ))
  _replace(folder / 'index.html', text.encode())
  text = card.text(str(workdir), start, result, command)
  _replace(folder / 'model_card.md', text.encode(errors='replace'))


def _save(path: pathlib.Path, plot: Any) -> bytes:
  """Writes a figure, or what a function draws; returns the file."""
  buffer = io.BytesIO()
  with warnings.catch_warnings():
    # A letter that no font of this machine has is drawn as a box.
    warnings.filterwarnings('ignore', r'Glyph .* missing from')
    (plot() if callable(plot) else plot).savefig(
        buffer, dpi=120, format=path.suffix[1:] or None
    )
  _replace(path, buffer.getvalue())
  return buffer.getvalue()


def _replace(path: pathlib.Path, data: bytes) -> None:
  """Writes a file as a whole."""
  with whole_files.replacing(path) as temporary:
    temporary.write_bytes(data)
