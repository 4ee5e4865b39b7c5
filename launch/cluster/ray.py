"""Runs a program as workers of Ray Train.

  python -m launch.cluster.ray --num_workers=2 -- --workdir=/shared/runs/first

The flags after -- are those of launch.train. Without --address or RAY_ADDRESS,
a local Ray is started. All nodes must share the file system of the work
directory, and have Quatrain installed at the same path. After a loss, all
workers are restarted on the nodes available and resume from the last
checkpoint, except after exit code 2, a usage error, or a second failure at the
same step. A signal is passed on: all workers save the same step and exit. A
second signal kills them.
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
    'CPUs that Ray reserves per worker.',
    lower_bound=0,
    upper_bound=10_000,
)
_GPUS = flags.DEFINE_integer(
    'gpus_per_worker',
    0,
    'GPUs that Ray reserves per worker.',
    lower_bound=0,
    upper_bound=1000,
)
_ADDRESS = flags.DEFINE_string(
    'address', None, 'The address of the Ray cluster, as for ray.init.'
)

_POLL_SECS = 0.2


class OnRay:
  """A job whose workers are those of a `TensorflowTrainer` per start."""

  def __init__(self, settings: dict[str, Any], num_workers: int):
    """Configures the job without starting it.

    Args:
      settings: The settings of `ray_workers.run`, without the desk.
      num_workers: The number of workers.
    """
    self._settings = settings
    self._num_workers = num_workers

  def leave_out(self, worker: int) -> None:
    """Uses one worker less from now on; Ray chooses the nodes."""
    del worker
    self._num_workers -= 1

  def start(self, signals: supervising.Signals) -> supervising.Ended:
    """Starts all workers, and waits until the last one has ended.

    Args:
      signals: The signals to pass on while they run.

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
      ray.shutdown()  # Also ends everything started on it.
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
    """Describes the end of a start in which some workers never reported."""
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
  """Runs a trainer in a thread, since the main thread handles signals.

  Attributes:
    error: The exception it raised, if any.
  """

  def __init__(self, trainer: Any):
    self.error: BaseException | None = None
    self._trainer = trainer
    self._thread = threading.Thread(target=self._fit, daemon=True)
    self._thread.start()

  def is_on(self) -> bool:
    """Returns whether it is still running."""
    return self._thread.is_alive()

  def _fit(self) -> None:
    try:
      self._trainer.fit()
    except BaseException as error:
      self.error = error


def _connect() -> None:
  """Connects to Ray, or starts it here, with our modules on its path."""
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  import ray

  programs.import_tensorflow()  # Quietly; Ray's trainer imports it as well.
  # The import path of a checkout; a wheel needs none.
  root = str(pathlib.Path(__file__).parents[2])
  paths = [os.environ.get('PYTHONPATH', '')]
  if not __name__.startswith('quatrain.'):
    paths.insert(0, root)
  before = {each: signal.getsignal(each) for each in interruption.SIGNALS}
  programs.note('connecting to Ray; the first lines take up to a minute.')
  try:
    _init(paths)
  except SystemExit as error:  # Ray exits with the bare number of a signal.
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
      log_to_driver=False,  # The desk delivers the lines of the workers.
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
  # Ray needs a folder shared by all nodes, as that of the work directory is.
  # No files remain in it.
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
  """Runs the launcher as a command, which exits the process."""
  passed_on.run(main)


if __name__ == '__main__':
  program()
