"""One trial: a program is hurt, started again to its end, and compared."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import re
import signal
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.faults import (
    cases,
    comparing,
    moments,
    processes,
    references,
    watching,
)

# How long a program may take to leave when asked, on a busy machine.
LEAVE_SECS = 60.0
_MOST_STARTS = 5
_SUMMARIES = 'run/summaries/'
# What was kept aside; and a kilobyte of TensorFlow's own for each function that
# it has rewritten, which it removes at its end.
_ALLOWED = ('damaged-', 'tmp/__autograph_generated_file')


@dataclasses.dataclass
class Hurt:
  """What was done to a program once, and what came of it.

  Attributes:
    fault: What was done.
    phase: What the program was at.
    codes: The exit codes; below 0 if a signal ended a process.
    saw: The last line that a user saw.
    seconds: How long it took from then until all of it had ended.
  """

  fault: str
  phase: str
  codes: list[int | None]
  saw: str
  seconds: float


@dataclasses.dataclass
class Outcome:
  """What a trial came to.

  Attributes:
    number: Its number.
    plan: What else decides what it does: the seed, and of what is chosen.
    case: The case.
    hurts: What was done.
    bits: The bits that were lost.
    problems: What a user would complain of.
    seconds: How long it took.
    code: A hash of the code of the programs.
  """

  number: int
  plan: str
  case: str
  hurts: list[Hurt]
  bits: int
  problems: list[str]
  seconds: float
  code: str

  def to_json(self) -> dict[str, Any]:
    """Returns it as JSON has it."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, values: dict[str, Any]) -> Outcome:
    """Undoes `to_json`."""
    hurts = [Hurt(**each) for each in values['hurts']]
    return cls(**{**values, 'hurts': hurts})


class Caught(NamedTuple):
  """A program that was stopped at a moment.

  Attributes:
    group: Its processes, all of them stopped.
    watch: Who watches them.
    victim: The one of them that something is done to.
    phase: What the program is at.
    since: When it was stopped, by the monotonic clock.
  """

  group: processes.Group
  watch: watching.Watch
  victim: processes.Process
  phase: str
  since: float


