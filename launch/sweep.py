"""Trains a recipe with many values of its flags, and ranks the results.

  python -m launch.sweep --workdir=sweeps/first --space=space.toml --seeds=3

space.toml gives each flag of launch.train a list of values or a range:

  model = ["mlp", "convnet"]
  learning_rate = {min = 1e-4, max = 1e-1, log = true}
  model_arg.dropout_rate = {min = 0.0, max = 0.5, step = 0.1}

All other flags are those of launch.train, and apply to each trial. A trial has
a run per seed, in trials/NUMBER/seed_SEED. A second start trains what is
missing, or more trials. At the end, the program prints a table of means,
intervals and p-values, and writes sweep.json, sweep.csv,
parallel_coordinates.png and report.html.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from . import config as config_lib
from . import extras, programs
from . import workdir as workdir_lib
from .cluster import gpus
from .comparing import differences
from .files import json_files, locks
from .hooks import pruning
from .settings import options, typed_json
from .sweeps import search as search_lib
from .sweeps import space as space_lib

config_lib.define_flags()
_SPACE = flags.DEFINE_string(
    'space', None, 'A TOML file with the flags to vary and their values.'
)
_METHOD = flags.DEFINE_enum(
    'method',
    'grid',
    search_lib.METHODS,
    'grid: all combinations, in order. random: drawn at random. optuna: '
    'proposed by TPE from the results so far (extra `sweep`).',
)
_NUM_TRIALS = flags.DEFINE_integer(
    'num_trials',
    None,
    'The number of trials. Default: the whole grid; other methods need it.',
    lower_bound=1,
    upper_bound=search_lib.MOST_TRIALS,
)
_SEEDS = flags.DEFINE_integer(
    'seeds',
    1,
    'The number of seeds per trial, starting from 0.',
    lower_bound=1,
    upper_bound=1000,
)
_PARALLEL = flags.DEFINE_integer(
    'parallel',
    1,
    'The number of concurrent runs; they share the GPUs.',
    lower_bound=1,
    upper_bound=1000,
)
_SEARCH_SEED = flags.DEFINE_integer(
    'search_seed',
    0,
    'The seed of random proposals.',
    lower_bound=0,
    upper_bound=2**31 - 1,
)
_PRUNE = flags.DEFINE_integer(
    'prune',
    None,
    'Stop a run after a validation if its best value is worse than the median '
    'that complete runs of other trials with its seed had at that step, once '
    'there are at least this many of them. Default: no pruning.',
    lower_bound=1,
    upper_bound=10**5,
)

_FLAGS = {
    each.name
    for each in (
        _SPACE,
        _METHOD,
        _NUM_TRIALS,
        _SEEDS,
        _PARALLEL,
        _SEARCH_SEED,
        _PRUNE,
    )
}
_MODULE = f'{__package__}.train'
_RULE = pruning.worse_than_median.__name__
# The number of trials to check before the first one starts, and the seconds in
# which to build as many of them as possible, at least one.
_MOST_CHECKED = 1000
_BUILDING_SECS = 15.0


def main() -> int:
  """Runs the program; returns its exit code."""
  base = config_lib.Config.from_flags()
  given = [
      token.text
      for token in programs.given()
      if token.name not in {*_FLAGS, 'workdir'}
  ]
  folder = _folder(base)
  if not _SPACE.value:
    raise programs.UserError('--space is missing: name a TOML file.')
  space = space_lib.read(_SPACE.value)
  search = search_lib.make(
      _METHOD.value, space, _NUM_TRIALS.value, _SEARCH_SEED.value, str(folder)
  )
  slots = gpus.split(gpus.visible(os.environ), _PARALLEL.value, _PARALLEL.name)
  extras.require('launch')
  programs.say_what_was_dropped()
  record = {
      'space': space.source,
      'method': _METHOD.value,
      'search_seed': _SEARCH_SEED.value,
      'prune': _PRUNE.value,
      **base.to_json(),
  }
  is_new = not (folder / 'space.json').exists()
  _check_values(space, search, given, _BUILDING_SECS if is_new else 0.0)
  with locks.held(folder):
    _record(folder / 'space.json', record)
    return _run(folder, space, search, slots, given, base.hooks)


def _folder(base: config_lib.Config) -> pathlib.Path:
  """Returns the directory of the sweep; creates nothing."""
  if not base.workdir:
    raise programs.UserError(
        '--workdir is missing: name a directory for the sweep.'
    )
  if flags.FLAGS['seed'].present:
    raise programs.UserError(
        '--seed: the seeds of a trial are 0, 1, ...; --seeds sets their '
        'number, --search_seed the seed of random proposals.'
    )
  if _PRUNE.value and ',' in base.workdir:  # It is an argument of a hook.
    raise programs.UserError(
        f'--workdir={base.workdir}: --prune takes a name without a comma.'
    )
  directory = workdir_lib.Workdir(base.workdir)
  directory.check_writable()
  if directory.exists():
    raise programs.UserError(
        f'--workdir={directory.path} holds a run; name another directory.'
    )
  is_new = not (directory.path / 'space.json').exists()
  if is_new and (others := directory.others()):
    print(others, flush=True)
  return directory.path


def _check_values(
    space: space_lib.Space,
    search: search_lib.Search,
    given: Sequence[str],
    seconds: float,
) -> None:
  """Checks the flags of trials, and builds trials for some seconds.

  Raises:
    UserError: If launch.train would refuse them.
  """
  programs.import_tensorflow()
  from . import experiment
  from .machine import devices
  from .training import preparing

  devices.leave_gpus()  # They are reserved for the runs.
  configs: list[tuple[list[str], config_lib.Config]] = []
  number = 0 if search.learns else min(search.num_trials, _MOST_CHECKED)
  for values in itertools.chain(
      space.samples(), map(search.ask, range(number))
  ):
    own = space_lib.flags_of(values)
    for name in options.declared(config_lib.Config):
      flags.FLAGS[name].unparse()
    try:
      programs.read_flags(['launch.train', *given, *own])
      config = config_lib.Config.from_flags()
      experiment.check_names(config)
      configs.append((own, config))
    except (flags.Error, ValueError) as error:
      raise _refused(own, error) from None
  started = time.monotonic()
  for own, config in configs:
    if time.monotonic() - started >= seconds:
      return
    try:
      preparing.try_out(config)
    except ValueError as error:
      raise _refused(own, error) from None


def _refused(own: Sequence[str], error: Exception) -> programs.UserError:
  text = str(error)
  if not any(each in text for each in own):
    # Messages name an argument without its value.
    rest = [each for each in own if '='.join(each.split('=')[:2]) not in text]
    text = ': '.join(filter(None, [shlex.join(rest), text]))
  return programs.UserError(f'--space={_SPACE.value}: {text}')


def _record(path: pathlib.Path, record: dict[str, Any]) -> None:
  """Records the flags of the sweep, or compares them with its record.

  Raises:
    UserError: If the directory holds another sweep.
  """
  text = json_files.read(path)
  if text is None:
    json_files.write(path, {'flags': record})
    return
  before = json_files.decode(path, text, flags=dict)['flags']
  # Options of newer versions are not in the record.
  now = {name: record[name] for name in before if name in record}
  if changes := config_lib.changes(before, typed_json.lists(now)):
    changes = {f'--{name}': pair for name, pair in changes.items()}
    raise programs.UserError(
        f'--workdir={path.parent} holds another sweep: '
        f'{differences.describe(changes)}. Give the same flags, or name '
        'another --workdir.'
    )


def _run(
    folder: pathlib.Path,
    space: space_lib.Space,
    search: search_lib.Search,
    slots: Sequence[Mapping[str, str]],
    given: Sequence[str],
    hooks: Sequence[Any],
) -> int:
  """Trains, and writes the results; returns the exit code."""
  from .sweeps import ranking, summary, training

  def command(values: space_lib.Values, path: pathlib.Path) -> list[str]:
    pruned = []
    if _PRUNE.value:
      every = values.get('hooks', ','.join(hooks)).split(',')
      every = [*filter(None, every), _RULE]
      pruned = [
          f'--hooks={",".join(every)}',
          f'--hook_arg={_RULE}.workdir={path}',
          f'--hook_arg={_RULE}.least={_PRUNE.value}',
      ]
    own = space_lib.flags_of(values)
    return [sys.executable, '-m', _MODULE, *given, *own, *pruned]

  runs = training.Training(
      search, folder, _SEEDS.value, command, ranking.value, slots
  )
  number = runs.run()
  complete = sum(len(each.results) for each in runs.trials)
  if number:
    programs.warn(
        f'interrupted by {signal.Signals(number).name}; {complete} of '
        f'{search.num_trials * _SEEDS.value} runs are complete, and the same '
        'command goes on from there.'
    )
    return 128 + number
  rows = ranking.rank(runs.trials)
  best = rows[0].trial
  if not complete:
    raise programs.Failure(
        f'--workdir={folder}: no run is complete; trial {best.number}, '
        f'{rows[0].note}'
    )
  chosen = space_lib.flags_of(best.values)
  again = [*given, *chosen]
  print(summary.write(folder, rows, space, f'python -m {_MODULE}', again))
  print(
      f'best: trial {best.number}, {shlex.join(chosen)}; {folder}/report.html'
  )
  return 0


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
