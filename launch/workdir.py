"""The work directory of a run: config, metrics, result, lock.

Every file is written as a whole or appended line by line, so that a process
killed at any moment leaves a directory that the next start can use. Nothing in
it is deleted or emptied before the first new checkpoint is saved.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core import checkpoint_files

from . import (
    config_file,
    json_files,
    locks,
    metrics_file,
    paths,
    programs,
    starts,
)

_APPEAR_SECS = 60.0


def of_run(path: str | None, *, is_chief: bool = True) -> Workdir:
  """Names the work directory of a run that was started.

  Args:
    path: What was given for it.
    is_chief: Whether this process writes.

  Returns:
    The directory; nothing is read yet.

  Raises:
    UserError: If none was given.
  """
  if not path:
    raise programs.UserError('--workdir is missing: name that of a run.')
  return Workdir(path, is_chief=is_chief)


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
      UserError: If it cannot be the name of one.
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
    """Checks that files can be made in the directory, without making any.

    Raises:
      UserError: If they cannot.
    """
    paths.check_writable('workdir', self.path)
    for folder in (self.checkpoints, self.summaries):
      paths.check_folder('workdir', pathlib.Path(folder), json_files.COPY)

  def exists(self) -> bool:
    """Returns whether a run was started here.

    Raises:
      UserError: If one was, and its config.json is gone.
    """
    if self.config_file.exists():
      return True
    names = ('metrics.jsonl', 'result.json')
    left = [name for name in names if (self.path / name).exists()]
    if checkpoint_files.ordered(self.checkpoints):
      left.append('checkpoints')
    if left:
      raise programs.UserError(
          f'--workdir={self.path} has {" and ".join(left)} of a run, but its '
          f'config.json is missing; {json_files.COPY}.'
      )
    return False

  def appears(self) -> bool:
    """Returns whether a run that the chief has begun can be seen from here.

    File systems of a network may show it to other workers after a while.
    """
    deadline = time.monotonic() + _APPEAR_SECS
    while not self.config_file.exists() and time.monotonic() < deadline:
      time.sleep(0.1)
      # So that what was not there is looked for anew.
      with contextlib.suppress(OSError):
        os.listdir(self.path.parent)
        os.listdir(self.path)
    return self.config_file.exists()

  @contextlib.contextmanager
  def locked(
      self, say: Callable[[str], None] = lambda message: None
  ) -> Iterator[None]:
    """Keeps other processes from training in the directory, for a block.

    Args:
      say: Is told if another machine's lock has to be watched.

    Raises:
      UserError: If another process trains here.
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
    """Checks that the directory is still this process's.

    Raises:
      OSError: If it was removed, or its lock was.
    """
    if self._lock:
      self._lock.check_held()

  def read_start(self) -> starts.Start:
    """Reads config.json.

    Raises:
      UserError: If there is none, or it is not that of a run.
    """
    self.exists()  # Says so if only config.json is gone.
    return self.config_file.start()

  def check_progress(self, start: starts.Start) -> None:
    """Checks that a run without a checkpoint has lost none.

    A run may be killed before its first checkpoint; it then begins again.

    Args:
      start: What config.json says of the run.

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
        f'{seen}; restore checkpoints/ from a backup, or name another '
        '--workdir to begin anew.'
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
    """Reads the rows of metrics.jsonl, less those that were lost.

    Raises:
      UserError: If the file is damaged.
    """
    return self._metrics.read()

  def go_on_from(self, step: int, *, is_validated: bool = True) -> None:
    """Takes rows of later steps for lost; `saved` drops them from the file.

    Args:
      step: The step.
      is_validated: Whether a validation of this step is not done again.
    """
    self._metrics.go_on_from(step, is_validated=is_validated)

  def saving(self, stopped: Mapping[str, Any] | None) -> None:
    """Takes note, before a checkpoint, of the end by a hook that it is.

    Args:
      stopped: The `step`, `hook` and `reason`; None if the run is to go on.

    Raises:
      OSError: If a file cannot be written.
    """
    if self.is_chief and (stopped or not self._has_saved):
      self.config_file.put('stopped', stopped)

  def saved(self, step: int) -> None:
    """Takes note of a checkpoint that was saved: lost rows can go.

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
    """Writes a file of the directory as a whole.

    Raises:
      OSError: If it cannot be written.
    """
    if self.is_chief:
      self.check_held()
      json_files.write(self.path / name, value)
