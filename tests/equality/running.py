"""Runs of `launch.train`, each made once and kept until the code changes."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures

from tests.equality import cases
from tests.faults import processes, references

_DONE = 'made_by.json'
# Longer than a run takes where many are made at a time.
_HANG_SECS = 1200.0


class BrokenError(Exception):
  """A run does not end with exit code 0."""


def make(
    functions: Sequence[Callable[[], pathlib.Path]], num_parallel: int
) -> None:
  """Makes runs that do not depend on each other.

  Args:
    functions: Functions that make a run each.
    num_parallel: How many are made at a time.

  Raises:
    BrokenError: If a run does not end well.
  """
  pool = futures.ThreadPoolExecutor(num_parallel)
  try:
    for each in [pool.submit(function) for function in functions]:
      each.result()
  except BaseException:
    pool.shutdown(wait=False, cancel_futures=True)
    processes.end_all()
    raise
  pool.shutdown()


class Runs:
  """The runs of a case."""

  def __init__(self, folder: pathlib.Path, case: cases.Case):
    """Names the folder that they are kept in.

    Args:
      folder: The work directory of the program.
      case: The case.

    """
    self._data = references.References(folder / 'references').data
    self._case = case
    self._folder = folder / case.name
    self._folder.mkdir(parents=True, exist_ok=True)

  def whole(self, shape: cases.Shape) -> pathlib.Path:
    """Returns the work directory of a run to the end."""
    return self._made(shape.name, shape, cases.NUM_STEPS)

  def variant(self, name: str) -> pathlib.Path:
    """Returns that of one on one replica with the flags of a variant."""
    return self._made(
        f'1x1, {name}',
        cases.ONE,
        cases.NUM_STEPS,
        changes=self._case.variants[name],
    )

  def half(self, shape: cases.Shape) -> pathlib.Path:
    """Returns that of a run of half the steps."""
    return self._made(f'half of {shape.name}', shape, cases.HALF)

  def continued(self, first: cases.Shape, then: cases.Shape) -> pathlib.Path:
    """Returns that of a run that goes on, half-way, on another shape."""
    return self._made(
        f'{first.name} to {then.name}',
        then,
        cases.NUM_STEPS,
        begin=self.half(first),
    )

  def _made(
      self,
      name: str,
      shape: cases.Shape,
      num_steps: int,
      *,
      changes: Mapping[str, str] | None = None,
      begin: pathlib.Path | None = None,
  ) -> pathlib.Path:
    folder = self._folder / name
    run, done = folder / 'run', folder / _DONE
    given = [
        (flag, value)
        for flag, value in self._case.flags
        if flag not in (changes or {})
    ]
    flags = [
        *given,
        *(changes or {}).items(),
        *shape.flags.items(),
        ('num_steps', str(num_steps)),
        ('workdir', run),
        ('data_dir', self._data),
    ]
    # What made it: of other code, or with other flags, it is made again.
    made_by = json.dumps([processes.code(), *map(str, flags)])
    if done.exists() and done.read_text() == made_by:
      return run
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if begin:
      shutil.copytree(begin, run)
    group = processes.Group(
        ['launch.train', *(f'--{flag}={value}' for flag, value in flags)],
        {},
        folder / 'log',
        shape.num_workers,
        forks=True,
    )
    if not group.wait(_HANG_SECS) or any(group.codes):
      raise BrokenError(
          f'{self._case.name}, {name}: exit codes {group.codes}: '
          f'{group.processes[0].err()[-2000:]}'
      )
    done.write_text(made_by)
    return run
