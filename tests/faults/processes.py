"""Programs as processes: how they are started, watched and ended."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

from launch import interruption
from launch.cluster import members, ports

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Longer than any of these programs takes on a machine that does other things.
HANG_SECS = 240.0
_WAIT_SECS = 0.01
_started: list[Process] = []
_forking = threading.Lock()


class Process:
  """A program on this machine, in a session of its own.

  Attributes:
    started: When it was started, by the monotonic clock.
  """

  def __init__(
      self,
      arguments: Sequence[str],
      environment: Mapping[str, str],
      log: pathlib.Path,
      *,
      forks: bool = False,
  ):
    """Starts it.

    Args:
      arguments: A module and its arguments.
      environment: Variables to add.
      log: Where stdout and stderr go, with suffixes.
      forks: Whether the process begins as one that has imported TensorFlow.
    """
    self._log = log
    self.started = time.monotonic()
    self._code: int | None = None
    self._process: subprocess.Popen[bytes] | None = None
    if forks:
      with _forking:
        self._number = _forker().start(arguments, environment, log)
      _started.append(self)
      return
    with (
        open(log.with_suffix('.out'), 'wb') as out,
        open(log.with_suffix('.err'), 'wb') as err,
    ):
      self._process = subprocess.Popen(
          [sys.executable, '-m', *arguments],
          cwd=ROOT,
          env={**_inherited(), **environment},
          stdin=subprocess.DEVNULL,
          stdout=out,
          stderr=err,
          start_new_session=True,
      )
    self._number = self._process.pid
    _started.append(self)

  def send(self, number: signal.Signals) -> None:
    """Sends it, and all that it started, a signal."""
    if self.code is None:
      with contextlib.suppress(ProcessLookupError):
        os.killpg(self._number, number)

  @property
  def code(self) -> int | None:
    """The exit code; None while it is on, below 0 if a signal ended it."""
    if self._process:
      return self._process.poll()
    if self._code is None:
      with contextlib.suppress(FileNotFoundError):
        self._code = int(self._log.with_suffix('.code').read_text())
    return self._code

  def wait(self, timeout_s: float) -> bool:
    """Waits for its end; returns whether that came in time."""
    end = time.monotonic() + timeout_s
    while self.code is None and time.monotonic() < end:
      time.sleep(_WAIT_SECS)
    return self.code is not None

  def out(self) -> str:
    """Returns what it has printed on stdout."""
    return self._log.with_suffix('.out').read_text(errors='replace')

  def err(self) -> str:
    """Returns what it has printed on stderr."""
    return self._log.with_suffix('.err').read_text(errors='replace')


def end_all() -> None:
  """Kills all that were started and are still on."""
  for process in _started:
    process.send(signal.SIGKILL)
  for process in _started:
    process.wait(HANG_SECS)


class _Forker:
  """A process that becomes programs, see forking.py."""

  def __init__(self) -> None:
    """Starts it, and waits until it has imported what it imports."""
    self._process = subprocess.Popen(
        [sys.executable, '-m', 'tests.faults.forking'],
        cwd=ROOT,
        env=_inherited(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    self._read()
    atexit.register(self._process.kill)

  def start(
      self,
      arguments: Sequence[str],
      environment: Mapping[str, str],
      log: pathlib.Path,
  ) -> int:
    """Starts a program; returns the number of its process."""
    assert self._process.stdin
    self._process.stdin.write(
        json.dumps({
            'arguments': list(arguments),
            'environment': dict(environment),
            'log': str(log),
        })
        + '\n'
    )
    self._process.stdin.flush()
    return int(self._read())

  def _read(self) -> str:
    assert self._process.stdout
    line = self._process.stdout.readline()
    if not line:
      raise RuntimeError('the process that becomes programs has ended.')
    return line


@functools.cache
def _forker() -> _Forker:
  return _Forker()


class Group:
  """The processes of one program: one, or one for each worker.

  Attributes:
    processes: The processes, the chief's first.
  """

  def __init__(
      self,
      arguments: Sequence[str],
      environment: Mapping[str, str],
      log: pathlib.Path,
      num_workers: int = 1,
      *,
      forks: bool = False,
  ):
    """Starts them; see `Process`."""
    cluster = members.on_this_machine(ports.free(num_workers))
    self.processes = []
    for index, worker in enumerate(cluster):
      mine = dict(environment)
      if num_workers > 1:
        mine[members.VARIABLE] = worker.to_tf_config()
      name = log.with_name(f'{log.name}_{index}')
      self.processes.append(Process(arguments, mine, name, forks=forks))

  @property
  def started(self) -> float:
    """When the first was started."""
    return self.processes[0].started

  @property
  def codes(self) -> list[int | None]:
    """The exit codes."""
    return [process.code for process in self.processes]

  @property
  def is_on(self) -> bool:
    """Whether all of them are on."""
    return all(code is None for code in self.codes)

  def send(self, number: signal.Signals) -> None:
    """Sends all of them a signal."""
    for process in self.processes:
      process.send(number)

  def wait(self, timeout_s: float = HANG_SECS) -> bool:
    """Waits for the end of all; those that are on then are killed.

    Returns:
      Whether all ended by themselves.
    """
    deadline = time.monotonic() + timeout_s
    ended = [each.wait(deadline - time.monotonic()) for each in self.processes]
    self.end()
    return all(ended)

  def end(self) -> None:
    """Kills what is still on."""
    self.send(signal.SIGKILL)
    for process in self.processes:
      process.wait(HANG_SECS)


@contextlib.contextmanager
def campaign(workdir: str | None, prefix: str) -> Iterator[pathlib.Path]:
  """Ends all that was started at the end of a block, or at a signal in it.

  Args:
    workdir: The folder to work in, by one campaign at a time. Default: a
      temporary one, which goes with the block.
    prefix: The prefix of its name then.

  Yields:
    The folder.

  Raises:
    BlockingIOError: If another process works there.
  """
  for number in interruption.SIGNALS:
    is_ignored = signal.getsignal(number) == signal.SIG_IGN  # As by nohup.
    signal.signal(number, _stay if is_ignored else _leave)
  folder = pathlib.Path(workdir or tempfile.mkdtemp(prefix=prefix)).absolute()
  folder.mkdir(parents=True, exist_ok=True)
  lock = os.open(folder / 'lock', os.O_RDWR | os.O_CREAT)
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield folder
  finally:
    end_all()
    if not workdir:
      shutil.rmtree(folder, ignore_errors=True)


def _leave(number: int, frame: FrameType | None) -> None:
  """Ends this process, and by its `finally` blocks what it has started."""
  del frame
  sys.exit(128 + number)


def _stay(number: int, frame: FrameType | None) -> None:
  """Ignores a signal; programs that are started do not inherit that."""
  del number, frame


@functools.cache
def code(*others: str) -> str:
  """Returns a hash of the code of the programs, and of other files."""
  digest = hashlib.sha256()
  for package in ('core', 'pipelines', 'launch'):
    for path in sorted((ROOT / package).rglob('*.py')):
      digest.update(path.read_bytes())
  for other in others:
    digest.update(pathlib.Path(other).read_bytes())
  return digest.hexdigest()[:12]


def _inherited() -> dict[str, str]:
  """Returns the environment of this process, less what decides bits."""
  kept = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('TF_', 'XLA_', 'PYTEST_'))
  }
  # As many threads as there are programs at a time: one, or one a worker.
  return {**kept, 'OMP_NUM_THREADS': '1', 'TF_NUM_INTRAOP_THREADS': '1'}
