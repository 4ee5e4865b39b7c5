"""What was done, trial by trial: a file with a JSON object for each."""

from __future__ import annotations

import json
import pathlib

from tests.faults import trial


class Record:
  """The file, which a program that is killed leaves readable.

  Attributes:
    outcomes: What trials came to, in the order in which they were done.
  """

  def __init__(self, path: pathlib.Path):
    """Reads what is there; a last line that was cut off goes."""
    self._path = path
    path.touch()
    text = path.read_text()
    whole = text[: text.rfind('\n') + 1]
    if whole != text:
      path.write_text(whole)
    self.outcomes = [
        trial.Outcome.from_json(json.loads(line)) for line in whole.splitlines()
    ]

  def has(self, number: int, plan: str) -> bool:
    """Returns whether a trial of a plan was done."""
    return any(
        (each.number, each.plan) == (number, plan) for each in self.outcomes
    )

  @property
  def num_faults(self) -> int:
    """How often something was done."""
    return sum(len(each.hurts) for each in self.outcomes)

  def append(self, outcome: trial.Outcome) -> None:
    """Keeps one more."""
    self.outcomes.append(outcome)
    with open(self._path, 'a') as file:
      file.write(json.dumps(outcome.to_json()) + '\n')
