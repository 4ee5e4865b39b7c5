"""Tests whether one recipe is better than another, over several seeds.

  python -m launch.compare --runs='runs/mlp_*' --with='runs/convnet_*'

Each group consists of two or more complete runs that differ only in their seed.
Groups with the same seeds are compared by a paired t test, others by Welch's t
test. The exit code is 0 whatever the outcome.
"""

from __future__ import annotations

import collections
import glob
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from . import diff, programs
from . import workdir as workdir_lib
from .comparing import differences
from .comparing import runs as comparing
from .files import starts
from .hooks import monitor as monitor_lib

_RUNS = flags.DEFINE_list(
    'runs',
    [],
    'Work directories of one recipe: shell patterns, separated by commas.',
)
_WITH = flags.DEFINE_list('with', [], 'Work directories of the other recipe.')
_METRIC = flags.DEFINE_string(
    'metric',
    None,
    'The number in result.json to compare. Default: the monitored metric of '
    'the runs on the test split, if all have one, else in the last validation.',
)
_SPLITS = ('test', 'validation')
_MOST_DIFFERENCES = 12
# Runs of one recipe may differ in these.
_OWN = ('--seed', '--hook_arg')


class _Run(NamedTuple):
  """A complete run."""

  workdir: workdir_lib.Workdir
  start: starts.Start
  result: dict[str, Any]


class _Group(NamedTuple):
  """The runs of a recipe, sorted by seed, and the name of the group."""

  name: str
  runs: list[_Run]


def main() -> int:
  """Runs the program; returns its exit code."""
  groups = [_group(flag.name, flag.value) for flag in (_RUNS, _WITH)]
  runs = [*groups[0].runs, *groups[1].runs]
  for path, times in collections.Counter(
      str(run.workdir.path) for run in runs
  ).items():
    if times > 1:
      raise programs.UserError(f'{path} is in both groups.')
  metric, direction = _metric([run.result for run in runs])
  programs.import_tensorflow()
  _check_alike(runs, metric)
  for line in _differences(groups):
    print(line)
  for line in _verdict(groups, metric, direction):
    print(line)
  return 0


def _group(flag: str, patterns: Sequence[str]) -> _Group:
  """Reads the runs of a group."""
  if not patterns:
    raise programs.UserError(
        f'--{flag} is missing: name the runs of both recipes, as in '
        "--runs='runs/mlp_*' --with='runs/convnet_*'."
    )
  found: dict[str, None] = {}
  for pattern in patterns:
    matches = sorted(glob.glob(os.path.expanduser(pattern)))
    if not matches:
      raise programs.UserError(f'--{flag}={pattern}: there is no such run.')
    found |= dict.fromkeys(map(os.path.realpath, matches))
  name, runs = ','.join(patterns), []
  for path in found:
    directory = workdir_lib.of_run(path, f'--{flag}=')
    start, result = directory.read_start(), directory.read_result()
    if result is None:
      raise programs.UserError(
          f'{path}: the run is not complete; launch.train continues it.'
      )
    runs.append(_Run(directory, start, result))
  seeds = sorted({run.start.config.seed for run in runs})
  if len(runs) < 2 or len(seeds) < len(runs):
    raise programs.UserError(
        f'--{flag}={name}: {len(runs)} run(s) of seed(s) '
        f'{", ".join(map(str, seeds)) or "none"}; expected two or more, each '
        'with its own seed.'
    )
  return _Group(name, sorted(runs, key=lambda run: run.start.config.seed))


