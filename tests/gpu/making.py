"""Makes runs of programs, each once: it is kept until the code changes."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any

from core import models
from launch.machine import environment
from tests.exports import cases
from tests.faults import processes

MODELS = tuple(sorted(models.REGISTRY))
# A GPU's memory is shared by the runs that are made at a time.
GPU = {'TF_FORCE_GPU_ALLOW_GROWTH': 'true'}
CPU = {'CUDA_VISIBLE_DEVICES': ''}
EXACT = {**GPU, 'NVIDIA_TF32_OVERRIDE': '0'}
_HANG_SECS = 300.0
_TAIL = 12

num_cpus = environment.num_cpus


@dataclasses.dataclass(frozen=True)
class Job:
  """A program to run.

  Attributes:
    name: What it is called, in the work directory too.
    module: The module.
    arguments: Its arguments, but for the work directory and the data's.
    environment: Variables to add.
    begin: The name of a job whose run it goes on with.
    timeout_s: When it counts as hung.
  """

  name: str
  module: str
  arguments: tuple[str, ...]
  environment: tuple[tuple[str, str], ...] = tuple(GPU.items())
  begin: str | None = None
  timeout_s: float = _HANG_SECS


@dataclasses.dataclass(frozen=True)
class Made:
  """What a job came to.

  Attributes:
    folder: What it wrote is in here: `run`, `log.out` and `log.err`.
    code: The exit code; None if it hung or was not started.
    seconds: How long it took, from the start of its process.
  """

  folder: pathlib.Path
  code: int | None
  seconds: float

  @property
  def run(self) -> pathlib.Path:
    """The work directory of its run."""
    return self.folder / 'run'

  def text(self, stream: str) -> str:
    """Returns what it printed on `out` or `err`."""
    path = self.folder / f'log.{stream}'
    return path.read_text(errors='replace') if path.exists() else ''

  def result(self) -> dict[str, Any]:
    """Returns result.json, empty if there is none."""
    path = self.run / 'result.json'
    return json.loads(path.read_text()) if path.exists() else {}

  def rows(self) -> list[dict[str, Any]]:
    """Returns the rows of training in metrics.jsonl."""
    lines = (self.run / 'metrics.jsonl').read_text().splitlines()
    return [row for row in map(json.loads, lines) if row['split'] == 'train']

  def score(self) -> str:
    """Returns what result.json says of the devices, XLA and the test split."""
    result = self.result()
    gpus = result['machine']['devices'][1:]
    scores = ', '.join(
        f'{name} {result[name]:.4g}'
        for name in ('test_loss', 'test_accuracy', 'test_r2')
        if name in result
    )
    return f'{gpus or "on the CPU"}, compiled: {result["compiled"]}, {scores}'

  def failure(self) -> str:
    """Returns the end of what it printed, with its exit code."""
    lines = (self.text('out') + self.text('err')).splitlines()[-_TAIL:]
    return f'exit code {self.code}; ' + ' | '.join(lines)


def train(
    name: str,
    model: str,
    flags: Mapping[str, str],
    env: Mapping[str, str] = GPU,
    begin: str | None = None,
) -> Job:
  """Makes the job that trains a model of the registry on data for it."""
  case = cases.CASES[model]
  return Job(
      name,
      'launch.train',
      (
          f'--dataset={cases.__name__}:{case.arrays.__name__}',
          f'--model={model}',
          *(f'--model_arg={k}={_text(v)}' for k, v in case.arguments.items()),
          *arguments(
              {'global_batch_size': '64', 'strategy': 'mirrored', **flags}
          ),
      ),
      tuple(env.items()),
      begin,
  )


def arguments(flags: Mapping[str, str]) -> tuple[str, ...]:
  """Returns flags as arguments."""
  return tuple(f'--{name}={value}' for name, value in flags.items())


def _text(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, tuple) else str(value)


class Workshop:
  """Makes runs, and keeps them in a folder."""

  def __init__(
      self,
      folder: pathlib.Path,
      *,
      models: Sequence[str] = MODELS,
      num_parallel: int = 1,
      deadline: float = float('inf'),
      data_dir: str | None = None,
      pythons: Sequence[str] = (),
      num_seeds: int = 1,
  ):
    """Keeps what the program was told.

    Args:
      folder: Where runs are kept.
      models: The names of the models to try.
      num_parallel: How many jobs run at a time.
      deadline: When to start nothing more, by the monotonic clock.
      data_dir: Where TFDS keeps prepared sets.
      pythons: NAME=PYTHON of the peers.
      num_seeds: How often the speedrun is run.
    """
    self.folder = folder
    self.models = models
    self.data_dir = data_dir
    self.pythons = pythons
    self.num_seeds = num_seeds
    self._num_parallel = num_parallel
    self._deadline = deadline

  def make(self, jobs: Sequence[Job], *, alone: bool = False) -> Iterator[Made]:
    """Makes jobs that do not depend on each other.

    Args:
      jobs: The jobs.
      alone: Whether one runs at a time, on all cores: its time is measured.

    Yields:
      What they came to, in the same order, each as soon as it is known.
    """
    if alone:
      yield from (self._made(job, {}) for job in jobs)
      return
    few = {'OMP_NUM_THREADS': '1', 'TF_NUM_INTRAOP_THREADS': '1'}
    with futures.ThreadPoolExecutor(self._num_parallel) as pool:
      yield from pool.map(lambda job: self._made(job, few), jobs)

  def _made(self, job: Job, threads: Mapping[str, str]) -> Made:
    folder = self.folder / job.name
    kept = folder / 'made.json'
    made_by = [processes.code(), repr(job)]
    if kept.exists():
      *by, code, seconds = json.loads(kept.read_text())
      if by == made_by:
        return Made(folder, code, seconds)
    shutil.rmtree(folder, ignore_errors=True)
    if time.monotonic() > self._deadline:
      return Made(folder, None, 0.0)
    folder.mkdir(parents=True)
    if job.begin:
      shutil.copytree(self.folder / job.begin / 'run', folder / 'run')
    places = []
    if job.module.startswith('launch.'):
      places.append(f'--workdir={folder / "run"}')
    if job.module == 'launch.train' and self.data_dir:
      places.append(f'--data_dir={self.data_dir}')
    process = processes.Process(
        [job.module, *job.arguments, *places],
        {**_all_threads(), **threads, **dict(job.environment)},
        folder / 'log',
    )
    ended = process.wait(job.timeout_s)
    seconds = time.monotonic() - process.started
    if not ended:
      process.send(signal.SIGKILL)
    code = process.code if ended else None
    kept.write_text(json.dumps([*made_by, code, seconds]))
    return Made(folder, code, seconds)


def _all_threads() -> dict[str, str]:
  return {'OMP_NUM_THREADS': str(num_cpus()), 'TF_NUM_INTRAOP_THREADS': '0'}