class Trial:
  """A program of a case, to which a fault is done.

  Attributes:
    place: Where it runs.
    program: Its name.
    random: Draws what is left to chance.
    kept: The unbroken runs.
    reference: The unbroken program.
    run: The work directory.
    hurts: What was done to it so far.
    problems: What a user would complain of.
  """

  def __init__(
      self,
      folder: pathlib.Path,
      case: cases.Case,
      program: str,
      generator: random.Random,
      kept: references.References,
  ):
    """Makes the place."""
    self.program, self.random, self.kept = program, generator, kept
    self.place = references.Place(folder, case)
    self.reference = kept.of(case, program)
    self.hurts: list[Hurt] = []
    self.problems: list[str] = []
    self.removed: set[str] = set()  # Names of files that need not come back.
    self._num_starts = 0
    self._num_events = 0
    mine = self.reference.place.folder
    if program == 'train':
      others = [kept.data]
    else:
      others = [kept.of(case).place.run, kept.of(case).place.folder / 'data']
    if not case.compiles:  # What was compiled before is a second start's.
      others.append(mine / 'cache')
    self.place.make(*others)
    self.run = self.place.run

  def start(
      self,
      environment: dict[str, str] | None = None,
      *,
      forks: bool = True,
  ) -> tuple[processes.Group, watching.Watch]:
    """Starts the program, and begins to watch it; see `Place.start`."""
    log = f'{self.program}_{self._num_starts}'
    self._num_starts += 1
    group = self.place.start(
        self.program, log, environment, self.run, forks=forks
    )
    return group, watching.Watch(self.place.folder, group, references.SKIP)

  def start_until(
      self, environment: dict[str, str] | None = None
  ) -> Caught | None:
    """Starts the program, and stops it at a moment that is drawn.

    Args:
      environment: Variables to add.

    Returns:
      What was caught; None if the program had ended by then.
    """
    moment = self.draw()
    # By the clock alone, its imports are hit as well.
    forks = not environment and moment.kind != 'time'
    group, watch = self.start(environment, forks=forks)
    if not self.wait(moment, group, watch):
      group.wait()
      return None
    group.send(signal.SIGSTOP)
    watch.look()
    phase = moments.phase(
        self.program,
        watch.files,
        watch.new(),
        self.reference.usual,
        self.kept.last_checkpoint(self.place.case),
    )
    victim = self.random.choice(group.processes)
    return Caught(group, watch, victim, phase, time.monotonic())

  def draw(self) -> moments.Moment:
    """Draws a moment."""
    return moments.Moment.draw(self.random, self.program)

  def wait(
      self,
      moment: moments.Moment,
      group: processes.Group,
      watch: watching.Watch,
  ) -> bool:
    """Waits for a moment.

    Args:
      moment: The moment.
      group: The processes.
      watch: Who watches them.

    Returns:
      Whether the program was on then; it may be stopped. One that was not goes
      on.
    """
    was_on = moment.wait(
        watch,
        self.program,
        self.reference.rhythm.after(self._num_events),
        group.started,
    )
    self._num_events += watch.count
    if was_on and group.is_on:
      return True
    group.send(signal.SIGCONT)
    return False

  def note_caught(
      self,
      fault: str,
      caught: Caught,
      victims: Sequence[processes.Process] = (),
  ) -> None:
    """Takes note of what was done to a program that was caught; see `note`."""
    self.note(
        fault, caught.phase, caught.group, since=caught.since, victims=victims
    )

  def note(
      self,
      fault: str,
      phase: str,
      group: processes.Group,
      *,
      since: float | None = None,
      victims: Sequence[processes.Process] = (),
  ) -> None:
    """Takes note of what was done to a program that has ended.

    Args:
      fault: What was done.
      phase: What it was at.
      group: Its processes.
      since: When it was done, by the monotonic clock. Default: at its start.
      victims: Those that could not say anything.
    """
    seconds = time.monotonic() - (group.started if since is None else since)
    told = [each for each in group.processes if each not in victims]
    for process in group.processes:
      if 'Traceback' in process.err():
        self.problems.append(f'{fault}: {process.err()[-3000:]}')
    self.hurts.append(
        Hurt(
            fault,
            phase,
            group.codes,
            next(filter(None, map(last_line, told)), ''),
            round(seconds, 2),
        )
    )

  def finish(self) -> None:
    """Starts the program again until it has ended well."""
    for _ in range(_MOST_STARTS):
      group, _ = self.start()
      if not group.wait():
        self.problems.append('it hung when it was started again')
        return
      if not any(group.codes):
        self._say_how(group)
        return
      saw = [each.err()[-2000:] for each in group.processes]
      self.problems.append(f'started again: exit codes {group.codes}: {saw}')
      if 2 in group.codes:
        return

  def compare(self) -> comparing.Differences:
    """Compares what there is with what an unbroken program makes."""
    unbroken = self.reference.place
    if self.program == 'train':
      return comparing.runs(unbroken.run, self.run, self.removed)
    return comparing.targets(self.program, unbroken.folder, self.place.folder)

  def check_left(self) -> None:
    """Compares the files left with those of an unbroken program."""
    mine, usual = (
        {
            path
            for path in map(
                watching.pattern,
                watching.look(folder, (*references.SKIP, 'cache')),
            )
            if not path.startswith(_SUMMARIES)
            and not any(part in path for part in _ALLOWED)
        }
        for folder in (self.place.folder, self.reference.place.folder)
    )
    usual -= {references.DONE}
    if left := sorted(mine - usual):
      self.problems.append(f'left behind: {", ".join(left)}')
    if missing := sorted(usual - mine):
      self.problems.append(f'missing: {", ".join(missing)}')

  def _say_how(self, group: processes.Group) -> None:
    """Where nothing was said at the end, what the next start says counts."""
    start = r'^(resumed from|no checkpoint was|The run in).*'
    found = re.search(start, group.processes[0].out(), re.MULTILINE)
    for hurt in self.hurts:
      hurt.saw = hurt.saw or (general(found[0]) if found else '')


def last_line(process: processes.Process) -> str:
  """Returns the last line on stderr, without what differs from run to run."""
  lines = [
      line
      for line in process.err().splitlines()
      if not re.match(r'^[IWEF]\d{4} |^WARNING: All log', line)
  ]
  return general(lines[-1]) if lines else ''


def general(line: str) -> str:
  """Returns a line without paths and numbers."""
  line = re.sub(r'(/[\w.~+-]+)+/?', 'PATH', line)
  return re.sub(r'\d+', 'N', line)[:300]
