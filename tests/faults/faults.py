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
_MOST_KILLS = 3
_NUM_RANGES = 16
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
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
    begun = mine.start_until(stays_stopped=True)
    if not begun:
      return
    group, watch = begun
    victim = mine.random.choice(group.processes)
    group.send(signal.SIGSTOP)
    watch.look()
    phase, since = mine.phase(watch), time.monotonic()
    victim.send(signal.SIGKILL)
    victim.wait(trial.LEAVE_SECS)
    group.send(signal.SIGCONT)
    _lost(mine, group, watch, {0, 1})
    what = 'SIGKILL' if len(group.codes) == 1 else 'SIGKILL of one worker'
    mine.note(what, phase, group, since, [victim])


def _lost(
    mine: trial.Trial,
    group: processes.Group,
    watch: watching.Watch,
    allowed: set[int],
) -> None:
  """Waits for the workers that are left to leave, as a launcher would."""
  # Until then, workers may wait for one another.
  is_on_its_way = moments.has_begun(watch.new())
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
  begun = mine.start_until()
  if not begun:
    return
  group, watch = begun
  victim = mine.random.choice(group.processes)
  group.send(signal.SIGSTOP)
  watch.look()
  phase, since = mine.phase(watch), time.monotonic()
  group.send(signal.SIGCONT)
  victim.send(number)
  if not victim.wait(trial.LEAVE_SECS):
    mine.problems.append(f'{number.name}: it was there a minute later')
    victim.send(signal.SIGKILL)
  # Before Python has read the program, a signal has its usual effect.
  elif victim.code not in (0, 128 + number, -number):
    mine.problems.append(f'{number.name}: exit code {victim.code}')
  _lost(mine, group, watch, {0, 1, 128 + number, 128 + signal.SIGTERM})
  mine.note(number.name, phase, group, since)


def _stop(mine: trial.Trial) -> None:
  """Stops a process for a while; of several workers, one for long."""
  begun = mine.start_until()
  if not begun:
    return
  group, watch = begun
  victim = mine.random.choice(group.processes)
  victim.send(signal.SIGSTOP)
  watch.look()
  phase, since = mine.phase(watch), time.monotonic()
  if len(group.processes) > 1 and moments.has_begun(watch.new()):
    others = [each for each in group.processes if each is not victim]
    end = since + LOST_SECS
    if not all([each.wait(end - time.monotonic()) for each in others]):
      mine.problems.append(
          f'a stopped worker: the others were there {LOST_SECS:g} s later'
      )
    group.end()
    mine.note('SIGSTOP of one worker', phase, group, since, [victim])
    return
  time.sleep(mine.random.uniform(0.2, 3))
  victim.send(signal.SIGCONT)
  if not group.wait():
    mine.problems.append('SIGSTOP and SIGCONT: it hung')
  if any(group.codes):
    mine.problems.append(f'SIGSTOP and SIGCONT: exit codes {group.codes}')
  mine.note('SIGSTOP, SIGCONT', phase, group, since)


def _fill_disk(mine: trial.Trial) -> None:
  """Has a run write to a disk that is full before its end."""
  disk = mine.place.folder / 'disk'
  files = watching.look(mine.reference.place.run)
  pages = sum(-(-size // _PAGE) for size, _ in files.values())
  size = _PAGE * mine.random.randint(3, pages)
  _call('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(disk))
  try:
    mine.run = disk / 'run'
    group, watch = mine.start()
    since = time.monotonic()
    if not group.wait():
      mine.problems.append('a full disk: it hung')
    if group.codes not in ([0], [1]):
      mine.problems.append(f'a full disk: exit codes {group.codes}')
    watch.look()
    names = [name.rpartition('/')[2] for name in watching.look(mine.run)]
    is_training = any(name.startswith('ckpt-') for name in names)
    phase = 'training' if is_training else 'before the first checkpoint'
    mine.note('disk full', phase, group, since)
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
  begun = mine.start_until(environment)
  if not begun:
    return
  group, watch = begun
  watch.look()
  phase, since = mine.phase(watch), time.monotonic()
  back = mine.random.choice(('-1h', '-2d', '-4y'))
  unfinished = clock.with_suffix('.tmp')
  unfinished.write_text(back)
  unfinished.replace(clock)
  what = 'clock set back'
  if mine.random.random() < 0.5:
    group.send(signal.SIGTERM)
    group.wait()
    group, _ = mine.start(environment, forks=False)
    what = 'clock set back between two starts'
  if not group.wait():
    mine.problems.append(f'{what}: it hung')
  if any(group.codes):
    mine.problems.append(f'{what}: exit codes {group.codes}')
  mine.note(what, phase, group, since)


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
    what = 'a file of the newest checkpoint removed'
  elif kind == 'cut':
    path.write_bytes(content[:at])
    what = 'a file of the newest checkpoint cut off'
  else:
    content[at] ^= 1 << mine.random.randrange(8)
    path.write_bytes(content)
    what = 'a bit of the newest checkpoint flipped'
  since = time.monotonic()
  group, _ = mine.start()
  if not group.wait():
    mine.problems.append(f'{what}: it hung')
  if any(group.codes):
    mine.problems.append(f'{what}: exit codes {group.codes}')
  part = at * _NUM_RANGES // max(1, len(content))
  suffix = path.suffix.partition('-')[0]
  phase = f'{suffix}, {part + 1} of {_NUM_RANGES} ranges'
  mine.note(what, phase, group, since)
  said = [
      line for line in group.processes[0].out().splitlines()
      if 'kept aside' in line
  ]
  mine.hurts[-1].saw = mine.hurts[-1].saw or trial.general(' '.join(said))


def _start_twice(mine: trial.Trial) -> None:
  """Starts a run twice at once: one is refused, the other goes on."""
  first, watch = mine.start()
  since = time.monotonic()
  time.sleep(mine.random.choice((0, 0, mine.random.uniform(0, 0.5))))
  if mine.random.random() < 0.5:
    mine.wait(mine.draw(), first, watch)
  second, _ = mine.start()
  ended = [first.wait(), second.wait()]
  codes = [*first.codes, *second.codes]
  if not all(ended):
    mine.problems.append('two starts: one hung')
  if 0 not in codes or not set(codes) <= {0, 2}:
    mine.problems.append(f'two starts: exit codes {codes}')
  loser = first if first.codes == [2] else second
  mine.note('two starts at once', '', loser, since)


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
        for number in _SIGNALS
    },
    'stop': Fault(_stop, 2),
    'disk': Fault(_fill_disk, 3, _is_alone, lacks=_lacks_tmpfs),
    'clock': Fault(
        _set_clock_back, 2, _is_alone,
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
