"""A run from start to end, for `launch.train` and `launch.run`."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from core import distribution, workers

from . import config as config_lib
from . import interruption, loop, programs, several
from . import workdir as workdir_lib
from .files import data_files
from .lookup import imports, own, recorded
from .machine import together
from .training import (
    finishing,
    init_from,
    opening,
    preparing,
    results,
    resuming,
)


def run(
    config: config_lib.Config,
    *,
    needs_state: bool = True,
    compilations: Callable[[], int] = lambda: 0,
) -> results.Result:
  """Trains, or resumes, the run of a work directory.

  Args:
    config: The config, with a work directory.
    needs_state: Whether to return the state of a complete run.
    compilations: Returns how many programs XLA has compiled in this process.

  Returns:
    The result.

  Raises:
    UserError: If the flags or the data are not valid; nothing is written then.
    Failure: If the run cannot continue.
    Saved: If a signal interrupts it, after its progress is saved.
  """
  started = time.monotonic()
  scope = preparing.begin(config)
  with together.lost_workers(scope, config.collective_timeout):
    config = preparing.on_devices(config, scope)
    return _run(config, scope, needs_state, started, compilations)


def exit_code(
    config: config_lib.Config, compilations: Callable[[], int] = lambda: 0
) -> int:
  """Calls `run` and returns an exit code.

  Returns:
    0, or 128 plus the number of the signal that interrupted the run.

  Raises:
    UserError, Failure: As for `run`.
  """
  try:
    run(config, needs_state=False, compilations=compilations)
  except interruption.Saved as error:  # Already reported.
    return 128 + error.number
  return 0


def _run(
    config: config_lib.Config,
    scope: tf.distribute.Strategy,
    needs_state: bool,
    started: float,
    compilations: Callable[[], int],
) -> results.Result:
  is_chief = distribution.is_chief(scope)

  def say(message: str) -> None:
    if is_chief:
      print(message, flush=True)

  directory = workdir_lib.Workdir(str(config.workdir), is_chief=is_chief)
  directory.check_writable()
  with contextlib.ExitStack() as stack:
    resumed = None
    with together.agreeing(scope) as told:
      if directory.exists():
        stack.enter_context(directory.locked(say))
        resumed = resuming.check(directory, config)
      else:
        if others := directory.others():
          say(others)
        init_from.find(config)  # Before the data are prepared.
      told['the run in --workdir'] = _seen(resumed)
      told.update({
          f'code of {name}': file['sha256']
          for name, file in recorded.sources(config).items()
      })
    if resumed and resumed.is_complete and not needs_state:
      may_differ = int(data_files.may_differ(resumed.before, config))
      if not any(each for (each,) in workers.gather(scope, [may_differ])):
        say(results.complete(directory))
        return _result(directory, None)
    with together.agreeing(scope) as told:
      experiment, dataset = preparing.prepare(config)
      if resumed:
        resuming.check_data(
            directory,
            resumed.before.data,
            experiment.data,
            accept_changes=config.accept_changes,
        )
      told.update(experiment.data.of_all_workers())
    if resumed and resumed.is_complete:
      say(results.complete(directory))
      if not needs_state:
        return _result(directory, None)
    training = preparing.build(
        experiment,
        dataset,
        scope,
        directory,
        say,
        started=started,
        hooks=several.hooks(config.hooks, config.hook_arg),
        steps_per_loop=config.steps_per_loop,
        count_compilations=compilations,
    )
    if resumed and resumed.is_complete:
      return _result(directory, training.state)
    stack.enter_context(_explained(directory, training.now))
    notes = []
    if resumed:
      notes = resuming.go_on(directory, resumed, training)
    else:
      with together.agreeing(scope) as told:
        stack.enter_context(directory.locked(say))
        if is_chief and directory.exists():
          raise programs.UserError(
              f'--workdir={directory.path}: another process began a run here '
              'meanwhile; start again to go on with it.'
          )
        directory.config_file.write(
            experiment.config,
            experiment.data,
            recorded.sources(config),
            training.initial.to_json() if training.initial else None,
            data_files.stamp(config),
        )
        told['--workdir'] = 'this run' if directory.appears() else 'no run'
    if is_chief:
      directory.config_file.note_shape(
          training.now.step,
          distribution.num_workers(scope),
          scope.num_replicas_in_sync,
      )
    say(opening.describe(experiment, dataset, scope, training, notes))
    if number := training.run():
      saved = (
          f'saved step {training.now.step} of {experiment.num_steps}; the same '
          'command goes on from there'
      )
      say(f'Interrupted: {saved}.')
      raise interruption.Saved(number, saved)
    values = finishing.finish(
        training, dataset, directory, say, started, compilations
    )
    path, stopped = str(directory.path), training.now.stopped
    return results.Result(training.state, values, path, stopped)


def _result(directory: workdir_lib.Workdir, state: Any) -> results.Result:
  """Returns the result of a complete run."""
  values = directory.read_result() or {}
  stopped = values.get('stopped')
  return results.Result(
      state,
      values,
      str(directory.path),
      loop.Stopped(**stopped) if stopped else None,
  )


def _seen(resumed: resuming.Resumed | None) -> str:
  """Returns what workers with the same work directory must agree on."""
  if resumed is None:
    return 'none'
  digest = hashlib.sha256(repr(resumed.before).encode()).hexdigest()
  return f'{digest[:8]}{", complete" if resumed.is_complete else ""}'


@contextlib.contextmanager
def _explained(directory: workdir_lib.Workdir, now: loop.Now) -> Iterator[None]:
  """Names the step that is saved, if a file or a part of the user's fails."""
  try:
    yield
  except OSError as error:
    raise programs.Failure(
        f'--workdir={directory.path}: {programs.reason(error)}; '
        f'{now.what_is_saved()}'
    ) from error
  except tf.errors.UnimplementedError as error:
    if 'determinis' not in str(error):
      raise
    raise programs.Failure(
        f'{programs.reason(error)}, but with --nodeterministic, which does not '
        f'repeat a run to the bit; {now.what_is_saved()}'
    ) from error
  except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
    if not (place := imports.place(error)):
      raise
    raise programs.Failure(
        f'{own.described(error)} ({place}), after step {now.step}; '
        f'{now.what_is_saved()}'
    ) from error
