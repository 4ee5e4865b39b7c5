"""Hurts programs at random moments, and looks at what is lost.

  python -m tests.faults --seed=1 --num_kills=400 --workdir=/tmp/faults
  python -m tests.faults --num_kills=0 --workdir=/tmp/faults --write_docs

Programs of small runs are killed, signalled, stopped, started twice, and given
a full disk, another clock or damaged files; started again as their exit codes
tell; and compared, bit by bit, with runs to which nothing was done. What was
done is kept in the work directory, trial by trial: a second start goes on. A
table says at the end what was tried, what a user saw, how long it took, and how
many bits were lost; the exit code is 0 only if that is none, nothing hung, and
nothing was left behind.
"""

from __future__ import annotations

import hashlib
import pathlib
import random
import shutil
import sys
import time

from absl import app, flags

from tests.faults import (
    cases,
    faults,
    planning,
    processes,
    record,
    references,
    table,
    trial,
)

_SEED = flags.DEFINE_integer('seed', 0, 'Decides what is done, and when.')
_NUM_KILLS = flags.DEFINE_integer(
    'num_kills',
    30,
    'How often something is done, all starts together.',
    lower_bound=0,
)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'What is kept between starts. Default: nothing.'
)
_CASES = flags.DEFINE_list(
    'cases',
    [],
    'Parts of the names of cases, such as text or float16. '
    f'Default: all of {", ".join(cases.CASES)}.',
)
_FAULTS = flags.DEFINE_list(
    'faults', list(faults.FAULTS), f'Of {", ".join(faults.FAULTS)}.'
)
_TRIAL = flags.DEFINE_integer(
    'trial', None, 'Does that trial alone, again, and keeps its folder.'
)
_MAX_MINUTES = flags.DEFINE_float(
    'max_minutes', None, 'Begins no trial after that time.'
)
_WRITE_DOCS = flags.DEFINE_bool(
    'write_docs', False, 'Writes the table into docs/reliability.md.'
)


def _one(
    number: int,
    name: str,
    case: cases.Case,
    folder: pathlib.Path,
    kept: references.References,
    plan_name: str,
) -> trial.Outcome:
  """Does one trial; its folder stays only if something is wrong."""
  place = folder / 'trials' / f'{number}_{name}_{case.name}'
  faults.clean(place)
  started = time.monotonic()
  fault = faults.FAULTS[name]
  try:
    mine = trial.Trial(
        place,
        case,
        fault.program,
        random.Random(f'{_SEED.value}/{number}'),
        kept,
    )
    outcome = faults.do(fault, number, plan_name, mine)
  except references.BrokenError as error:
    outcome = trial.Outcome(
        number,
        plan_name,
        case.name,
        [],
        0,
        [f'nothing was done: {error}'],
        round(time.monotonic() - started, 1),
        references.code(),
    )
  if not outcome.problems and _TRIAL.value is None:
    shutil.rmtree(place, ignore_errors=True)
  return outcome


def _line(name: str, outcome: trial.Outcome) -> str:
  """Describes a trial in a line."""
  done = '; '.join(
      f'{hurt.phase or name} {hurt.codes} {hurt.seconds:g} s'
      for hurt in outcome.hurts
  )
  wrong = '; '.join(outcome.problems)
  return (
      f'{outcome.number} {name} {outcome.case}: {done or "too late"}; '
      f'{outcome.bits} bits lost, {outcome.seconds:g} s'
      f'{"; WRONG: " + wrong if wrong else ""}'
  )


def main(argv: list[str]) -> int:
  """Runs the campaign; returns 1 if anything was lost."""
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}')
  unknown = set(_FAULTS.value) - faults.FAULTS.keys()
  wanted = [
      case
      for name, case in cases.CASES.items()
      if not _CASES.value or any(part in name for part in _CASES.value)
  ]
  if unknown or not wanted:
    print(
        f'tests.faults: no such faults {sorted(unknown)} or cases '
        f'{_CASES.value}.',
        file=sys.stderr,
    )
    return 2
  names = []
  for name in _FAULTS.value:
    if lacks := faults.FAULTS[name].lacks():
      print(f'{name}: left out, since {lacks}')
    else:
      names.append(name)
  try:
    with processes.campaign(_WORKDIR.value, 'faults-') as folder:
      outcomes = _campaign(folder, names, wanted)
  except BlockingIOError:
    print(
        f'tests.faults: --workdir={_WORKDIR.value} is in use.', file=sys.stderr
    )
    return 2
  print(table.text(outcomes))
  if _WRITE_DOCS.value:
    table.write(outcomes)
  return int(any(each.bits or each.problems for each in outcomes))


def _campaign(
    folder: pathlib.Path, names: list[str], wanted: list[cases.Case]
) -> list[trial.Outcome]:
  """Does trials until enough was done."""
  kept = references.References(folder / 'references')
  done = record.Record(folder / 'trials.jsonl')
  began = time.monotonic()
  of_what = ','.join((*names, *(case.name for case in wanted)))
  digest = hashlib.sha256(of_what.encode()).hexdigest()[:8]
  plan_name = f'{_SEED.value}-{digest}'
  for number, name, case in planning.plan(_SEED.value, names, wanted):
    if _TRIAL.value is not None:
      if number == _TRIAL.value:
        outcome = _one(number, name, case, folder, kept, plan_name)
        print(_line(name, outcome))
        return [outcome]
      continue
    minutes = (time.monotonic() - began) / 60
    if done.num_faults >= _NUM_KILLS.value or (
        _MAX_MINUTES.value is not None and minutes > _MAX_MINUTES.value
    ):
      break
    if not done.has(number, plan_name):
      outcome = _one(number, name, case, folder, kept, plan_name)
      print(_line(name, outcome), flush=True)
      done.append(outcome)
  return done.outcomes


if __name__ == '__main__':
  app.run(main)
