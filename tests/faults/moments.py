"""When something is done to a program: by its clock, or by its files."""

from __future__ import annotations

import dataclasses
import random
import re
import time
from collections.abc import Collection, Mapping

from tests.faults import watching

# Files that are there for a moment only, by program: what comes shortly before
# them, they themselves, and how often they come at least.
_NAMES: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    'train': (
        (r'checkpoints/unfinished', r'checkpoints/unfinished', 4),
        (r'checkpoints/unfinished', r'checkpoints/checkpoint\.tmp', 4),
        (r'best/unfinished', r'best/', 1),
        (r'run/lock', r'config\.json\.tmp', 1),
        (r'run/report/', r'run/report/', 1),
    ),
    'evaluate': ((r'run/evaluation', r'run/evaluation', 1),),
    'predict': ((r'out/', r'out/', 1),),
    'export': (
        (r'exports/', r'exports/', 1),
        (r'exports/', r'exports/[^/]*/[^/]*/.*variables', 1),
    ),
}
_MOST_STEPS = 60


@dataclasses.dataclass(frozen=True)
class Rhythm:
  """How an unbroken program went.

  Attributes:
    seconds: How long it took.
    events: When its files changed, in seconds since its start.
  """

  seconds: float
  events: tuple[float, ...]

  def after(self, number: int) -> Rhythm:
    """Returns how it goes where as many events need not come again."""
    if not self.events:
      return self
    number = min(number, len(self.events) - 1)
    gone = self.events[number] - self.events[0]
    return Rhythm(
        self.seconds - gone,
        tuple(event - gone for event in self.events[number:]),
    )


@dataclasses.dataclass(frozen=True)
class Moment:
  """A moment of a program.

  Attributes:
    kind: `time`, since the start; `event`, at one of its files and the time
      after it; `name`, while a file is there that soon goes or gets its name.
    at: Where in its life, from 0 to 1.
    within: Where in the time that it has, from 0 to 1.
    name: Which of the names.
  """

  kind: str
  at: float
  within: float
  name: int

  @classmethod
  def draw(cls, generator: random.Random, program: str) -> Moment:
    """Draws one; most of a program's time goes into its imports."""
    return cls(
        generator.choices(('time', 'event', 'name'), (1, 3, 3))[0],
        generator.random(),
        generator.random(),
        generator.randrange(len(_NAMES[program])),
    )

  def wait(
      self, watch: watching.Watch, program: str, rhythm: Rhythm, start: float
  ) -> bool:
    """Waits for it; the program may be stopped then.

    Args:
      watch: Looks at the program's files.
      program: Its name.
      rhythm: How it goes if nothing is done to it.
      start: When it was started, by the monotonic clock.

    Returns:
      Whether the program was on.
    """
    if self.kind == 'time':
      end = start + self.at * rhythm.seconds
      return watch.until(lambda _: time.monotonic() >= end)
    if self.kind == 'event':
      times = (0.0, *rhythm.events)
      number = int(self.at * len(times))
      if not watch.until(lambda seen: seen.count >= number):
        return False
      until = (*times, rhythm.seconds)[number + 1]
      end = time.monotonic() + self.within * (until - times[number])
      return watch.until(lambda _: time.monotonic() >= end)
    *names, often = _NAMES[program][self.name]
    before, itself = map(re.compile, names)
    for _ in range(int(self.at * often)):
      # The one after it, if there is another.
      if not watch.until(lambda seen: _has(before, seen.new())):
        return False
      if not watch.until(lambda seen: not _has(before, seen.new())):
        return False
    if not watch.until(lambda seen: _has(before, seen.new())):
      return False
    left = int(self.within * _MOST_STEPS)

    def reached(seen: watching.Watch) -> bool:
      nonlocal left
      left -= _has(itself, seen.new())
      return left < 0

    watch.step(reached)
    return True


def _has(wanted: re.Pattern[str], files: watching.Files) -> bool:
  return any(map(wanted.search, files))


def has_begun(new: watching.Files) -> bool:
  """Returns whether a run has written anything since it was started."""
  return any(path.startswith('run/') and path != 'run/lock' for path in new)


def phase(
    program: str,
    files: watching.Files,
    new: watching.Files,
    usual: Collection[str],
    last: str,
) -> str:
  """Says what a program was at, by its files.

  Args:
    program: Its name.
    files: What there is.
    new: What of it has changed since it was started.
    usual: The patterns of what there is before and after an unbroken one.
    last: The name of the last checkpoint.

  Returns:
    The phase.
  """
  unusual = [path for path in new if watching.pattern(path) not in usual]
  unusual = [path for path in unusual if not path.startswith('tmp/')]
  if program != 'train':
    return f'{program}, its target half-written' if unusual else program
  if any('checkpoint.tmp' in path for path in unusual):
    return 'the list half-written'
  if any(path.startswith('run/checkpoints/') for path in unusual):
    return 'a checkpoint half-written'
  if any(path.startswith('data/') for path in unusual):
    return 'preparing the data'
  if [path for path in unusual if not path.startswith('cache/')]:
    return 'another file half-written'
  if 'run/config.json' not in files:
    return 'starting, preparing'
  if not has_begun(new):
    return 'starting again'
  if 'run/result.json' in files:
    return 'its end'
  if 'run/report/' in files:
    return 'the report'
  if f'run/checkpoints/{last}.index' in files:
    return 'the final test'
  if not any(path.startswith('run/checkpoints/ckpt-') for path in files):
    return 'before the first checkpoint'
  return 'training'
