"""Trains a recorded run again elsewhere, and compares the results bit by bit.

  python -m launch.reproduce runs/first

Uses the flags, code files and data recorded by the run, and trains in another
work directory. Exits with 0 if the weights and all metrics are bitwise equal;
else with 1, and lists the differences like launch.diff.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping

from absl import flags

from . import config as config_lib
from . import diff, interruption, programs
from . import workdir as workdir_lib
from .cluster import members as members_lib
from .cluster import resolving
from .comparing import runs as comparing
from .files import starts
from .machine import compilation_cache
from .settings import options, typed_json

# Whether the program takes positional arguments.
POSITIONAL = True
# The hook that stops a run by the clock, which is not reproducible.
_BY_THE_CLOCK = 'MaxMinutes'
# These may change when a run is resumed, but affect rounding.
_ROUNDING = ('jit_compile', 'strategy', 'num_virtual_devices')

_PLACE = config_lib.define_flags(
    'workdir',
    'data_dir',
    'archives_dir',
    'strategy',
    'num_virtual_devices',
    'compilation_cache_dir',
    'accept_changes',
)


class Until:
  """A hook that stops at the step at which the clock stopped another run."""

  def __init__(self, step: int, reason: str):
    """Sets the step, and the reason why the run ended there."""
    self._step = step
    self._reason = reason

  def next(self, step: int) -> int:
    """Returns that step."""
    return max(step, self._step)

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Returns the reason to stop."""
    return self._reason if step >= self._step else None


def main() -> int:
  """Runs the program; returns its exit code."""
  place = config_lib.Config.from_flags(*_PLACE)
  given = programs.positional()
  if len(given) != 1:
    raise programs.UserError(
        f'expected the work directory of one run, got {len(given)}; as in '
        'launch.reproduce runs/first.'
    )
  before = workdir_lib.of_run(given[0], '')
  start = before.read_start()
  _check(before, start)
  # XLA reads its settings when TensorFlow is imported.
  cache = compilation_cache.prepare(
      start.config.global_batch_size, place.compilation_cache_dir
  )
  programs.import_tensorflow()
  from . import training_program
  from .lookup import recorded

  config = recorded.located(
      start.config,
      start.code,
      before.path,
      accept_changes=place.accept_changes,
  )
  config = _placed(config, place)
  members = resolving.resolve(config.strategy, config.num_virtual_devices)
  config, again, is_temporary = _elsewhere(config, members)
  try:
    training_program.run(
        _ending(config, start), needs_state=False, compilations=cache.count
    )
  except interruption.Saved as error:  # Already reported.
    return 128 + error.number
  finally:
    with contextlib.suppress(OSError):
      again.path.rmdir()  # Unless files were written.
  if members is not None and members.index:
    return 0  # The first worker compares, once it has written its result.
  comparison = comparing.compare(before, again)
  computed = [
      each
      for each in comparison.computed
      if not each.name.startswith('stopped.')  # Another hook may have stopped.
  ]
  comparison = dataclasses.replace(comparison, computed=computed)
  print(diff.table(comparison, str(before.path), str(again.path)))
  if not comparison.is_equal:
    return 1
  if is_temporary:
    shutil.rmtree(again.path, ignore_errors=True)
  return 0


def _check(before: workdir_lib.Workdir, start: starts.Start) -> None:
  """Rejects runs that cannot be repeated or compared.

  Raises:
    UserError: If the run is one.
  """
  if before.read_result() is None:
    raise programs.UserError(
        f'{before.path}: the run is not complete, so there is nothing to '
        'compare with; launch.train goes on with it.'
    )
  for field in dataclasses.fields(start.config):
    value = getattr(start.config, field.name)
    if typed_json.GIVEN in (value if isinstance(value, tuple) else (value,)):
      raise programs.UserError(
          f'{before.path}: its {field.name} was an object of the program that '
          'trained it, which no other has; a function at the top of a file is '
          'found by its name.'
      )
  for shape in start.shapes[1:]:
    programs.note(
        f'from step {shape["step"]} on it was trained on '
        f'{shape["num_replicas"]} replica(s); other numbers of them round '
        'differently.'
    )
  for step, name in _changes(start):
    if name in _ROUNDING:
      programs.note(
          f'--{name} changed at step {step}; the steps before may round '
          'differently now.'
      )
    elif name not in options.declared(start.config) or not (
        start.config.is_free(name)
    ):
      raise programs.UserError(
          f'{before.path}: {name} changed at step {step}, so no single start '
          'computes it; launch.diff shows its history.'
      )


def _changes(start: starts.Start) -> Iterator[tuple[int, str]]:
  """Yields what changed after the first step, and the step."""
  for event in start.history:
    if event['step'] > 0:  # Else the run started over.
      for name in event['changes']:
        yield event['step'], name


def _placed(
    config: config_lib.Config, place: config_lib.Config
) -> config_lib.Config:
  """Returns a config with the flags given to this program."""
  given = {
      name: getattr(place, name) for name in _PLACE if flags.FLAGS[name].present
  }
  return dataclasses.replace(config, **{'workdir': None, **given})


def _elsewhere(
    config: config_lib.Config, members: members_lib.Members | None
) -> tuple[config_lib.Config, workdir_lib.Workdir, bool]:
  """Chooses where to train again.

  Returns:
    The config, its work directory, and whether that is temporary.

  Raises:
    UserError: If the directory has a complete run, or is missing for several
      workers.
  """
  is_temporary = not config.workdir
  if is_temporary:
    if members is not None and members.size > 1:
      raise programs.UserError(
          '--workdir is missing: several workers need one that they share.'
      )
    temporary = tempfile.mkdtemp(prefix='quatrain-')
    config = dataclasses.replace(config, workdir=temporary)
  again = workdir_lib.Workdir(str(config.workdir))
  if again.exists() and again.read_result():
    raise programs.UserError(
        f'--workdir={again.path} has a run that is complete; launch.diff '
        'compares two, and another directory runs it again.'
    )
  return config, again, is_temporary


def _ending(
    config: config_lib.Config, start: starts.Start
) -> config_lib.Config:
  """Returns a config that stops where the clock stopped the first run."""
  if config.max_minutes is None:
    return config
  hooks = config.hooks
  if start.stopped and start.stopped['hook'] == _BY_THE_CLOCK:
    hooks += (Until(start.stopped['step'], start.stopped['reason']),)
  return dataclasses.replace(config, max_minutes=None, hooks=hooks)


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
