"""Small runs of the programs, in this process or in one of their own."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import importlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock

from absl import flags

from core import distribution, models
from launch import building, commands, programs, reading, training_program
from launch import config as config_lib
from launch import workdir as workdir_lib
from launch.machine import compilation_cache
from launch.settings import options
from pipelines import datasets
from tests import small_datasets, virtual_devices

ROOT = pathlib.Path(__file__).parents[2]
NUM_TRAIN, NUM_VALIDATION, NUM_TEST = 240, 25, 61
BATCH_SIZE = 12
STEPS_PER_EPOCH = NUM_TRAIN // BATCH_SIZE
# What depends on the clock in a row of metrics.jsonl.
SPEEDS = ('examples_per_second', 'images_per_second')
IMAGE_MODELS = sorted(
    name
    for name, model in models.REGISTRY.items()
    if model.task == models.Model.task
)

_DEFAULTS: dict[str, Any] = dict(
    dataset='tiny_shapes',
    validation_examples=NUM_VALIDATION,
    model='mlp',
    model_arg={'hidden_sizes': (16,), 'dropout_rate': 0.2},
    learning_rate=0.003,
    global_batch_size=BATCH_SIZE,
    num_epochs=2,
    log_every_steps=7,
    checkpoint_every_steps=STEPS_PER_EPOCH,
)


class Ended(NamedTuple):
  """How a program ended."""

  code: int
  out: str
  err: str


def scratch(test: unittest.TestCase) -> str:
  """Makes a directory that goes when a test ends."""
  directory = tempfile.TemporaryDirectory()
  test.addCleanup(directory.cleanup)
  return directory.name


def forget(*names: str) -> None:
  """Forgets modules of files that are about to go."""
  for name in names:
    sys.modules.pop(name, None)


def kept_directory() -> str:
  """Makes a directory that goes when the process ends."""
  directory = tempfile.mkdtemp()
  atexit.register(shutil.rmtree, directory, ignore_errors=True)
  return directory


# A place for compiled programs that is not the user's own.
_cache_directory = functools.cache(kept_directory)


@functools.cache
def data_dir() -> str:
  """Writes the set `tiny_shapes`, once a process."""
  directory = kept_directory()
  with contextlib.redirect_stdout(io.StringIO()):
    small_datasets.write(
        directory, num_train=NUM_TRAIN + NUM_VALIDATION, num_test=NUM_TEST
    )
  return directory


def config(**changes: Any) -> config_lib.Config:
  """Makes the config of a run of 40 steps."""
  return config_lib.Config(**{**_DEFAULTS, **changes})


def dataset(config: config_lib.Config) -> datasets.Dataset:
  """Opens the data set of a config."""
  return reading.open_dataset(dataclasses.replace(config, data_dir=data_dir()))


def changed(config: config_lib.Config, name: str) -> config_lib.Config:
  """Returns a config in which one field has another value that it may have."""
  declared = options.declared(config)[name]
  for value in (
      *declared.choices,
      17,
      0.37,
      True,
      False,
      'other',
      '3:4',
      ('other',),
      (3, 4),
      {'a': 1},
      {'a': 'b'},
  ):
    with contextlib.suppress(ValueError):
      other = dataclasses.replace(config, **{name: value})
      if other != config:
        return other
  raise AssertionError(f'no other value for {name}')


def arguments(config: config_lib.Config) -> list[str]:
  """Writes a config as the command line of `launch.train`."""
  data = config.data_dir or data_dir()
  return commands.flags(dataclasses.replace(config, data_dir=data))


def train(
    workdir: Any,
    num_replicas: int = 1,
    data: str | None = None,
    **changes: Any,
) -> Ended:
  """Trains in this process, over logical CPU devices.

  Args:
    workdir: The work directory.
    num_replicas: The number of devices.
    data: The folder of data sets.
    **changes: Changes of the config.

  Returns:
    How it ended.
  """
  made = config(
      workdir=str(workdir),
      data_dir=data or data_dir(),
      strategy='mirrored',
      **changes,
  )
  return _captured(lambda: training_program.exit_code(made), num_replicas)


@functools.cache
def finished(num_replicas: int = 1) -> pathlib.Path:
  """Returns the work directory of a finished run, which is not to change."""
  workdir = pathlib.Path(kept_directory()) / 'finished'
  ended = train(workdir, num_replicas)
  if ended.code or 'report/ is not complete' in ended.out:
    raise AssertionError(ended)
  return workdir


class Watched(NamedTuple):
  """A run that failed at step 35, and went on from its checkpoint of step 20.

  Attributes:
    workdir: Its work directory, which is not to change.
    failed: How its first start ended.
    ended: How its second start ended.
  """

  workdir: pathlib.Path
  failed: Ended
  ended: Ended


@functools.cache
def watched() -> Watched:
  """Trains as `finished` does, with all that can be watched in TensorBoard."""
  workdir = pathlib.Path(kept_directory()) / 'watched'
  append = workdir_lib.Workdir.append_metrics

  def fail(self: Any, row: Any) -> None:
    if row['step'] == 35:
      raise OSError('full')
    append(self, row)

  train_it = functools.partial(
      train, workdir, histogram_every_steps=15, profile_steps='18:22'
  )
  with mock.patch.object(workdir_lib.Workdir, 'append_metrics', fail):
    failed = train_it()
  return Watched(workdir, failed, train_it())


def call(program: str, *args: str, num_replicas: int = 1) -> Ended:
  """Runs a program with a command line, in this process."""
  return _called(program, args, _load(program)[0].main, num_replicas)


def parsed(*args: str) -> tuple[Ended, config_lib.Config | None]:
  """Parses the command line of `launch.train`; nothing is run."""
  configs = []
  ended = _called(
      'train', args, lambda: configs.append(config_lib.Config.from_flags())
  )
  return ended, configs[0] if configs else None


def _called(
    program: str, args: Sequence[str], main: Any, num_replicas: int = 1
) -> Ended:
  module, own = _load(program)

  def parse_and_run() -> int | None:
    programs.parse(
        [f'launch.{program}', *args],
        takes_arguments=getattr(module, 'POSITIONAL', False),
    )
    return main()

  for name, flag in own.items():
    flags.FLAGS[name] = flag
  try:
    with (
        mock.patch.dict(os.environ),  # launch.train adds flags for XLA.
        mock.patch.object(
            compilation_cache, 'default_folder', _cache_directory
        ),
    ):
      return _captured(parse_and_run, num_replicas)
  finally:
    for name, flag in own.items():
      delattr(flags.FLAGS, name)
      flag.unparse()
    programs._dropped.clear()  # What only a program's own start says.


@functools.cache
def _load(program: str) -> tuple[Any, dict[str, flags.Flag]]:
  """Imports a program; the flags of two would not go together in absl."""
  before = set(flags.FLAGS)
  module = importlib.import_module(f'launch.{program}')
  own = {name: flags.FLAGS[name] for name in set(flags.FLAGS) - before}
  for name in own:
    delattr(flags.FLAGS, name)
  return module, own


def flags_of(program: str) -> dict[str, flags.Flag]:
  """Returns the flags that a program defines, by name."""
  return dict(_load(program)[1])


def _captured(main: Any, num_replicas: int) -> Ended:
  out, err = io.StringIO(), io.StringIO()
  with (
      contextlib.redirect_stdout(out),
      contextlib.redirect_stderr(err),
      mock.patch.object(
          distribution,
          'create',
          lambda name: virtual_devices.mirrored(num_replicas),
      ),
  ):
    try:
      code = programs.call(main)
    except SystemExit as end:
      code = end.code
  return Ended(code, out.getvalue(), err.getvalue())


def start(
    program: str,
    *args: str,
    environment: dict[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
  """Starts a program in a process of its own."""
  if program in ('train', 'evaluate'):
    args = (f'--compilation_cache_dir={_cache_directory()}', *args)
  return start_python(
      '-m', f'launch.{program}', *args, environment=environment, stdout=stdout
  )


def start_python(
    *args: str,
    environment: dict[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
  """Starts Python in a process of its own."""
  inherited = dict(os.environ)
  inherited.pop('TF_CPP_MIN_LOG_LEVEL', None)  # The programs have their own.
  return subprocess.Popen(
      [sys.executable, *args],
      cwd=ROOT,
      env={**inherited, **(environment or {})},
      stdout=stdout,
      stderr=subprocess.PIPE,
      text=True,
  )


def finish(process: subprocess.Popen[str], timeout_s: float = 240) -> Ended:
  """Waits for a process to end."""
  try:
    out, err = process.communicate(timeout=timeout_s)
  finally:
    process.kill()
  return Ended(process.returncode, out, err)


def wait_for_step(
    process: subprocess.Popen[str], workdir: Any, step: int
) -> None:
  """Waits until a run has logged a step."""
  deadline = time.monotonic() + 240
  while not any(row['step'] >= step for row in rows(workdir)):
    if process.poll() is not None or time.monotonic() > deadline:
      raise AssertionError(f'no step {step}: {finish(process)}')
    time.sleep(0.005)


@contextlib.contextmanager
def ending(*processes: subprocess.Popen[str]) -> Iterator[None]:
  """Kills processes at the end of a block."""
  try:
    yield
  finally:
    for process in processes:
      process.kill()
      process.communicate()


@contextlib.contextmanager
def signal_at(step: int, number: int) -> Iterator[None]:
  """Sends this process a signal when a run in it reaches a step."""
  measure = building._measure
  sent = []

  def wrapped(experiment, state, sums):
    if state.step.numpy() >= step and not sent:
      sent.append(step)
      signal.raise_signal(number)  # Of this thread, so that it comes at once.
    return measure(experiment, state, sums)

  with mock.patch.object(building, '_measure', wrapped):
    yield


def raw_rows(workdir: Any) -> list[dict[str, Any]]:
  """Reads metrics.jsonl."""
  path = pathlib.Path(workdir) / 'metrics.jsonl'
  lines = path.read_text().splitlines(True) if path.exists() else []
  return [json.loads(line) for line in lines if line.endswith('\n')]


def rows(workdir: Any, split: str | None = None) -> list[dict[str, Any]]:
  """Reads metrics.jsonl, less what depends on the clock."""
  return [
      {n: v for n, v in row.items() if n not in ('wall_time', *SPEEDS)}
      for row in raw_rows(workdir)
      if split in (None, row['split'])
  ]


def result(workdir: Any) -> dict[str, Any]:
  """Reads result.json."""
  return json.loads((pathlib.Path(workdir) / 'result.json').read_text())


def digest(workdir: Any) -> str:
  """Returns the hash of a finished run's weights."""
  return result(workdir)['weights_sha256']
