"""Sends new data of runs to an experiment tracker."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .. import programs
from .. import workdir as workdir_lib
from ..files import json_files
from ..settings import options
from . import trackers

_STATE = 'published.json'
# Fields of a row that locate it.
_PLACE = ('step', 'split', 'wall_time')


class Run:
  """A run to publish."""

  def __init__(self, directory: workdir_lib.Workdir):
    """Reads config.json.

    Raises:
      UserError: If it is not a run.
    """
    self._directory = directory
    self._start = directory.read_start()
    self.path = directory.path

  @property
  def name(self) -> str:
    """The name of its work directory."""
    return self.path.absolute().name

  def parameters(self) -> dict[str, str]:
    """Returns its flags, without those that have no value."""
    flags = options.flat(self._start.config.to_json())
    return {name: str(value) for name, value in flags.items()}

  def rows_after(
      self, last: Sequence[Any] | None
  ) -> tuple[list[trackers.Row], Sequence[Any] | None]:
    """Returns the rows of metrics after a given one.

    Args:
      last: The step and the split of that row. If None, all rows are returned.

    Returns:
      The rows, and the step and the split of the last one, or `last`.
    """
    rows = self._directory.read_metrics()
    places = [[row['step'], row['split']] for row in rows]
    first = 0
    if last is not None:
      # A resumed run repeats steps after its checkpoint; they were sent before.
      first = sum(place[0] <= last[0] for place in places)
      if list(last) in places:
        first = places.index(list(last)) + 1
    return [
        trackers.Row(
            row['step'],
            row.get('wall_time', 0.0),
            {
                f'{row["split"]}/{name}': value
                for name, value in row.items()
                if name not in _PLACE and isinstance(value, int | float)
            },
        )
        for row in rows[first:]
    ], (places[-1] if first < len(rows) else last)

  def result(self) -> dict[str, Any] | None:
    """Returns numbers and texts of result.json, or None before it exists."""
    found = self._directory.read_result()
    return (
        None
        if found is None
        else {
            name: value
            for name, value in found.items()
            if isinstance(value, int | float | str)
        }
    )

  def files(self) -> list[pathlib.Path]:
    """Returns the files of report/."""
    return sorted(p for p in (self.path / 'report').rglob('*') if p.is_file())

  def state(self) -> dict[str, Any]:
    """Returns the state of publishing, by tracker and place."""
    path = self.path / _STATE
    text = json_files.read(path)
    return json_files.decode(path, text) if text else {}

  def keep_state(self, state: Mapping[str, Any]) -> None:
    """Saves the state of publishing."""
    self._directory.write_json(_STATE, state)


def publish(
    runs: Sequence[Run], to: str, place: str, *, poll_secs: float | None
) -> int:
  """Sends new data of runs to a tracker.

  Args:
    runs: The runs.
    to: The name of the tracker.
    place: The project, or the directory of TensorBoard.
    poll_secs: The seconds between checks for new rows, until all runs are
      complete. If None, there is one check.

  Returns:
    The exit code.

  Raises:
    Failure: If the tracker raises an error.
  """
  remaining = list(runs)
  while remaining:
    remaining = [run for run in remaining if not _send(run, to, place)]
    if poll_secs is None:
      break
    if remaining:
      time.sleep(poll_secs)
  return 0


def _send(run: Run, to: str, place: str) -> bool:
  """Sends new data of a run; returns whether the run is complete."""
  key = f'{to}: {trackers.address(to, place)}'
  state = run.state()
  before = state.get(key, {})
  # The result is read first, so that it is never sent before the last rows.
  result = run.result()
  rows, last = run.rows_after(before.get('last'))
  # A complete run may have been extended since.
  is_new = result is not None and (bool(rows) or not before.get('is_complete'))
  if rows or is_new:
    try:
      with trackers.TRACKERS[to](
          place, run.name, before.get('id'), run.parameters()
      ) as tracker:
        # Saved at once, so that after a failure the next start reuses the run.
        state[key] = {**before, 'id': tracker.id}
        run.keep_state(state)
        for row in rows:
          tracker.log(row)
        if is_new and result is not None:
          tracker.finish(result, run.files())
    except Exception as error:  # Each tracker raises its own kinds.
      raise programs.Failure(
          f'--to={to}: {run.path}: {programs.reason(error)}.'
      ) from error
    state[key] |= {'last': last, 'is_complete': result is not None}
    run.keep_state(state)
    rows_sent = f'{len(rows):,} row{"s" * (len(rows) != 1)}'
    what = f'{rows_sent}, and its result' if is_new else rows_sent
    programs.note(f'{os.fspath(run.path)}: {what} sent to {key}.')
  else:
    what = 'nothing new' if before else 'it has no rows yet, so nothing'
    programs.note(f'{os.fspath(run.path)}: {what} for {key}.')
  return result is not None
