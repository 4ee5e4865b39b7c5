"""The space of a sweep: flags of launch.train, and the values to try.

model = ["mlp", "convnet"]
learning_rate = {min = 1e-4, max = 1e-1, log = true}
model_arg.dropout_rate = {min = 0.0, max = 0.5, step = 0.1}
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import config as config_lib
from .. import programs
from ..files import json_files
from ..lookup import imports
from ..settings import options

Values = dict[str, Any]
_RANGE = {'min', 'max', 'log', 'step'}
# The sweep sets these itself.
_OWN = ('workdir', 'seed', 'accept_changes')
# Trials with different values of these cannot be compared.
_JUDGES = (
    'dataset',
    'monitor',
    'task',
    'validation_examples',
    'validation_split',
)
_PLAIN = (bool, int, float, str)


class Mistake(ValueError):
  """An error in a space."""


@dataclasses.dataclass(frozen=True)
class Parameter:
  """A flag, and its values: a list of choices, or a range.

  Attributes:
    name: The name of the flag, or `FLAG.ARGUMENT`.
    choices: The values; empty for a range.
    low: The minimum of a range.
    high: The maximum of a range.
    log: Whether to draw values uniformly in the logarithm.
    step: The distance between values. If None, the range is continuous.
    is_int: Whether values are integers.
  """

  name: str
  choices: tuple[Any, ...] = ()
  low: float = 0
  high: float = 0
  log: bool = False
  step: float | None = None
  is_int: bool = False

  @property
  def num_values(self) -> int:
    """The number of values.

    Raises:
      Mistake: If it is infinite.
    """
    if self.choices:
      return len(self.choices)
    if self.step is None:
      raise Mistake(f'{self.name}: a grid needs a list of values, or a `step`')
    return math.floor((self.high - self.low) / self.step + 1e-9) + 1

  def at(self, index: int) -> Any:
    """Returns the value at an index below `num_values`."""
    if self.choices:
      return self.choices[index]
    assert self.step is not None
    # Rounded: 3 steps of 0.1 are 0.3, not 0.30000000000000004.
    return self._number(float(f'{self.low + index * self.step:.12g}'))

  def ends(self) -> Sequence[Any]:
    """Returns all choices, or both ends of a range."""
    return self.choices or [self._number(self.low), self._number(self.high)]

  def draw(self, generator: np.random.Generator) -> Any:
    """Draws a value."""
    if self.choices or self.step is not None:
      return self.at(int(generator.integers(self.num_values)))
    ends = self.low, self.high
    if self.log:
      # Each integer has an interval of the same length around it.
      ends = (self.low - self.is_int / 2, self.high + self.is_int / 2)
      ends = (math.log(ends[0]), math.log(ends[1]))
    drawn = generator.uniform(*ends)
    drawn = math.exp(drawn) if self.log else drawn
    return self._number(min(max(drawn, self.low), self.high))

  def _number(self, value: float) -> Any:
    return round(value) if self.is_int else float(value)


@dataclasses.dataclass(frozen=True)
class Space:
  """The parameters of a sweep.

  Attributes:
    parameters: The parameters, in the order of the file.
    source: The content of the file.
  """

  parameters: tuple[Parameter, ...]
  source: Mapping[str, Any]

  def num_combinations(self) -> int:
    """Returns the number of combinations.

    Raises:
      Mistake: If it is infinite.
    """
    return math.prod(each.num_values for each in self.parameters)

  def combination(self, number: int) -> Values:
    """Returns a combination by number; the last parameter varies fastest."""
    values = {}
    for each in reversed(self.parameters):
      number, index = divmod(number, each.num_values)
      values[each.name] = each.at(index)
    return {each.name: values[each.name] for each in self.parameters}

  def draw(self, seed: int, number: int) -> Values:
    """Draws the values of a trial, given its number and the seed."""
    generator = np.random.default_rng([seed, number])
    return {each.name: each.draw(generator) for each in self.parameters}

  def samples(self) -> Iterator[Values]:
    """Yields combinations that together include every choice and end."""
    first = {each.name: each.ends()[0] for each in self.parameters}
    yield first
    for each in self.parameters:
      for value in each.ends()[1:]:
        yield {**first, each.name: value}


def flags_of(values: Mapping[str, Any]) -> list[str]:
  """Formats values as flags of `launch.train`; arguments come last."""
  texts = []
  for name, value in sorted(values.items(), key=lambda item: '.' in item[0]):
    flag, _, argument = name.partition('.')
    text = ','.join(map(str, value)) if isinstance(value, list) else str(value)
    texts.append(f'--{flag}={f"{argument}=" if argument else ""}{text}')
  return texts


def read(path: str) -> Space:
  """Reads a space from a TOML file.

  Args:
    path: The path of the file.

  Returns:
    The space.

  Raises:
    UserError: If the file cannot be read, or does not describe a space.
  """
  if pathlib.Path(path).is_dir():
    raise programs.UserError(
        f'--space={path}: it is a directory; expected a TOML file.'
    )
  text = json_files.read(pathlib.Path(path))
  if text is None:
    raise programs.UserError(f'--space={path}: there is no such file.')
  try:
    source = _toml().loads(text)
    found = tuple(_parameters(source))
    if not found:
      raise Mistake('it names no flag')
  except ValueError as error:
    text = f'--space={path}: {error}'
    raise programs.UserError(text if text[-1] in '.?' else f'{text}.') from None
  return Space(found, source)


def _toml() -> Any:
  # Python 3.10 has no tomllib; the extra `sweep` brings tomli there.
  name = 'tomli' if sys.version_info < (3, 11) else 'tomllib'
  return importlib.import_module(name)


def _parameters(source: Mapping[str, Any]) -> Iterator[Parameter]:
  declared = options.declared(config_lib.Config)
  for name, value in options.renamed(config_lib.Config, source).items():
    if name in _OWN:
      raise Mistake(f'{name}: the sweep sets it')
    if name in _JUDGES:
      raise Mistake(f'{name}: trials that differ in it are not comparable')
    if name not in declared:
      raise Mistake(
          f'{name}: no flag of launch.train{imports.near(name, declared)}'
      )
    if name.endswith('_arg'):
      if not isinstance(value, Mapping):
        raise Mistake(f'{name}: expected {name}.ARGUMENT = [...]')
      yield from _arguments(name, value)
    else:
      yield _parameter(name, value, is_float=_is_float(name))


def _arguments(prefix: str, source: Mapping[str, Any]) -> Iterator[Parameter]:
  """Yields the arguments in a table; hooks and metrics have one more level."""
  for name, value in source.items():
    if isinstance(value, Mapping) and not _RANGE & value.keys():
      yield from _arguments(f'{prefix}.{name}', value)
    else:
      yield _parameter(f'{prefix}.{name}', value)


def _is_float(name: str) -> bool:
  [field] = [
      each
      for each in dataclasses.fields(config_lib.Config)
      if each.name == name
  ]
  return 'float' in str(field.type)


def _parameter(name: str, value: Any, is_float: bool = False) -> Parameter:
  if isinstance(value, list):
    return Parameter(name, choices=_choices(name, value))
  if isinstance(value, Mapping):
    return _range(name, value, is_float)
  _refuse(name, 'expected a list of values, or {min = ..., max = ...}')


def _choices(name: str, values: list[Any]) -> tuple[Any, ...]:
  for index, value in enumerate(values):
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, _PLAIN) for item in items):
      _refuse(name, f'{value!r} is not a value of a flag')
    if any(
        value is each or (type(value) is type(each) and value == each)
        for each in values[:index]
    ):
      _refuse(name, f'{value!r} is there twice')
  if not values:
    _refuse(name, 'the list is empty')
  return tuple(values)


def _range(name: str, given: Mapping[str, Any], is_float: bool) -> Parameter:
  low, high, step = (given.get(key) for key in ('min', 'max', 'step'))
  numbers: list[tuple[str, Any]] = [('min', low), ('max', high)]
  log = given.get('log', False)
  if unknown := given.keys() - _RANGE:
    _refuse(name, f'{min(unknown)}: a range has min, max, log and step')
  for key in ('min', 'max'):
    if key not in given:
      _refuse(name, f'{key} is missing; expected {{min = ..., max = ...}}')
  for key, number in [*numbers, ('step', 1 if step is None else step)]:
    if type(number) not in (int, float) or not math.isfinite(number):
      _refuse(name, f'{key} = {number!r}: expected a number')
  assert low is not None and high is not None
  if low > high:
    _refuse(name, f'min = {low} is greater than max = {high}')
  if type(log) is not bool or (log and (low <= 0 or step is not None)):
    _refuse(name, 'log = true takes a min above 0, and no step')
  if step is not None and step <= 0:
    _refuse(name, f'step = {step}: expected a number above 0')
  is_int = not is_float and all(
      type(each) is int for each in (low, high, 1 if step is None else step)
  )
  if is_int and step is None and not log:
    step = 1
  return Parameter(name, low=low, high=high, log=log, step=step, is_int=is_int)


def _refuse(name: str, why: str) -> NoReturn:
  raise Mistake(f'{name}: {why}')
