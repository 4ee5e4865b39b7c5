"""Which devices, libraries and messages there are; starts; copies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

from launch.machine import devices
from tests.faults import processes
from tests.gpu import answers, making, trace

_ABOUT = """
import json
import tensorflow as tf
gpus = tf.config.list_physical_devices('GPU')
print(json.dumps({
    'tensorflow': tf.__version__,
    'built with': {
        name: value for name, value in tf.sysconfig.get_build_info().items()
        if 'version' in name or 'capabilities' in name},
    'devices': [tf.config.experimental.get_device_details(g) for g in gpus],
    'TF32': tf.config.experimental.tensor_float_32_execution_enabled(),
}))
"""
_LOG_LINE = re.compile(r'^([IWEF]\d{4} |\d{4}-\d\d-\d\d |WARNING|E0000)')


def ask(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Looks at everything that a user meets without a flag.

  Args:
    workshop: What makes runs.

  Yields:
    Answers, of which most demand nothing.
  """
  for command in (
      ['nvidia-smi', '--query-gpu=name,driver_version,memory.total'],
      [sys.executable, '-c', _ABOUT],
  ):
    yield answers.Answer(command[0].rpartition('/')[2], _output(command))
  yield from _without_libraries(workshop)
  yield from _starts(workshop)
  yield from _copies(workshop)


def _without_libraries(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Hides the libraries; a driver without them should be told of at once."""
  job = making.train(
      'defaults/without libraries',
      'mlp',
      {'num_steps': '5'},
      {'LD_LIBRARY_PATH': '', 'PATH': '/usr/bin:/bin'},
  )
  (made,) = workshop.make([job])
  lines = (made.text('err') + made.text('out')).splitlines()
  told = [line for line in lines if 'NVIDIA driver' in line]
  on_gpu = any('GPU replica' in line for line in lines)
  is_good = None
  if devices.has_nvidia_driver() and not on_gpu:
    is_good = made.code == 0 and bool(told)
  yield answers.Answer(
      job.name,
      f'exit code {made.code}, on a GPU: {on_gpu}, told: {told[:1]}',
      is_good,
  )


def _starts(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Starts twice with the caches of the first, from process start to end."""
  for model in 'mlp', 'convnet', 'resnet', 'speednet', 'vit':
    caches = workshop.folder / 'defaults' / f'{model} caches'
    environment = {'XDG_CACHE_HOME': str(caches)}
    jobs = [
        making.train(
            f'defaults/{model}, {which} start',
            model,
            {'num_epochs': '1', 'precision': 'auto'},
            environment,
        )
        for which in ('first', 'second')
    ]
    for job, made in zip(jobs, workshop.make(jobs, alone=True), strict=True):
      result = made.result()
      lines = (made.text('err') + made.text('out')).splitlines()
      foreign = [line for line in lines if _LOG_LINE.match(line)]
      memory = result.get('machine', {}).get('peak_memory_bytes')
      yield answers.Answer(
          job.name,
          f'{made.seconds:.1f} s, {result.get("num_compilations")} programs '
          f'compiled; seconds in {json.dumps(result.get("seconds_in"))}; peak '
          f'memory {memory}; {len(foreign)} lines of the log of TensorFlow: '
          f'{foreign[:3]}',
          made.code == 0,
      )


def _copies(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Counts copies between host and device in a traced part of training."""
  for model in 'mlp', 'convnet', 'text_classifier', 'tabular':
    for name, flags in (
        ('resident', {}),
        ('streamed', {'resident_gb': '0'}),
    ):
      job = making.train(
          f'defaults/{model}, {name}, traced',
          model,
          {
              'num_steps': '120',
              'log_every_steps': '40',
              'profile_steps': '40:80',
              **flags,
          },
      )
      (made,) = workshop.make([job], alone=True)
      if made.code != 0:
        yield answers.Answer(job.name, made.failure(), False)
        continue
      yield answers.Answer(job.name, trace.summary(made.run, num_steps=40))


def _output(command: list[str]) -> str:
  if 'nvidia-smi' in command[0]:
    command = [*command, '--format=csv,noheader']
  try:
    ended = subprocess.run(
        command,
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
  except (OSError, subprocess.TimeoutExpired) as error:
    return str(error)
  return (ended.stdout.strip() or ended.stderr.strip()[-500:]).strip()
