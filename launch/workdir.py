"""The work directory of a run: config, metrics, result, lock.

Every file is replaced atomically or appended line by line, so that a process
killed at any time leaves a directory that the next start can use. Nothing in it
is deleted before the first new checkpoint is saved.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core import checkpoint_files

from . import programs
from .files import config_file, json_files, locks, metrics_file, paths, starts

_APPEAR_SECS = 60.0
# What is not worth a note in a new run's directory: logs, and what a killed
# start left.
_HARMLESS = (
    *('.*', 'lost+found', '*.tmp', '*.txt', '*.log', '*.out', '*.err'),
    *('lock*', 'examples.npz', 'checkpoints', 'report', 'summaries'),
    'command',  # Of a sweep.
)


def of_run(
    path: str | None, flag: str = '--workdir=', *, is_chief: bool = True
) -> Workdir:
  """Returns the work directory of an existing run.

  Args:
    path: The given path.
    flag: What precedes the path on the command line; empty for a positional
      argument.
    is_chief: Whether this process writes.

  Returns:
    The directory.

  Raises:
    UserError: If there is no run at the path.
  """
  if not path:
    raise programs.UserError('--workdir is missing: name that of a run.')
  directory = Workdir(path, is_chief=is_chief)
  if directory.path.exists() and not directory.path.is_dir():
    raise programs.UserError(
        f'{flag}{path}: it is a file; expected the work directory of a run.'
    )
  if not directory.exists():
    raise programs.UserError(
        f'{flag}{path}: there is no run; launch.train starts one.'
    )
  return directory


class Workdir:
  """Reads and writes a work directory. Only the chief writes.

  Attributes:
    path: The directory.
    config_file: Its config.json.
    checkpoints: The directory of checkpoints in it.
    best: The directory of the best one.
    summaries: The directory of TensorBoard's files in it.
    is_chief: Whether this process writes.
  """

  def __init__(self, path: str, *, is_chief: bool = True):
    """Names a work directory; nothing is read or written yet.

    Raises:
      UserError: If the path is not valid.
    """
    self.path = paths.local('workdir', path)
    self.checkpoints = str(self.path / 'checkpoints')
    self.best = str(self.path / 'checkpoints' / 'best')
    self.summaries = str(self.path / 'summaries')
    self.config_file = config_file.ConfigFile(self.path, is_chief=is_chief)
    self._metrics = metrics_file.MetricsFile(self.path / 'metrics.jsonl')
    self.is_chief = is_chief
    self._lock: locks.Lock | None = None
    self._has_saved = False

  def check_writable(self) -> None:
    """Checks that the directory is writable, without writing.

    Raises:
      UserError: If it is not.
    """
    paths.check_writable('workdir', self.path)
    for folder in (self.checkpoints, self.summaries):
      paths.check_folder('workdir', pathlib.Path(folder), json_files.COPY)

  def exists(self) -> bool:
    """Returns whether a run was started here.

    Raises:
      UserError: If so, but its config.json is missing.
    """
    if self.config_file.exists():
      return True
    names = ('metrics.jsonl', 'result.json')
    left = [name for name in names if (self.path / name).exists()]
    if checkpoint_files.ordered(self.checkpoints):
      left.append('checkpoints')
    if left:
      raise programs.UserError(
          f'{self.path} has {" and ".join(left)} of a run, but its '
          f'config.json is missing; {json_files.COPY}.'
      )
    return False

  def others(self) -> str | None:
    """Returns a note on files that are not of a run, before one starts."""
    found = sorted(os.listdir(self.path)) if self.path.is_dir() else []
    foreign = [
        name
        for name in found
        if not any(fnmatch.fnmatch(name, each) for each in _HARMLESS)
    ]
    if not foreign:
      return None
    more = f' and {len(foreign) - 1} more' if len(foreign) > 1 else ''
    return f'{self.path} also has other files: {foreign[0]}{more}.'

  def appears(self) -> bool:
    """Returns whether a run started by the chief is visible here.

    Network file systems may show it to other workers after a delay.
    """
    deadline = time.monotonic() + _APPEAR_SECS
    while not self.config_file.exists() and time.monotonic() < deadline:
      time.sleep(0.1)
      # Refreshes the listing, so that new files are found.
      with contextlib.suppress(OSError):
        os.listdir(self.path.parent)
        os.listdir(self.path)
    return self.config_file.exists()

  @contextlib.contextmanager
  def locked(
      self, say: Callable[[str], None] = lambda message: None
  ) -> Iterator[None]:
    """Prevents other processes from training in the directory.

    Args:
      say: Called if the lock of another machine must be watched.

    Raises:
      UserError: If another process is training here.
    """
    if not self.is_chief:
      yield
      return
    try:
      with locks.held(self.path, say) as self._lock:
        yield
    finally:
      self._lock = None

  def check_held(self) -> None:
    """Checks that this process still holds the directory.

    Raises:
      OSError: If the directory or its lock was removed.
    """
    if self._lock:
      self._lock.check_held()

  def read_start(self) -> starts.Start:
    """Reads config.json.

    Raises:
      UserError: If it is missing, or not that of a run.
    """
    self.exists()  # Raises if only config.json is missing.
    return self.config_file.start()

  def check_progress(self, start: starts.Start) -> None:
    """Checks that a run without a checkpoint has not lost any.

    A run killed before its first checkpoint starts over.

    Args:
      start: The content of config.json.

    Raises:
      UserError: If there was a checkpoint.
    """
    saved = start.first_checkpoint
    if self.read_result():
      seen = 'there is a result.json'
    elif saved is True and (last := self._metrics.last_step()) is not None:
      seen = f'metrics.jsonl goes to step {last}'
    elif saved is not None and saved is not True:
      seen = f'one was saved at step {saved}'
    else:
      return
    raise programs.UserError(
        f'--workdir={self.path}: no checkpoint is in checkpoints/, though '
        f'{seen}; restore checkpoints/ from a backup, or begin anew in another '
        'work directory.'
    )

  def append_metrics(self, row: Mapping[str, Any]) -> None:
    """Appends a row to metrics.jsonl.

    Raises:
      OSError: If it cannot be written.
    """
    if self.is_chief:
      self.check_held()
      self._metrics.append(row)

  def read_metrics(self) -> list[dict[str, Any]]:
    """Reads the rows of metrics.jsonl, without lost rows.

    Raises:
      UserError: If the file is damaged.
    """
    return self._metrics.read()

  def go_on_from(self, step: int, *, is_validated: bool = True) -> None:
    """Marks rows of later steps as lost; `saved` removes them from the file.

    Args:
      step: The step.
      is_validated: Whether the validation of this step is not repeated.
    """
    self._metrics.go_on_from(step, is_validated=is_validated)

  def saving(self, stopped: Mapping[str, Any] | None) -> None:
    """Records, before a checkpoint, whether a hook ends the run with it.

    Args:
      stopped: The `step`, `hook` and `reason`. None if the run continues.

    Raises:
      OSError: If a file cannot be written.
    """
    if self.is_chief and (stopped or not self._has_saved):
      self.config_file.put('stopped', stopped)

  def saved(self, step: int) -> None:
    """Removes lost rows, now that a checkpoint was saved.

    Raises:
      OSError: If a file cannot be written.
    """
    if self.is_chief:
      self._metrics.drop_void()
      if not self._has_saved:
        self.config_file.note_first_checkpoint(step)
      self._has_saved = True

  def read_result(self) -> dict[str, Any] | None:
    """Reads result.json, which a complete run has.

    Raises:
      UserError: If the file is damaged.
    """
    path = self.path / 'result.json'
    text = json_files.read(path)
    if text is None:
      return None
    return json_files.decode(path, text, num_steps=int)

  def write_result(self, result: Mapping[str, Any]) -> None:
    """Completes the run: writes result.json."""
    self.write_json('result.json', result)

  def write_json(self, name: str, value: Any) -> None:
    """Writes a file of the directory atomically.

    Raises:
      OSError: If it cannot be written.
    """
    if self.is_chief:
      self.check_held()
      json_files.write(self.path / name, value)
