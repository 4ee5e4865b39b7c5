"""Ranks the trials of a sweep, and tests the significance of the ranking."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from .. import programs
from ..comparing import significance
from ..hooks import monitor as monitor_lib
from ..hooks import pruning
from . import training

# With more trials, only the best is compared with each; p is adjusted for all.
_MOST_IN_PAIRS = 200


@dataclasses.dataclass(frozen=True)
class Row:
  """A trial in the table.

  Attributes:
    trial: The trial.
    validation: The monitored metric at the last validation, over seeds. None if
      no run has a finite value.
    test: The same for the test split. None without one.
    to_best: The test of its difference to the best trial. None with fewer than
      two common seeds.
    p: The p-value of that test, adjusted for all pairs of trials.
    note: Remarks, such as why runs failed.
  """

  trial: training.Trial
  validation: significance.Interval | None
  test: significance.Interval | None
  to_best: significance.Test | None
  p: float | None
  note: str

  @property
  def verdict(self) -> str:
    """Whether the best trial is significantly better, in words."""
    if self.p is None:
      return ''
    return 'shown' if self.p < 1 - significance.LEVEL else 'not shown'

  def to_json(self) -> dict[str, Any]:
    """Returns the row as a JSON object."""
    return {
        'trial': self.trial.number,
        'values': self.trial.values,
        'workdirs': [str(path) for path in self.trial.workdirs],
        'validation': _interval(self.validation),
        'test': _interval(self.test),
        'best_is_better_by': _interval(
            self.to_best.difference if self.to_best else None
        ),
        'p': self.p,
        'verdict': self.verdict,
        'method': self.to_best.method if self.to_best else '',
        'note': self.note,
    }


def value(trial: training.Trial) -> float | None:
  """Returns the mean of a trial's last validations; smaller is better.

  Args:
    trial: A trial that has ended.

  Returns:
    The mean, negated if larger is better. None if no run has a finite value.

  Raises:
    UserError: If nothing was validated.
  """
  numbers = list(_numbers(trial, 'validation').values())
  if not numbers:
    return None
  [monitor] = {monitor_lib.of_result(each) for each in trial.results.values()}
  mean = statistics.fmean(numbers)
  return -mean if monitor.direction == 'max' else mean


def rank(trials: Sequence[training.Trial]) -> list[Row]:
  """Ranks trials, and compares the best with each other trial.

  Trials with a pruned run come after those whose runs are all complete. Trials
  with a failed run or a non-finite value come last.

  Args:
    trials: The trials, which have ended.

  Returns:
    The rows of the table, best first. Differences are paired over the seeds
    that both trials have. Their p-values are adjusted (Holm) for all pairs of
    trials, since the best was chosen by the same numbers.
  """

  def key(trial: training.Trial) -> tuple[Any, ...]:
    mean = value(trial)
    is_short = len(_numbers(trial, 'validation')) < len(trial.workdirs)
    return mean is None, is_short, _pruned(trial) > 0, mean or 0, trial.number

  ordered = sorted(trials, key=key)
  number = len(ordered)
  pairs = list(itertools.combinations(range(min(number, _MOST_IN_PAIRS)), 2))
  pairs += [(0, index) for index in range(_MOST_IN_PAIRS, number)]
  tests = {
      (one, other): test
      for one, other in pairs
      if (test := _test(ordered[one], ordered[other]))
  }
  ps = [each.p for each in tests.values()]
  are_all = number <= _MOST_IN_PAIRS
  adjusted = significance.holm(
      ps, len(tests) if are_all else math.comb(number, 2)
  )
  adjusted_of = dict(zip(tests, adjusted, strict=True))
  return [
      Row(
          trial,
          _over_seeds(trial, 'validation'),
          _over_seeds(trial, 'test'),
          tests.get((0, index)),
          adjusted_of.get((0, index)),
          _note(trial),
      )
      for index, trial in enumerate(ordered)
  ]


def _numbers(trial: training.Trial, split: str) -> dict[int, float]:
  """Returns the finite values of the monitored metric on a split, by seed."""
  numbers = {}
  for seed, result in sorted(trial.results.items()):
    name = f'{split}_{monitor_lib.of_result(result).metric}'
    if math.isfinite(result.get(name, math.nan)):
      numbers[seed] = result[name]
    elif name not in result and split == 'validation':
      raise programs.UserError(
          f'{trial.workdirs[seed]}: nothing was validated; a sweep chooses by '
          'the validation split: --validation_split or --validation_examples '
          'makes one.'
      )
  return numbers


def _over_seeds(
    trial: training.Trial, split: str
) -> significance.Interval | None:
  numbers = _numbers(trial, split)
  return significance.interval([*numbers.values()]) if numbers else None


def _test(
    best: training.Trial, other: training.Trial
) -> significance.Test | None:
  """Tests how much better the first is. None with too few common seeds."""
  ones, others = (_numbers(each, 'validation') for each in (best, other))
  seeds = sorted(ones.keys() & others.keys())
  if len(seeds) < 2:
    return None
  pair = [[values[seed] for seed in seeds] for values in (ones, others)]
  if monitor_lib.of_result(best.results[seeds[0]]).direction == 'min':
    pair.reverse()
  return significance.paired(*pair)


def _pruned(trial: training.Trial) -> int:
  return sum(map(pruning.was_pruned, trial.results.values()))


def _note(trial: training.Trial) -> str:
  notes = []
  if number := _pruned(trial):
    steps = sorted({
        result['stopped']['step']
        for result in trial.results.values()
        if pruning.was_pruned(result)
    })
    notes.append(f'{number} pruned at step {", ".join(map(str, steps))}')
  finite = _numbers(trial, 'validation')
  if lost := sorted(trial.results.keys() - finite.keys()):
    notes.append(f'not finite with seed {", ".join(map(str, lost))}')
  if trial.failures:
    [seed, reason] = next(iter(sorted(trial.failures.items())))
    more = len(trial.failures) - 1
    notes.append(
        f'seed {seed} failed{f", and {more} more" if more else ""}: {reason}'
    )
  return '; '.join(notes)


def _interval(
    value: significance.Interval | None,
) -> list[float | None] | None:
  """Returns mean, low and high, with None for unknown values."""
  if value is None:
    return None
  return [None if math.isnan(each) else each for each in value]
