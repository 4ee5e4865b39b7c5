"""Explains the bottleneck of a run, and which flag would help."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .. import config as config_lib
from ..machine import environment

# A part below this share of a step is no reason to change a flag. The limit for
# the host is lower, because flags that help it do not change results.
_LARGE, _LARGE_HOST = 0.2, 0.1
# If the floor is a smaller (larger) share of a step than this, the step is far
# from (near) the speed of the device.
_FAR, _NEAR = 0.35, 0.7
# Another precision has to be faster by this factor.
_FASTER = 1.15
_COMPILE = '--jit_compile=auto lets XLA compile the parts that benefit.'
# Calls of the graph that last this long are not cut short by anything.
_CALL_SECS = 0.25


def explain(
    found: Mapping[str, Any], config: config_lib.Config
) -> tuple[str, list[str]]:
  """Explains a measurement.

  Args:
    found: What `benchmarking.run` returns.
    config: The config of the run.

  Returns:
    The bottleneck, which is a key of `_CAUSES`, and sentences that explain it,
    the first of which names it.
  """
  parts = {name: seconds or 0.0 for name, seconds in found['parts'].items()}
  parts['model'] = parts.pop('forward') + parts.pop('backward')
  share = {  # `other` is a remainder, and may be negative.
      name: min(abs(seconds) / found['seconds_per_step'], 1.0)
      for name, seconds in parts.items()
  }
  largest = sorted(_CAUSES, key=lambda name: -share[name])
  bound = largest[0]
  lines = [f'{_CAUSES[bound][0]} {100 * share[bound]:.0f} % of a step.']
  for name in largest:
    large = _LARGE_HOST if name == 'host' else _LARGE
    if name == bound or share[name] >= large:
      lines += _CAUSES[name][1](found, config)
  lines += _around(found)
  return bound, [*dict.fromkeys(lines)]  # Two causes may have one remedy.


def _input(
    found: Mapping[str, Any], config: config_lib.Config
) -> Iterator[str]:
  if found['is_resident']:
    yield (
        'The data are in the memory of the device: this time goes to shuffling '
        'and gathering batches. No flag makes that faster.'
    )
    return
  rate = config.global_batch_size / found['input_seconds']
  yield f'By itself, the pipeline delivers {rate:,.0f} examples/s.'
  data, room = found['data_bytes'], found['memory_bytes']['machine']
  if config.resident_gb * 1e9 < data < room / 2:
    yield (
        f'--resident_gb={math.ceil(data / 1e7) / 100:g} keeps the data in '
        'memory (and shuffles all of them, which changes the weights).'
    )
  elif data > config.resident_gb * 1e9:
    yield 'The data do not fit into the memory of this machine.'
  else:
    yield (
        'No flag changes this: loading the examples takes this long. Do less '
        'work per example in the data set, or prepare the examples beforehand.'
    )


def _model(
    found: Mapping[str, Any], config: config_lib.Config
) -> Iterator[str]:
  half = found['half_seconds']
  if half and half * _FASTER < found['seconds_per_step']:
    yield (
        f'With --precision=bfloat16 a step takes {1e3 * half:.3g} ms here, '
        'usually with similar accuracy.'
    )
  if config.jit_compile == 'off':
    yield _COMPILE
  if found['floor_seconds'] is None:
    return
  floor = found['floor_seconds'] / found['seconds_per_step']
  if floor < _FAR:
    yield (
        'Its matrix products are far below the peak speed of this machine: '
        'they are small, or most of the time goes to other operations. A '
        'larger --global_batch_size may help; launch.tune batch_size tests it.'
    )
  elif floor > _NEAR:
    yield (
        'This is near the peak speed of the device: only a smaller model is '
        'faster.'
    )


def _update(
    found: Mapping[str, Any], config: config_lib.Config
) -> Iterator[str]:
  yield (
      'A larger --global_batch_size updates less often; another --optimizer '
      'or --optimizer_arg may be cheaper.'
  )
  if config.jit_compile == 'off':
    yield _COMPILE


def _all_reduce(
    found: Mapping[str, Any], config: config_lib.Config
) -> Iterator[str]:
  yield 'A larger --global_batch_size sums less often.'
  if config.num_virtual_devices is not None:
    yield (
        '--num_virtual_devices is only for trying replicas: they share one '
        'processor.'
    )


def _host(found: Mapping[str, Any], config: config_lib.Config) -> Iterator[str]:
  number = found['steps_per_call']
  if number * found['seconds_per_step'] > _CALL_SECS:
    return
  if config.steps_per_loop is not None and config.steps_per_loop < 2 * number:
    yield (
        f'Without --steps_per_loop={config.steps_per_loop}, a call takes as '
        'many steps as fit into half a second.'
    )
  elif config.log_every_steps < 2 * number:
    yield (
        f'--log_every_steps={10 * config.log_every_steps} interrupts fewer '
        'calls.'
    )
  else:
    yield f'A call takes {number:.0f} steps; it stops at the end of each epoch.'


def _around(found: Mapping[str, Any]) -> Iterator[str]:
  """Explains what else makes the run slow."""
  yield from found['warnings']
  if found['too_fast']:
    yield (
        'The forward and the backward pass cannot be told apart: one of them '
        'would beat the peak speed. Without the other, a pass may be compiled '
        'to slower code than within a step.'
    )
  yield from environment.load_warnings(found['load'], found['machine']['cpus'])
  run = found['num_steps'] * found['seconds_per_step']
  if found['first_step_seconds'] > run:
    yield (
        f'The {found["num_steps"]:,} steps of the run take {run:.1f} s, and '
        f'its start {found["first_step_seconds"]:.1f} s.'
    )


# The beginning of the first sentence, and a function that yields advice.
_CAUSES: dict[str, tuple[str, Callable[..., Iterable[str]]]] = {
    'input': ('Input-bound: waiting for the batch takes', _input),
    'model': ('Compute-bound: the forward and backward pass take', _model),
    'update': ('Update-bound: what the optimizer computes takes', _update),
    'all_reduce': ('Bound by the sum over replicas, which takes', _all_reduce),
    'host': ('Host-bound: Python between the calls of the graph takes', _host),
    'other': (
        'Not clear: the sum of the separately measured parts is off by',
        lambda found, config: [
            'Another process may be using the machine: measure again.'
        ],
    ),
}
