"""Trains the runs of a sweep in processes, several at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import re
import shlex
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from .. import interruption, programs
from .. import workdir as workdir_lib
from ..cluster import processes, supervising
from ..files import json_files
from . import search as search_lib
from . import space as space_lib

_POLL_SECS = 0.1
_IN_FRONT = re.compile(r'^\[\d+\] (\S*\btrain: )?')


@dataclasses.dataclass
class Trial:
  """A trial: the same values with several seeds.

  Attributes:
    number: Its number.
    values: The values of the flags.
    workdirs: The work directory of each seed.
    results: The result.json of each seed whose run is complete.
    failures: The reason for each seed whose run failed.
  """

  number: int
  values: space_lib.Values
  workdirs: list[pathlib.Path]
  results: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
  failures: dict[int, str] = dataclasses.field(default_factory=dict)

  @property
  def has_ended(self) -> bool:
    """Whether all of its runs have ended."""
    return len(self.results) + len(self.failures) == len(self.workdirs)


def workdirs(folder: pathlib.Path, number: int, seeds: int) -> list[Any]:
  """Returns the work directories of the runs of a trial, by seed."""
  trial = folder / 'trials' / f'{number:04}'
  return [trial / f'seed_{seed}' for seed in range(seeds)]


class Training:
  """Trains the incomplete runs of a sweep."""

  def __init__(
      self,
      search: search_lib.Search,
      folder: pathlib.Path,
      seeds: int,
      command: Callable[[space_lib.Values, pathlib.Path], Sequence[str]],
      judge: Callable[[Trial], float | None],
      slots: Sequence[Mapping[str, str]],
  ):
    """Configures training without starting it.

    Args:
      search: Proposes the values of trials.
      folder: The directory of the sweep.
      seeds: The number of seeds per trial.
      command: Returns the command of a run, given its values and work
        directory; --workdir and --seed are appended.
      judge: Returns the value of a trial that has ended, or None without one;
        smaller is better.
      slots: The environment variables of each concurrent run.
    """
    self.trials: list[Trial] = []
    self._search = search
    self._folder = folder
    self._seeds = seeds
    self._command = command
    self._judge = judge
    self._free = deque(slots)
    # With concurrent runs, a proposal depends on fewer results, but always on
    # the same ones, however long each run takes.
    self._lag = -(-(len(slots) - 1) // seeds)
    self._num_told = 0
    self._running: list[_Run] = []

  def run(self) -> int:
    """Trains; returns the number of the signal that ended it, or 0."""
    signals, told, is_done = supervising.Signals(), 0, False
    missing = self._missing()
    with interruption.handling(signals.hear), contextlib.ExitStack() as stack:
      stack.callback(self._kill)
      while self._running or not (is_done or told):
        if signals.kills:
          break
        if signals.number and not told:
          told = signals.number
          for each in self._running:
            each.workers.send(told)
        for each in [each for each in self._running if each.has_ended()]:
          self._take(each, is_leaving=bool(told))
        while self._free and not (is_done or told):
          following = next(missing, 'none')
          is_done = following == 'none'
          if not isinstance(following, tuple):
            break
          self._start(*following)
        time.sleep(_POLL_SECS)
    return signals.number

  def _missing(self) -> Iterator[tuple[Trial, int] | None]:
    """Yields the runs to start, and None while waiting for results."""
    for number in range(self._search.num_trials):
      if self._search.learns:
        yield from self._tell(number - self._lag)
      trial = Trial(
          number,
          self._search.ask(number),
          workdirs(self._folder, number, self._seeds),
      )
      self.trials.append(trial)
      for seed, path in enumerate(trial.workdirs):
        if result := workdir_lib.Workdir(str(path)).read_result():
          trial.results[seed] = result
      for seed in range(self._seeds):
        if seed not in trial.results:
          yield trial, seed
    yield from self._tell(self._search.num_trials)

  def _tell(self, until: int) -> Iterator[None]:
    """Reports results to the search in the order of trials, and awaits them."""
    while self._num_told < until:
      trial = self.trials[self._num_told]
      while not trial.has_ended:
        yield None
      self._search.tell(trial.number, self._judge(trial))
      self._num_told += 1

  def _start(self, trial: Trial, seed: int) -> None:
    """Starts a run."""
    path = trial.workdirs[seed]
    path.mkdir(parents=True, exist_ok=True)
    command = [*self._command(trial.values, path), f'--workdir={path}']
    command.append(f'--seed={seed}')
    json_files.replace(path / 'command', shlex.join(command) + '\n')
    own = self._free.popleft()
    self._running.append(_Run(trial, seed, command, own))

  def _take(self, run: _Run, is_leaving: bool) -> None:
    """Records the end of a run."""
    self._running.remove(run)
    self._free.append(run.own)
    trial = run.trial
    code, text = run.end()
    if result := workdir_lib.Workdir(str(run.path)).read_result():
      trial.results[run.seed] = result
      stopped = result.get('stopped')
      why = f'; {stopped["hook"]} ended it' if stopped else ''
      name = f'validation_{result["monitor"]}'
      text = f'{name} {result.get(name, math.nan):.4f}{why}'
      self._judge(trial)  # Raises early if nothing was validated.
    elif is_leaving and code >= 128:
      return
    else:
      trial.failures[run.seed] = text
    programs.note(f'trial {trial.number}, seed {run.seed}: {text}')

  def _kill(self) -> None:
    for each in self._running:
      each.workers.kill()


class _Run:
  """A run in progress."""

  def __init__(
      self,
      trial: Trial,
      seed: int,
      command: Sequence[str],
      own: Mapping[str, str],
  ):
    """Starts the run, whose output goes to `output.txt` in its directory."""
    self.trial, self.seed, self.own = trial, seed, own
    self.path = trial.workdirs[seed]
    self._file = open(self.path / 'output.txt', 'a')  # noqa: SIM115
    self._errors = _Errors(self._file)
    self.workers = processes.Workers(
        command,
        [{**os.environ, **own}],
        first=trial.number,
        targets=(self._file, self._errors),
        dies_by=signal.SIGKILL,  # It must not outlive this sweep.
    )

  def has_ended(self) -> bool:
    return self.workers.codes() != [None]

  def end(self) -> tuple[int, str]:
    """Returns the exit code, and the text of an error."""
    [code] = self.workers.codes()
    self.workers.kill()  # Waits for the rest of its output.
    self._file.close()
    assert code is not None
    return code, self._errors.last or f'ended with exit code {code}'


class _Errors:
  """Writes lines to a file, and keeps the last one without its prefix."""

  def __init__(self, file: IO[str]):
    self._file = file
    self.last = ''

  def write(self, text: str) -> None:
    self._file.write(text)
    self.last = _IN_FRONT.sub('', text).strip() or self.last

  def flush(self) -> None:
    self._file.flush()