def _metric(results: Sequence[dict[str, Any]]) -> tuple[str, str]:
  """Returns the name in result.json of the metric, and its direction."""
  monitors = {monitor_lib.of_result(result) for result in results}
  name = _METRIC.value
  if name is None and len(monitors) > 1:
    judged = ' and '.join(sorted(each.metric for each in monitors))
    raise programs.UserError(
        f'--metric is missing: the runs are judged by {judged}.'
    )
  names = (
      [name]
      if name
      else [f'{split}_{each.metric}' for split in _SPLITS for each in monitors]
  )
  known = [
      key
      for key in results[0]
      if all(_is_number(result.get(key)) for result in results)
  ]
  for name in names:
    if name in known:
      judged_by = monitor_lib.by_name(name)
      for each in monitors:
        if name in (f'{split}_{each.metric}' for split in _SPLITS):
          judged_by = each
      return name, judged_by.direction
  raise programs.UserError(
      f'--metric={names[0]}: not all runs have it; they have '
      f'{", ".join(known) or "no number"}.'
  )


def _is_number(value: Any) -> bool:
  return type(value) in (int, float) and math.isfinite(value)


def _check_alike(runs: Sequence[_Run], metric: str) -> None:
  """Raises UserError if the tasks, targets or examples of runs differ."""
  from . import tasks
  from .machine import devices

  devices.leave_gpus()
  split = metric.partition('_')[0]

  def about(run: _Run) -> dict[str, Any]:
    data, config = run.start.data, run.start.config
    return {
        'their tasks': config.task or tasks.of(data.spec),
        'what they predict': data.spec.get('label'),
        f'the examples of {split}': (
            data.num_examples.get(split),
            data.fingerprint.get(split),
        ),
    }

  first = about(runs[0])
  for run in runs[1:]:
    for what, value in about(run).items():
      if value != first[what]:
        raise programs.UserError(
            f'{runs[0].workdir.path} and {run.workdir.path} differ in {what}: '
            'their numbers cannot be compared.'
        )


def _differences(groups: Sequence[_Group]) -> Iterator[str]:
  """Yields lines on differences between the recipes, and within each."""
  for name, runs in groups:
    found = {each.name for run in runs[1:] for each in _settings(runs[0], run)}
    if found:
      yield f'note: runs of {name} differ in {", ".join(sorted(found))}'
  listed = list(_settings(groups[0].runs[0], groups[1].runs[0]))
  for each in listed[:_MOST_DIFFERENCES]:
    shown = ' and '.join(map(diff.shown, each.values))
    yield f'they differ in {each.name}: {shown}'
  if (left := len(listed) - _MOST_DIFFERENCES) > 0:
    yield f'and in {left} more, which launch.diff lists'
  if not listed:
    yield 'they differ in no flag'


def _settings(one: _Run, other: _Run) -> Iterator[differences.Difference]:
  for each in comparing.settings(one.workdir, other.workdir):
    if each.name not in _OWN and each.about != 'flag, where':
      yield each


def _verdict(
    groups: Sequence[_Group], metric: str, direction: str
) -> Iterator[str]:
  """Yields lines on means, the test and its power."""
  from .comparing import significance

  found = {}
  for name, runs in groups:
    found[name] = [run.result[metric] for run in runs]
    yield (
        f'{name}: {metric} {significance.interval(found[name])} over '
        f'{len(runs)} runs'
    )
  sign = 1 if direction == 'max' else -1
  best, other = sorted(found, key=lambda name: -sign * np.mean(found[name]))
  seeds = [[run.start.config.seed for run in runs] for _, runs in groups]
  is_paired = seeds[0] == seeds[1]
  test = (significance.paired if is_paired else significance.welch)(
      *([sign * value for value in found[name]] for name in (best, other))
  )
  how = f'{test.method}{" over equal seeds" if is_paired else ""}'
  told = f'{test.difference}, p {significance.p_text(test.p)} ({how})'
  if test.is_shown:
    yield f'{best} is better than {other} by {told}'
    return
  yield f'no difference shown: {best} is ahead by {told}'
  if not math.isnan(test.detectable):
    sizes = '' if is_paired else f' and {len(groups[1].runs)}'
    yield (
        f'with {len(groups[0].runs)}{sizes} seeds a difference of at least '
        f'{test.detectable:.2g} would have been shown with 80 % power'
    )


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
