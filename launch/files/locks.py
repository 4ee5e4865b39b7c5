"""A lock on a directory, which names its owner and ends with it.

The lock is a file that the kernel locks while its owner is alive. For file
systems that lock per machine only, or not at all, the owner also renews the
file's time every few seconds; a process on another machine watches it for half
a minute before it takes over. This cannot detect an owner that was suspended
for longer, nor two simultaneous starts on different machines over a file system
without locks. In these cases the owner notices before it writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .. import programs

NAME = 'lock'
RENEW_SECS = 5.0
# An owner on another machine counts as dead after this time without renewal.
PATIENCE_SECS = 30.0


class Lock:
  """A lock that this process holds, from `acquire` to `release`."""

  def __init__(self, path: pathlib.Path, file: int):
    """Takes over an open lock file; use `acquire`."""
    self._path = path
    self._file = file
    self._ended = threading.Event()
    os.truncate(file, 0)
    os.pwrite(file, json.dumps(_owner()).encode(), 0)
    self._renewing = threading.Thread(target=self._renew, daemon=True)
    self._renewing.start()

  def is_held(self) -> bool:
    """Returns whether the lock still exists and belongs to this process."""
    return _is_file_at(self._file, self._path)

  def check_held(self) -> None:
    """Checks that the lock is still held.

    Raises:
      OSError: If the lock or its directory was removed.
    """
    if not self.is_held():
      raise FileNotFoundError(
          f'{self._path.parent}, or the lock in it, was removed during the run'
      )

  def release(self) -> None:
    """Removes the lock."""
    self._ended.set()
    self._renewing.join()
    with contextlib.suppress(OSError):
      if self.is_held():
        self._path.unlink()
    os.close(self._file)

  def _renew(self) -> None:
    while not self._ended.wait(RENEW_SECS):
      with contextlib.suppress(OSError):
        os.utime(self._file)


@contextlib.contextmanager
def held(
    directory: pathlib.Path, say: Callable[[str], None] = lambda message: None
) -> Iterator[Lock]:
  """Locks a directory for a block.

  Args:
    directory: The directory. If it is created here, it is removed at the end,
      unless it contains files.
    say: As for `acquire`.

  Yields:
    The lock.

  Raises:
    UserError, OSError: As for `acquire`.
  """
  is_new = not directory.exists()
  directory.mkdir(parents=True, exist_ok=True)
  try:
    lock = acquire(directory, say)
    try:
      yield lock
    finally:
      lock.release()
  finally:
    if is_new:
      with contextlib.suppress(OSError):
        directory.rmdir()


def acquire(
    directory: pathlib.Path, say: Callable[[str], None] = lambda message: None
) -> Lock:
  """Locks a directory for this process.

  Args:
    directory: An existing directory.
    say: Called with a message before a long wait.

  Raises:
    UserError: If a live process holds the lock. The message names it.
    OSError: If no file can be created there.
  """
  path = directory / NAME
  while True:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
      is_locked = _lock(file)
      if not _is_file_at(file, path):  # Its owner has just removed it.
        os.close(file)
        continue
      owner = _read(file)
      # The kernel's lock may cover only the processes of this machine.
      is_elsewhere = is_locked is None or owner.get('boot') != _boot()
      if is_locked is False or (
          owner and is_elsewhere and _is_renewed(path, owner, say)
      ):
        raise programs.UserError(
            f'{directory} is in use by {_describe(owner)}; wait for its end, '
            'or name another directory.'
        )
      if not _is_file_at(file, path):  # Removed while it was watched.
        os.close(file)
        continue
      return Lock(path, file)
    except BaseException:
      os.close(file)
      raise


def _lock(file: int) -> bool | None:
  """Returns whether the kernel gave the lock; None if locks do not work."""
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True
  except BlockingIOError:
    return False
  except OSError:
    return None


def _is_file_at(file: int, path: pathlib.Path) -> bool:
  try:
    return os.path.samestat(os.fstat(file), os.stat(path))
  except OSError:
    return False


def _is_renewed(
    path: pathlib.Path, owner: dict[str, Any], say: Callable[[str], None]
) -> bool:
  """Returns whether an owner elsewhere renews its lock, ignoring clocks."""
  say(
      f'{path} belongs to {_describe(owner)}; waiting for up to '
      f'{PATIENCE_SECS:g} s to see whether it is alive ...'
  )
  deadline = time.monotonic() + PATIENCE_SECS
  before = _time_of(path)
  while before is not None and time.monotonic() < deadline:
    time.sleep(PATIENCE_SECS / 30)
    now = _time_of(path)
    if now is None:
      return False
    if now != before:
      return True
  return False


def _time_of(path: pathlib.Path) -> int | None:
  """Returns when a file was renewed, or None if it is gone."""
  try:
    with open(path) as file:  # Opening refreshes network file systems.
      return os.fstat(file.fileno()).st_mtime_ns
  except FileNotFoundError:
    return None


def _owner() -> dict[str, Any]:
  return {
      'host': socket.gethostname(),
      'pid': os.getpid(),
      # Process IDs are reused; start times are not.
      'process_start': _process_start(),
      'boot': _boot(),
      'time': time.strftime('%Y-%m-%d %H:%M:%S %z'),
  }


def _read(file: int) -> dict[str, Any]:
  try:
    owner = json.loads(os.pread(file, 10_000, 0))
  except ValueError:
    return {}
  return owner if isinstance(owner, dict) else {}


def _describe(owner: dict[str, Any]) -> str:
  if not owner:
    return 'another process'
  return (
      f'process {owner.get("pid")} on {owner.get("host")}, since '
      f'{owner.get("time")}'
  )


def _boot() -> str | None:
  """Returns the ID of this boot, which all containers of a machine share."""
  try:
    path = pathlib.Path('/proc/sys/kernel/random/boot_id')
    return path.read_text().strip()
  except OSError:
    return None


def _process_start() -> int | None:
  """Returns when this process started, in kernel ticks since the boot."""
  try:
    text = pathlib.Path('/proc/self/stat').read_text()
  except OSError:
    return None
  return int(text.rpartition(')')[2].split()[19])
