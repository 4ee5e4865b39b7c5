"""Runs a program as workers of Ray Train.

  python -m launch.cluster.ray --num_workers=2 -- --workdir=/shared/runs/first

What follows -- are the flags of launch.train. Without --address or RAY_ADDRESS
it starts a Ray on this machine. All nodes share the file system of the work
directory, and have Quatrain in the same place. After a loss all workers are
started again, on whatever nodes there are, and go on from the last checkpoint;
not after exit code 2, which is a mistake, nor after two failures at the same
step. A signal is passed on: all save the same step and leave. A second one
kills them.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
from typing import Any

from absl import flags

from .. import interruption, programs
from . import here, passed_on, ray_workers, starting, supervising

flags.adopt_module_key_flags(starting)
_CPUS = flags.DEFINE_float(
    'cpus_per_worker',
    1.0,
    'CPUs that Ray keeps for each worker.',
    lower_bound=0,
    upper_bound=10_000,
)
_GPUS = flags.DEFINE_integer(
    'gpus_per_worker',
    0,
    'GPUs that Ray gives to each worker.',
    lower_bound=0,
    upper_bound=1000,
)
_ADDRESS = flags.DEFINE_string(
    'address', None, 'The Ray to run on, as ray.init takes it.'
)

_POLL_SECS = 0.2


class OnRay:
  """A job whose workers are those of a `TensorflowTrainer`, one a start."""

  def __init__(self, settings: dict[str, Any], num_workers: int):
    """Starts nothing yet.

    Args:
      settings: What `ray_workers.run` takes, less the desk.
      num_workers: How many workers there are.
    """
    self._settings = settings
    self._num_workers = num_workers

  def leave_out(self, worker: int) -> None:
    """Has one worker less from now on; Ray says on which nodes they are."""
    del worker
    self._num_workers -= 1

  def start(self, signals: supervising.Signals) -> supervising.Ended:
    """Starts all workers, and waits until the last one has ended.

    Args:
      signals: Are passed on while they run.

    Returns:
      How they ended.
    """
    import ray

    desk = ray.remote(num_cpus=0)(ray_workers.Desk).remote(self._num_workers)
    fitting = _Fitting(self._trainer({**self._settings, 'desk': desk}))
    told, kills = 0, False
    while fitting.is_on() and not kills:
      if signals.number != told:
        told = signals.number
        if not ray.get(desk.send.remote(told)):
          programs.note('no worker was on yet: there is nothing to save.')
          kills = True
      kills = kills or signals.kills
      _print(ray.get(desk.lines.remote()))
      time.sleep(_POLL_SECS)
    _print(ray.get(desk.lines.remote()))
    codes, first = ray.get(desk.codes.remote())
    if kills:
      ray.shutdown()  # With all that was started on it.
      return supervising.Ended(
          [128 + signals.number] * self._num_workers, 0, 'was killed'
      )
    if None not in codes:
      worker = supervising.first_to_go(first)
      return supervising.Ended(codes, worker, here.describe(codes[worker]))
    return self._lost(codes, fitting.error)

  def _lost(
      self, codes: list[int | None], error: BaseException | None
  ) -> supervising.Ended:
    """Returns how a start ended of whose workers some never said how."""
    failures = getattr(error, 'worker_failures', {})
    silent = [index for index, code in enumerate(codes) if code is None]
    worker = min(set(silent) & set(failures), default=silent[0])
    why = programs.reason(failures.get(worker) or error or RuntimeError())
    return supervising.Ended(
        [
            programs.Failure.exit_code if code is None else code
            for code in codes
        ],
        worker,
        f'was lost by Ray ({why})',
    )

  def _trainer(self, settings: dict[str, Any]) -> Any:
    from ray import train
    from ray.train import tensorflow as ray_tensorflow

    return ray_tensorflow.TensorflowTrainer(
        ray_workers.run,
        train_loop_config=settings,
        scaling_config=train.ScalingConfig(
            num_workers=self._num_workers,
            use_gpu=_GPUS.value > 0,
            resources_per_worker={'CPU': _CPUS.value, 'GPU': _GPUS.value},
        ),
        run_config=train.RunConfig(
            storage_path=settings['storage'],
            failure_config=train.FailureConfig(max_failures=0),
        ),
    )


def _print(lines: list[tuple[str, str]]) -> None:
  for stream, text in lines:
    getattr(sys, stream).write(text)
  sys.stdout.flush()
  sys.stderr.flush()


class _Fitting:
  """A trainer that fits in a thread: the main one hears signals.

  Attributes:
    error: What it raised, if anything.
  """

  def __init__(self, trainer: Any):
    self.error: BaseException | None = None
    self._trainer = trainer
    self._thread = threading.Thread(target=self._fit, daemon=True)
    self._thread.start()

  def is_on(self) -> bool:
    """Returns whether it has not ended."""
    return self._thread.is_alive()

  def _fit(self) -> None:
    try:
      self._trainer.fit()
    except BaseException as error:
      self.error = error


def _connect() -> None:
  """Connects to Ray, or starts one here, whose processes find our modules."""
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  import ray

  programs.import_tensorflow()  # Silently; Ray's trainer imports it too.
  # What imports this module in a checkout; a wheel is found anyway.
  root = str(pathlib.Path(__file__).parents[2])
  paths = [os.environ.get('PYTHONPATH', '')]
  if not __name__.startswith('quatrain.'):
    paths.insert(0, root)
  before = {each: signal.getsignal(each) for each in interruption.SIGNALS}
  programs.note('connecting to Ray; the first lines take up to a minute.')
  try:
    _init(paths)
  except SystemExit as error:  # Ray ends a program so, with the number alone.
    if error.code in interruption.SIGNALS:
      raise interruption.Interrupted(int(error.code)) from error
    raise
  finally:
    for each, handler in before.items():
      signal.signal(each, handler)
  has = ray.cluster_resources()
  number = starting.num_workers()
  for name, of_each in (('CPU', _CPUS.value), ('GPU', _GPUS.value)):
    if (wanted := of_each * number) > has.get(name, 0):
      programs.note(
          f'{number} workers take {wanted:g} {name}s, and Ray has '
          f'{has.get(name, 0):g}: waiting for more.'
      )


def _init(paths: list[str]) -> None:
  import ray

  ray.init(
      address=_ADDRESS.value,
      log_to_driver=False,  # The lines of the workers come by the desk.
      logging_level='warning',
      include_dashboard=False if _ADDRESS.value is None else None,
      runtime_env={
          'env_vars': {'PYTHONPATH': os.pathsep.join(filter(None, paths))}
      },
  )


def _disconnect() -> None:
  import ray

  ray.shutdown()


def main() -> int:
  """Runs the launcher; returns its exit code."""
  policy = starting.policy()
  module, given = starting.given()
  workdir = passed_on.workdir()
  _connect()
  # Ray wants a folder that all nodes share, as they do that of the work
  # directory. Nothing stays in it.
  beside = pathlib.Path(workdir).expanduser().absolute().parent
  beside.mkdir(parents=True, exist_ok=True)
  storage = tempfile.mkdtemp(prefix='.ray-', dir=beside)
  settings = dict(
      module=module,
      flags=given,
      directory=os.getcwd(),
      storage=storage,
  )
  try:
    return supervising.run(
        OnRay(settings, starting.num_workers()), policy, workdir=workdir
    )
  finally:
    _disconnect()
    shutil.rmtree(storage, ignore_errors=True)


def program() -> None:
  """Runs the launcher as a command: it ends the process."""
  passed_on.run(main)


if __name__ == '__main__':
  program()
