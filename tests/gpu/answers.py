"""Answers: each is written down as soon as it is known."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass(frozen=True)
class Answer:
  """What is known of a part of a question.

  Attributes:
    subject: What was tried.
    text: What came of it.
    is_good: Whether it is as it should be; None where nothing is demanded.
  """

  subject: str
  text: str
  is_good: bool | None = None


class Answers:
  """All answers, in a file."""

  def __init__(self, path: pathlib.Path):
    """Starts with no answer: those of an earlier start are asked for again."""
    self._path = path
    self._path.write_text('')
    self._counts: collections.Counter[str] = collections.Counter()

  def add(
      self, name: str, ask: Callable[[Any], Iterator[Answer]], workshop: Any
  ) -> None:
    """Asks a question; what it raises is an answer too.

    Args:
      name: The name of the question.
      ask: From the workshop to answers.
      workshop: What makes runs.
    """
    try:
      for answer in ask(workshop):
        self._write(name, answer)
    except Exception:  # pylint: disable=broad-except
      self._write(name, Answer('the question', traceback.format_exc(), False))

  @property
  def all_good(self) -> bool:
    """Whether no answer is bad."""
    return not self._counts['BAD']

  def summary(self) -> str:
    """Counts the answers."""
    counts = ', '.join(f'{n} {mark}' for mark, n in self._counts.items())
    return f'{self._path}: {counts or "nothing was asked"}'

  def _write(self, question: str, answer: Answer) -> None:
    mark = {True: 'good', False: 'BAD', None: 'seen'}[answer.is_good]
    self._counts[mark] += 1
    with open(self._path, 'a') as file:
      line = {'question': question, **dataclasses.asdict(answer)}
      file.write(json.dumps(line) + '\n')
    print(f'{mark:4} {question}: {answer.subject}: {answer.text}', flush=True)
