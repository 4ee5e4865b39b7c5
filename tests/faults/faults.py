"""What is done to programs."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping

from core import checkpoint_manifests
from launch import interruption
from tests.faults import (
    cases,
    comparing,
    moments,
    processes,
    references,
    trial,
    watching,
)

# As long as TensorFlow takes to miss a worker's heartbeats, and more.
LOST_SECS = 60.0
_CLOCK_SECS = 90.0
_MOST_KILLS = 3
_NUM_RANGES = 16
_PAGE = 4096


@dataclasses.dataclass(frozen=True)
class Fault:
  """A kind of fault.

  Attributes:
    do: Does it to the program of a trial, which may have ended before.
    share: How often, of the sum of all shares.
    allows: Returns whether it is done to a case.
    program: The program that it is done to.
    lacks: Returns what this machine lacks for it, '' for nothing.
  """

  do: Callable[[trial.Trial], None]
  share: int
  allows: Callable[[cases.Case], bool] = lambda case: True
  program: str = 'train'
  lacks: Callable[[], str] = lambda: ''


def _kill(mine: trial.Trial) -> None:
  """Kills a program, of several workers one, up to three times in a row."""
  for _ in range(mine.random.randint(1, _MOST_KILLS)):
    caught = mine.start_until()
    if not caught:
      return
    caught.victim.send(signal.SIGKILL)
    caught.victim.wait(trial.LEAVE_SECS)
    caught.group.send(signal.SIGCONT)
    _lost(mine, caught, {0, 1})
    is_alone = len(caught.group.processes) == 1
    what = 'SIGKILL' if is_alone else 'SIGKILL of one worker'
    mine.note_caught(what, caught, [caught.victim])


def _lost(mine: trial.Trial, caught: trial.Caught, allowed: set[int]) -> None:
  """Waits for the workers that are left to leave, as a launcher would."""
  # Until then, workers may wait for one another.
  is_on_its_way = moments.has_begun(caught.watch.new())
  group = caught.group
  others = [each for each in group.processes if each.code is None]
  end = time.monotonic() + (LOST_SECS if is_on_its_way else 5.0)
  left = [each.wait(end - time.monotonic()) for each in others]
  if all(left):
    if any(each.code not in allowed for each in others):
      mine.problems.append(f'a lost worker: exit codes {group.codes}')
  elif is_on_its_way:
    mine.problems.append(
        f'a lost worker: the others were there {LOST_SECS:g} s later'
    )
  else:
    group.send(signal.SIGTERM)
    if not group.wait(trial.LEAVE_SECS):
      mine.problems.append('a lost worker: the others did not obey SIGTERM')
  group.end()


def _signal(number: signal.Signals, mine: trial.Trial) -> None:
  """Sends one process a signal: all leave, and what was trained is saved."""
  caught = mine.start_until()
  if not caught:
    return
  victim = caught.victim
  caught.group.send(signal.SIGCONT)
  victim.send(number)
  if not victim.wait(trial.LEAVE_SECS):
    mine.problems.append(f'{number.name}: it was there a minute later')
    victim.send(signal.SIGKILL)
  # Before Python has read the program, a signal has its usual effect.
  elif victim.code not in (0, 128 + number, -number):
    mine.problems.append(f'{number.name}: exit code {victim.code}')
  _lost(mine, caught, {0, 1, 128 + number, 128 + signal.SIGTERM})
  mine.note_caught(number.name, caught)


def _stop(mine: trial.Trial) -> None:
  """Stops a process for a while; of several workers, one for long."""
  caught = mine.start_until()
  if not caught:
    return
  group, victim = caught.group, caught.victim
  others = [each for each in group.processes if each is not victim]
  for each in others:
    each.send(signal.SIGCONT)
  if others and moments.has_begun(caught.watch.new()):
    end = caught.since + LOST_SECS
    if not all([each.wait(end - time.monotonic()) for each in others]):
      mine.problems.append(
          f'a stopped worker: the others were there {LOST_SECS:g} s later'
      )
    group.end()
    mine.note_caught('SIGSTOP of one worker', caught, [victim])
    return
  time.sleep(mine.random.uniform(0.2, 3))
  victim.send(signal.SIGCONT)
  _ends_well(mine, group, 'SIGSTOP and SIGCONT')
  mine.note_caught('SIGSTOP, SIGCONT', caught)


def _ends_well(
    mine: trial.Trial, group: processes.Group, what: str, code: int = 0
) -> None:
  """Waits for the end of a program, which a fault is not to change."""
  if not group.wait():
    mine.problems.append(f'{what}: it hung')
  if not set(group.codes) <= {0, code}:
    mine.problems.append(f'{what}: exit codes {group.codes}')


def _fill_disk(mine: trial.Trial) -> None:
  """Has a run write to a disk that is full before its end."""
  disk = mine.place.folder / 'disk'
  files = watching.look(mine.reference.place.run)
  pages = sum(-(-size // _PAGE) for size, _ in files.values())
  size = _PAGE * mine.random.randint(3, pages)
  _call('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(disk))
  try:
    mine.run = disk / 'run'
    group, _ = mine.start()
    _ends_well(mine, group, 'a full disk', 1)
    names = [name.rpartition('/')[2] for name in watching.look(mine.run)]
    is_training = any(name.startswith('ckpt-') for name in names)
    phase = 'training' if is_training else 'before the first checkpoint'
    mine.note('disk full', phase, group)
    _call('mount', '-o', f'remount,size={1 << 28}', str(disk))
    mine.finish()
    shutil.copytree(mine.run, mine.place.run, dirs_exist_ok=True)
  finally:
    mine.run = mine.place.run
    _call('umount', '-l', str(disk))


def _set_clock_back(mine: trial.Trial) -> None:
  """Sets the clock back in a run, or between two starts of one."""
  clock = mine.place.folder / 'logs' / 'clock'
  clock.write_text('+0')
  environment = {
      'LD_PRELOAD': _faketime(),
      'FAKETIME_TIMESTAMP_FILE': str(clock),
      'FAKETIME_NO_CACHE': '1',
      'FAKETIME_DONT_FAKE_MONOTONIC': '1',
      'NO_FAKE_STAT': '1',
  }
  caught = mine.start_until(environment)
  if not caught:
    return
  back = mine.random.choice(('-1h', '-2d', '-4y'))
  unfinished = clock.with_suffix('.tmp')
  unfinished.write_text(back)
  unfinished.replace(clock)
  caught.group.send(signal.SIGCONT)
  what = 'clock set back'
  if mine.random.random() < 0.5:
    caught.group.send(signal.SIGTERM)
    caught.group.wait()
    caught = caught._replace(group=mine.start(environment, forks=False)[0])
    what = 'clock set back between two starts'
  if mine.place.case.feature == 'streaming':
    # Killed after a time: TensorFlow tunes datasets in threads that sleep until
    # the time is what it was, and the end of a dataset waits for them.
    caught.group.wait(_CLOCK_SECS)
  else:
    _ends_well(mine, caught.group, what)
  mine.note_caught(what, caught)


def _damage(mine: trial.Trial) -> None:
  """Damages a file of the newest checkpoint, each range of bytes in turn."""
  shutil.copytree(mine.kept.half(mine.place.case), mine.run)
  found = comparing.newest(mine.run / 'checkpoints')
  path = found[mine.random.choice(sorted(found))]
  content = bytearray(path.read_bytes())
  kind = mine.random.choice(('bit', 'bit', 'bit', 'bit', 'bit', 'cut', 'gone'))
  at = mine.random.randrange(max(1, len(content)))
  if kind == 'gone':
    path.unlink()
    if path.name.endswith(checkpoint_manifests.SUFFIX):
      mine.removed.add(path.name)  # Of a run at its end, it stays away.
    what = 'a file of the newest checkpoint removed'
  elif kind == 'cut':
    path.write_bytes(content[:at])
    what = 'a file of the newest checkpoint cut off'
  else:
    content[at] ^= 1 << mine.random.randrange(8)
    path.write_bytes(content)
    what = 'a bit of the newest checkpoint flipped'
  group, _ = mine.start()
  _ends_well(mine, group, what)
  part = at * _NUM_RANGES // max(1, len(content))
  suffix = path.suffix.partition('-')[0]
  phase = f'{suffix}, {part + 1} of {_NUM_RANGES} ranges'
  mine.note(what, phase, group)
  said = [
      line
      for line in group.processes[0].out().splitlines()
      if 'kept aside' in line
  ]
  mine.hurts[-1].saw = mine.hurts[-1].saw or trial.general(' '.join(said))


def _start_twice(mine: trial.Trial) -> None:
  """Starts a run twice at once: one is refused, the other goes on."""
  first, watch = mine.start()
  time.sleep(mine.random.choice((0, 0, mine.random.uniform(0, 0.5))))
  if mine.random.random() < 0.5:
    mine.wait(mine.draw(), first, watch)
    first.send(signal.SIGCONT)
  second, _ = mine.start()
  ended = [first.wait(), second.wait()]
  codes = [*first.codes, *second.codes]
  if not all(ended):
    mine.problems.append('two starts: one hung')
  if 0 not in codes or not set(codes) <= {0, 2}:
    mine.problems.append(f'two starts: exit codes {codes}')
  loser = first if first.codes == [2] else second
  mine.note('two starts at once', '', loser)


def _call(*command: str) -> None:
  subprocess.run(command, check=True, capture_output=True)


@functools.cache
def _lacks_tmpfs() -> str:
  """Returns why no small disk can be made here."""
  if os.geteuid():
    return 'only root can mount a small tmpfs'
  folder = tempfile.mkdtemp()
  try:
    _call('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder)
    _call('umount', folder)
  except (OSError, subprocess.CalledProcessError) as error:
    return f'no tmpfs can be mounted ({error})'
  finally:
    pathlib.Path(folder).rmdir()
  return ''


@functools.cache
def _faketime() -> str:
  """Returns the library that fakes the clock; '' if there is none."""
  if not shutil.which('faketime'):
    return ''
  done = subprocess.run(
      ['faketime', '-f', '+0', 'printenv', 'LD_PRELOAD'],
      capture_output=True,
      text=True,
  )
  return done.stdout.strip()


def _is_alone(case: cases.Case) -> bool:
  return case.num_workers == 1


def _has_targets(case: cases.Case) -> bool:
  return case.feature in ('plain', 'averages')


FAULTS: Mapping[str, Fault] = {
    'kill': Fault(_kill, 24),
    **{
        number.name.lower(): Fault(functools.partial(_signal, number), 2)
        for number in interruption.SIGNALS
    },
    'stop': Fault(_stop, 2),
    'disk': Fault(_fill_disk, 3, _is_alone, lacks=_lacks_tmpfs),
    'clock': Fault(
        _set_clock_back,
        2,
        _is_alone,
        lacks=lambda: '' if _faketime() else 'there is no faketime',
    ),
    'damage': Fault(_damage, 6, _is_alone),
    'twice': Fault(_start_twice, 2, _is_alone),
    **{
        f'kill_{program}': Fault(_kill, 2, _has_targets, program)
        for program in references.PROGRAMS[1:]
    },
}


def do(
    fault: Fault, number: int, plan: str, mine: trial.Trial
) -> trial.Outcome:
  """Does a fault, has the program end well, and compares.

  Args:
    fault: The fault.
    number: The number of the trial.
    plan: Of which plan.
    mine: The trial.

  Returns:
    What it came to.
  """
  started = time.monotonic()
  try:
    fault.do(mine)
    if mine.program != 'train' and mine.hurts:  # Whole, or absent.
      found = mine.compare()
      mine.problems += [f'half of it: {where}' for where in found.where]
    mine.finish()
  finally:
    clean(mine.place.folder)
  found = mine.compare()
  mine.problems += found.where
  mine.check_left()
  return trial.Outcome(
      number,
      plan,
      mine.place.case.name,
      mine.hurts,
      found.bits,
      mine.problems,
      round(time.monotonic() - started, 1),
      references.code(),
  )


def clean(folder: pathlib.Path) -> None:
  """Unmounts what a trial that was killed has left mounted."""
  if os.path.ismount(folder / 'disk'):
    _call('umount', '-l', str(folder / 'disk'))
