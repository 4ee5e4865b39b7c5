"""Proposes the values of trials: by a grid, at random, or by Optuna.

The values of a trial depend on its number, the space, the seed and, for Optuna,
on the results reported before. So a restarted sweep proposes the same values.
"""

from __future__ import annotations

import logging
import pathlib
from typing import Any, Protocol

import numpy as np

from .. import programs
from . import space as space_lib

MOST_TRIALS = 10**5
METHODS = ('grid', 'random', 'optuna')


class Search(Protocol):
  """Proposes values.

  Attributes:
    num_trials: The number of trials.
    learns: Whether its proposals depend on results.
  """

  num_trials: int
  learns: bool

  def ask(self, number: int) -> space_lib.Values:
    """Returns the values of a trial; trials are numbered consecutively."""

  def tell(self, number: int, value: float | None) -> None:
    """Records a trial's result; smaller is better. If None, it failed."""


class Listed:
  """Proposes values independently of results: a grid, or random values."""

  learns = False

  def __init__(self, trials: list[space_lib.Values]):
    """Sets the values of each trial."""
    self._trials = trials
    self.num_trials = len(trials)

  def ask(self, number: int) -> space_lib.Values:
    """Returns the values of a trial."""
    return self._trials[number]

  def tell(self, number: int, value: float | None) -> None:
    """Ignores the result."""


class Optuna:
  """Proposes values by Optuna's TPE, and records them in `optuna.journal`.

  Reference:
    https://optuna.readthedocs.io/en/stable/reference/samplers/
  """

  learns = True

  def __init__(
      self, space: space_lib.Space, num_trials: int, seed: int, folder: str
  ):
    """Imports Optuna; the first call of `ask` opens or creates the study."""
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    self._optuna = optuna
    self._space = space
    self._seed = seed
    self._folder = folder
    self.num_trials = num_trials
    self._study: Any = None

  def ask(self, number: int) -> space_lib.Values:
    """Returns the values of a trial; repeated calls return the same ones."""
    study = self._opened()
    # One sampler per trial, so that draws do not depend on restarts.
    seed = np.random.SeedSequence([self._seed, number]).generate_state(1)
    study.sampler = self._optuna.samplers.TPESampler(
        seed=int(seed[0]), constant_liar=True
    )
    if number < len(study.trials):
      # The sweep was killed after some of the values: draw the rest.
      trial = self._optuna.trial.Trial(study, study.trials[number]._trial_id)
    else:
      trial = study.ask()
    return {
        each.name: self._suggest(trial, each) for each in self._space.parameters
    }

  def _suggest(self, trial: Any, parameter: space_lib.Parameter) -> Any:
    if parameter.choices:
      indices = range(len(parameter.choices))  # A choice may be a list.
      index = trial.suggest_categorical(parameter.name, list(indices))
      return parameter.choices[index]
    suggest = trial.suggest_int if parameter.is_int else trial.suggest_float
    step = {} if parameter.step is None else {'step': parameter.step}
    low, high = parameter.ends()
    return suggest(parameter.name, low, high, log=parameter.log, **step)

  def tell(self, number: int, value: float | None) -> None:
    """Records a result, unless it is already recorded."""
    study = self._opened()
    states = self._optuna.trial.TrialState
    if not study.trials[number].state.is_finished():
      state = states.FAIL if value is None else states.COMPLETE
      study.tell(number, value, state=state)

  def _opened(self) -> Any:
    if self._study is None:
      journal = self._optuna.storages.journal
      path = pathlib.Path(self._folder) / 'optuna.journal'
      self._study = self._optuna.create_study(
          storage=self._optuna.storages.JournalStorage(
              journal.JournalFileBackend(str(path))
          ),
          study_name='sweep',
          load_if_exists=True,
      )
    return self._study


def make(
    method: str,
    space: space_lib.Space,
    num_trials: int | None,
    seed: int,
    folder: str,
) -> Search:
  """Makes a search.

  Args:
    method: One of `METHODS`.
    space: The space.
    num_trials: The number of trials. If None, the whole grid.
    seed: The seed of random values.
    folder: The directory of the sweep.

  Returns:
    The search, which has not written anything yet.

  Raises:
    UserError: If the number of trials does not fit the method.
  """
  if method == 'grid':
    try:
      most = space.num_combinations()
    except space_lib.Mistake as error:
      raise programs.UserError(f'--method=grid: {error}.') from None
    number = min(most, num_trials or most)
    if number > MOST_TRIALS:
      raise programs.UserError(
          f'--method=grid: {most:,} trials; --num_trials takes the first '
          f'{MOST_TRIALS:,} at most.'
      )
    return Listed(list(map(space.combination, range(number))))
  if num_trials is None:
    raise programs.UserError(f'--method={method}: --num_trials is missing.')
  if method == 'random':
    return Listed([space.draw(seed, number) for number in range(num_trials)])
  return Optuna(space, num_trials, seed, folder)
