"""The file of a campaign, and what is computed from it."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.benchmarks import cases, lineup

OK, FAILED, TIMEOUT, SKIPPED = 'ok', 'failed', 'timeout', 'skipped'
Run = dict[str, Any]  # What a process printed, and how it ended.


class Spread(NamedTuple):
  """The median, the minimum and the maximum of some numbers."""

  median: float
  low: float
  high: float


class Row(NamedTuple):
  """A contender's results in a case, over all rounds.

  Attributes:
    contender: Its name.
    precision: What it computed in.
    rounds: How many rounds it finished.
    speed: Images a second, or 1 / seconds in a race.
    over_baseline: Its speed / the baseline's in float32, paired by round.
    over_peer: Its speed / that of the fastest peer of the same precision,
      paired by round.
    values: The spreads of other numbers by name: `accuracy`, `peak_rss_gb`,
      `first_step_s`, `first_epoch_s`, `end_s`.
    problem: Why rounds are missing, or an empty string.
  """

  contender: str
  precision: str
  rounds: int
  speed: Spread | None
  over_baseline: Spread | None
  over_peer: Spread | None
  values: dict[str, Spread]
  problem: str


_VALUES = ('accuracy', 'peak_rss_gb', 'first_step_s', 'first_epoch_s', 'end_s')


class Results:
  """The results of a campaign, saved after every process.

  Attributes:
    settings: The settings of the campaign; `sizes` must stay the same.
    machine: The machine, in words.
    runs: What was run so far, in order.
  """

  def __init__(
      self,
      path: str | os.PathLike[str],
      settings: dict[str, Any],
      machine: dict[str, Any],
      resume: bool = False,
  ):
    """Starts or resumes a campaign.

    Args:
      path: The file.
      settings: The settings of the campaign.
      machine: The machine.
      resume: Whether to go on with what the file holds.

    Raises:
      ValueError: If there is a file already and it is not to be resumed, or its
        sizes are others.
    """
    self._path = pathlib.Path(path)
    self.settings, self.machine, self.runs = settings, machine, []
    if not self._path.exists():
      return
    if not resume:
      raise ValueError(
          f'out: {self._path} exists; resume it by --resume, or name another '
          'file.'
      )
    before = json.loads(self._path.read_text())
    sizes = before['settings']['sizes']
    if sizes != settings['sizes']:
      raise ValueError(
          f'resume: {self._path} was made with {sizes}, not with '
          f'{settings["sizes"]}; give the same, or name another file.'
      )
    # What failed is tried again.
    self.runs = [
        run for run in before['runs'] if run['status'] in (OK, SKIPPED)
    ]

  def has(self, key: Run) -> bool:
    """Returns whether a run is done: round, case, contender and precision."""
    return any(key.items() <= run.items() for run in self.runs)

  def append(self, run: Run) -> None:
    """Adds a run and saves the file, all of it or nothing."""
    self.runs.append(run)
    text = json.dumps(
        {
            'settings': self.settings,
            'machine': self.machine,
            'runs': self.runs,
        },
        indent=1,
    )
    scratch = self._path.with_name(f'{self._path.name}.partial')
    scratch.parent.mkdir(parents=True, exist_ok=True)
    scratch.write_text(text + '\n')
    scratch.replace(self._path)


def spread(numbers: Sequence[float]) -> Spread | None:
  """Returns the spread of numbers; None of none."""
  if not numbers:
    return None
  return Spread(statistics.median(numbers), min(numbers), max(numbers))


def speed(run: Run) -> float:
  """Returns the speed of a process: its timed epochs' median, or a race's."""
  if cases.CASES[run['case']].is_race:
    return 1 / run['end_s']
  return statistics.median(run['images_per_second'])


def _paired(
    speeds: dict[int, float], others: dict[int, float]
) -> Spread | None:
  rounds = sorted(speeds.keys() & others.keys())
  return spread([speeds[each] / others[each] for each in rounds])


def table(runs: Sequence[Run], case: str) -> list[Row]:
  """Computes the rows of a case, the fastest first; those without speed last.

  Args:
    runs: All runs of a campaign.
    case: The name of the case.

  Returns:
    A row for each contender and precision.
  """
  found: dict[tuple[str, str], list[Run]] = {}
  for run in runs:
    if run['case'] == case:
      found.setdefault((run['contender'], run['precision']), []).append(run)
  speeds = {
      key: {run['round']: speed(run) for run in mine if run['status'] == OK}
      for key, mine in found.items()
  }
  rows = []
  for (contender, precision), mine in found.items():
    own = speeds[contender, precision]
    peer = _fastest_peer(speeds, precision)
    done = [run for run in mine if run['status'] == OK]
    problems = [run for run in mine if run['status'] != OK]
    values = {
        name: spread([run[name] for run in done if run[name] is not None])
        for name in _VALUES
    }
    rows.append(
        Row(
            contender=contender,
            precision=precision,
            rounds=len(done),
            speed=spread(list(own.values())),
            over_baseline=_paired(
                own, speeds.get((lineup.BASELINE, 'float32'), {})
            ),
            over_peer=_paired(own, speeds.get(peer, {})),
            values={name: value for name, value in values.items() if value},
            problem=_problem(problems),
        )
    )
  return sorted(rows, key=lambda row: -row.speed.median if row.speed else 0)


def _fastest_peer(
    speeds: dict[tuple[str, str], dict[int, float]], precision: str
) -> tuple[str, str]:
  """Returns the peer of a precision with the highest median."""
  medians = {
      key: statistics.median(own.values())
      for key, own in speeds.items()
      if own and key[1] == precision and lineup.CONTENDERS[key[0]].is_peer
  }
  return max(medians, key=medians.__getitem__, default=('', ''))


def _problem(problems: Sequence[Run]) -> str:
  if not problems:
    return ''
  last = problems[-1]
  if last['status'] == SKIPPED:
    return f'not run: {last["error"]}'
  # The last line of a traceback says what happened.
  reason = (last['error'].strip().splitlines() or ['no output'])[-1]
  return f'{last["status"]} in {len(problems)} rounds: {reason}'
