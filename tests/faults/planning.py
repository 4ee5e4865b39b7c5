"""The order in which faults are tried, by a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tests.faults import cases, faults


def plan(
    seed: int, names: list[str], wanted: list[cases.Case]
) -> Iterator[tuple[int, str, cases.Case]]:
  """Yields what to do, without end: each share of faults over all cases.

  Args:
    seed: Decides the order.
    names: The faults.
    wanted: The cases.

  Yields:
    The number of a trial, the name of its fault, and its case.
  """
  generator = random.Random(seed)
  round_of_faults = [
      name for name in names for _ in range(faults.FAULTS[name].share)
  ]
  waiting: dict[str, list[cases.Case]] = {name: [] for name in names}
  numbers = itertools.count()
  while True:
    for name in generator.sample(round_of_faults, len(round_of_faults)):
      if not waiting[name]:
        allowed = [c for c in wanted if faults.FAULTS[name].allows(c)]
        waiting[name] = generator.sample(allowed, len(allowed))
      if waiting[name]:
        yield next(numbers), name, waiting[name].pop()
      elif not any(map(faults.FAULTS[name].allows, wanted)):
        round_of_faults = [each for each in round_of_faults if each != name]
    if not round_of_faults:
      return
