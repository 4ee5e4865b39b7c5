"""Unbroken runs, which hurt ones are compared with: one for each case.

Each is made when it is first asked for and kept in the work directory, until
the code of the programs changes.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import signal
import time

from tests.faults import cases, comparing, moments, processes, watching

PROGRAMS = ('train', 'evaluate', 'predict', 'export')
# What of a place is not a program's own.
SKIP = ('logs', 'disk')
DONE = 'rhythm.json'
_HALF_CHECKPOINTS = 2


class BrokenError(Exception):
  """A program does not even end well when nothing is done to it."""


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a program of a case runs.

  Attributes:
    folder: It contains everything that the program writes.
    case: The case.
  """

  folder: pathlib.Path
  case: cases.Case

  @property
  def run(self) -> pathlib.Path:
    """The work directory."""
    return self.folder / 'run'

  def make(self, *others: pathlib.Path) -> None:
    """Makes it anew, with copies of what is in other places."""
    shutil.rmtree(self.folder, ignore_errors=True)
    for name in ('data', 'cache', 'tmp', 'out', *SKIP):
      (self.folder / name).mkdir(parents=True, exist_ok=True)
    for other in others:
      shutil.copytree(
          other, self.folder / other.name, symlinks=True, dirs_exist_ok=True
      )

  def start(
      self,
      program: str,
      log: str,
      environment: dict[str, str] | None = None,
      run: pathlib.Path | None = None,
      *,
      forks: bool = True,
  ) -> processes.Group:
    """Starts a program of the case.

    Args:
      program: Its name.
      log: What its log is called.
      environment: Variables to add.
      run: Another work directory.
      forks: As for `processes.Process`.

    Returns:
      Its processes.
    """
    arguments = [
        f'launch.{program}',
        f'--workdir={run or self.run}',
        f'--data_dir={self.folder}/data',
    ]
    if program in ('train', 'evaluate'):
      arguments.append(f'--compilation_cache_dir={self.folder}/cache')
    if program == 'train':
      arguments += [f'--{n}={value}' for n, value in self.case.flags.items()]
    if program == 'predict':
      arguments.append(f'--output={self.folder}/out/predictions.jsonl')
    return processes.Group(
        arguments,
        {'TMPDIR': f'{self.folder}/tmp', **(environment or {})},
        self.folder / 'logs' / log,
        self.case.num_workers if program == 'train' else 1,
        # XLA's cache is named while TensorFlow is imported.
        forks=forks and not self.case.compiles,
    )


@dataclasses.dataclass(frozen=True)
class Reference:
  """An unbroken program.

  Attributes:
    place: Where it ran, with all that it wrote.
    rhythm: How it went.
    usual: The patterns of what there is before and after it.
  """

  place: Place
  rhythm: moments.Rhythm
  usual: frozenset[str]


class References:
  """Makes and keeps them."""

  def __init__(self, folder: pathlib.Path):
    """Names the folder that they are kept in."""
    self._folder = folder
    self._known: dict[tuple[str, str], Reference] = {}

  @property
  def data(self) -> pathlib.Path:
    """The sets of TFDS, as they are before any program has read them."""
    folder = self._folder / 'data'
    if not folder.exists():
      unfinished = self._folder / 'data.tmp'
      shutil.rmtree(unfinished, ignore_errors=True)
      unfinished.mkdir(parents=True)
      process = processes.Process(
          ['tests.faults.cases', str(unfinished)], {}, self._folder / 'data_log'
      )
      process.wait(processes.HANG_SECS)
      if process.code != 0:
        raise BrokenError(f'no data: {process.err()[-2000:]}')
      unfinished.rename(folder)
    return folder

  def of(self, case: cases.Case, program: str = 'train') -> Reference:
    """Returns the unbroken program of a case.

    Raises:
      BrokenError: If it does not end with exit code 0.
    """
    key = case.name, program
    if key not in self._known:
      self._known[key] = self._made(case, program)
    return self._known[key]

  def half(self, case: cases.Case) -> pathlib.Path:
    """Returns a run that was interrupted after some checkpoints.

    Raises:
      BrokenError: If that is not what SIGTERM makes of it.
    """
    place = Place(self._folder / case.name / 'half', case)
    done = place.folder / DONE
    if not _is_of_this_code(done):
      place.make(self.data)
      group = place.start('train', 'half')
      watch = watching.Watch(place.folder, group, SKIP)
      watch.until(lambda seen: _num_checkpoints(seen.files) > _HALF_CHECKPOINTS)
      group.send(signal.SIGTERM)
      if not group.wait() or _num_checkpoints(watching.look(place.folder)) < 2:
        raise BrokenError(f'{case.name}, half: {group.processes[0].err()}')
      # Where it ended before the signal came, it is taken back a little.
      (place.run / 'result.json').unlink(missing_ok=True)
      done.write_text(json.dumps({'code': code()}))
    return place.run

  def _made(self, case: cases.Case, program: str) -> Reference:
    place = Place(self._folder / case.name / program, case)
    done = place.folder / DONE
    others = [self.data]
    if program != 'train':
      others = [self.of(case).place.run, self.of(case).place.folder / 'data']
    if not _is_of_this_code(done):
      place.make(*others)
      group = place.start(program, program)
      watch = watching.Watch(place.folder, group, SKIP)
      events = []

      def note(seen: watching.Watch) -> bool:
        if seen.count > len(events):
          events.append(time.monotonic() - group.started)
        return False

      watch.until(note)
      if not group.wait() or any(group.codes):
        raise BrokenError(
            f'{case.name}, {program}: exit codes {group.codes}: '
            f'{group.processes[0].err()[-2000:]}'
        )
      done.write_text(
          json.dumps({
              'code': code(),
              'seconds': time.monotonic() - group.started,
              'events': events,
          })
      )
    values = json.loads(done.read_text())
    return Reference(
        place,
        moments.Rhythm(values['seconds'], tuple(values['events'])),
        frozenset(
            map(
                watching.pattern,
                (
                    *watching.look(place.folder, SKIP),
                    *(
                        f'{other.name}/{path}'
                        for other in others
                        for path in watching.look(other)
                    ),
                    'run/',
                    'run/lock',
                ),
            )
        ),
    )

  def last_checkpoint(self, case: cases.Case) -> str:
    """Returns the name of the checkpoint that an unbroken run ends with."""
    found = comparing.newest(self.of(case).place.run / 'checkpoints')
    return next(iter(found)).partition('.')[0]


def code() -> str:
  """Returns a hash of the code of the programs, and of the cases."""
  return processes.code(cases.__file__)


def _is_of_this_code(done: pathlib.Path) -> bool:
  try:
    return json.loads(done.read_text())['code'] == code()
  except (OSError, ValueError, KeyError):
    return False


def _num_checkpoints(files: watching.Files) -> int:
  return sum(
      path.startswith('run/checkpoints/ckpt-') and path.endswith('.index')
      for path in files
  )
