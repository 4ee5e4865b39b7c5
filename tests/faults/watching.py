"""Watches the files of a program, to hurt it at a moment that they tell.

A folder is looked at again and again: what appears, grows or goes is an event.
Near a moment that lasts for less than a look, the program is stopped and let go
on for a fraction of a millisecond at a time, as a debugger steps.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import time
from collections.abc import Callable

from tests.faults import processes

LOOK_SECS = 0.003
_STEP_SECS = 0.0003
_MOST_STEPS = 2000

Files = dict[str, tuple[int, int]]
"""Size and time of change by path; folders end with a slash."""


def look(folder: pathlib.Path, skip: tuple[str, ...] = ()) -> Files:
  """Returns what is in a folder.

  Args:
    folder: The folder, which may be gone.
    skip: Names at its top that are not looked at.

  Returns:
    The files and folders, by path from there.
  """
  found: Files = {}

  def add(path: str, prefix: str) -> None:
    try:
      entries = list(os.scandir(path))
    except OSError:  # Removed meanwhile.
      return
    for entry in entries:
      name = prefix + entry.name
      if not prefix and entry.name in skip:
        continue
      try:
        if entry.is_dir(follow_symlinks=False):
          found[f'{name}/'] = (0, 0)
          add(entry.path, f'{name}/')
        else:
          status = entry.stat(follow_symlinks=False)
          # A lock is renewed by the clock, which says nothing.
          changed = 0 if entry.name == 'lock' else status.st_mtime_ns
          found[name] = (status.st_size, changed)
      except OSError:
        continue

  add(str(folder), '')
  return found


def pattern(path: str) -> str:
  """Returns a path without what differs from run to run: its numbers."""
  return re.sub(r'\d+', 'N', path)


class Watch:
  """Counts the events in a folder while a program is on.

  Attributes:
    files: What was seen last.
    count: How many events there were.
  """

  def __init__(
      self,
      folder: pathlib.Path,
      group: processes.Group,
      skip: tuple[str, ...] = (),
  ):
    """Looks for the first time."""
    self._folder, self._group, self._skip = folder, group, skip
    self.files = self._first = look(folder, skip)
    self.count = 0

  def new(self) -> Files:
    """Returns what has changed since the first look."""
    return dict(self.files.items() - self._first.items())

  def look(self) -> bool:
    """Looks again; returns whether anything has changed."""
    files = look(self._folder, self._skip)
    has_changed = files != self.files
    self.count += has_changed
    self.files = files
    return has_changed

  def until(self, reached: Callable[[Watch], bool]) -> bool:
    """Looks until a moment is reached; False if a process ended before."""
    deadline = time.monotonic() + processes.HANG_SECS
    while self._group.is_on and time.monotonic() < deadline:
      self.look()
      if reached(self):
        return True
      time.sleep(LOOK_SECS)
    return False

  def step(self, reached: Callable[[Watch], bool]) -> bool:
    """Goes on step by step until a moment is reached.

    Args:
      reached: Returns whether it is, of what is seen while all are stopped.

    Returns:
      Whether it was: all processes are stopped then. Otherwise they go on.
    """
    for _ in range(_MOST_STEPS):
      self._group.send(signal.SIGSTOP)
      self.look()
      if reached(self):
        return True
      self._group.send(signal.SIGCONT)
      if not self._group.is_on:
        return False
      time.sleep(_STEP_SECS)
    return False
