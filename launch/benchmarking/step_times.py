"""Times the components of a run's step separately."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import in_memory

from .. import building
from .. import config as config_lib
from ..training import data_loops
from . import prefixes, product_rates

# Maximum ratio between calls in a loop and one call repeated alone.
_MOST_HOST = 3


def measuring(
    run: building.Training,
    data: Any,
    strategy: tf.distribute.Strategy,
    seconds: float,
) -> Callable[[], dict[str, float]]:
  """Prepares measurements.

  Args:
    run: The run, which takes steps meanwhile.
    data: The training examples.
    strategy: The strategy.
    seconds: The approximate duration of a measurement.

  Returns:
    A function that makes one measurement of each kind: the seconds of an
    `empty_call` of the run's loop; the seconds per step of each of
    `prefixes.timers` and of the data `pipeline`; and the rates of
    `product_rates` by name.
  """
  experiment = run.experiment
  config = experiment.config
  timers, most = prefixes.timers(run, data, strategy)
  per_step = {
      name: _per_step(timed, most, seconds) for name, timed in timers.items()
  }
  rates = {'product': product_rates.product(strategy, config.precision)}
  if any(layer.convolved for layer in experiment.layers().values()):
    rates['convolution'] = product_rates.convolution(strategy, config.precision)
  pipeline: Callable[[], float]
  if isinstance(data, in_memory.InMemorySplit):
    pipeline = functools.partial(_order_seconds, data, config)
  else:
    pipeline = _per_step(
        _drain(run, data, strategy), 2**20, seconds, is_buffered=True
    )

  def measure() -> dict[str, float]:
    return {
        'empty_call': _empty_call(
            run, isinstance(data, in_memory.InMemorySplit)
        ),
        **{name: timed() for name, timed in per_step.items()},
        'pipeline': pipeline(),
        **{name: rate() for name, rate in rates.items()},
    }

  return measure


def _per_step(
    timed: prefixes.Timed, most: int, seconds: float, is_buffered: bool = False
) -> Callable[[], float]:
  """Returns a function that measures seconds per step, without call costs."""
  timed(1)  # Traces and compiles.
  size, taken = 1, timed(1)
  while taken < seconds / 2 and size < most:
    size = min(most, 2 * size)
    taken = timed(size)
  size = max(1, min(most, round(size * seconds / taken)))

  def measure() -> float:
    spent = 0.0
    while is_buffered and spent < 2 * seconds:
      spent += timed(-(-size // 4))  # Takes no time if already prepared.
    return max(timed(size) - timed(0), 0.0) / size

  return measure


def _drain(
    run: building.Training, data: Any, strategy: tf.distribute.Strategy
) -> prefixes.Timed:
  """Returns a timer of a pipeline whose batches are only read."""
  config = run.experiment.config
  zeros = run.experiment.zero_sums(run.experiment.train_metric)
  data_loop = data_loops.of_training(
      prefixes.input_step(zeros, strategy),
      strategy,
      run.extent,
      data,
      seed=config.seed,
      global_batch_size=config.global_batch_size,
      num_steps=2**31 - 1,
  )
  position = 0

  def timed(num_steps: int) -> float:
    nonlocal position
    started = time.monotonic()
    int(data_loop(run.state, zeros, position, num_steps)[1])
    position += num_steps
    return time.monotonic() - started

  return timed


def _order_seconds(
    data: in_memory.InMemorySplit, config: config_lib.Config
) -> float:
  """Measures how long the host shuffles an epoch, per step."""
  started = time.monotonic()
  order = data.train_keys(config.seed, 0, config.global_batch_size)
  return (time.monotonic() - started) / len(order)


def _empty_call(run: building.Training, is_resident: bool) -> float:
  """Measures a call of the graph that takes no step."""
  # Within the epoch whose order is known.
  start = run.now.step - is_resident
  for _ in range(2):  # The second one counts.
    started = time.monotonic()
    sums, taken = run.data_loop(run.state, run.now.sums, start, 0)
    int(taken)
    run.now.measure(sums)
    seconds = time.monotonic() - started
  return seconds


def split(
    columns: Mapping[str, np.ndarray], is_resident: bool
) -> dict[str, float | None]:
  """Splits the time of a step by differences.

  Args:
    columns: Seconds per step ``[num_rounds]`` of `step`, `pipeline`, `host` and
      the prefixes.
    is_resident: Whether the data are in device memory. If so, the host's share
      is limited to the rest of the loop. If not, the pipeline runs in parallel
      to the steps: the host's share is the measured one, and that of the input
      is the time that steps wait for the pipeline.

  Returns:
    The seconds of each part, whose sum is the median of `step`. `other`, which
    may be negative, is unexplained by the differences. `all_reduce` is None
    without that prefix.
  """
  step = columns['step']
  names = [name for name in prefixes.NAMES if name in columns]
  found = {
      name: columns[name] - columns[before]
      for before, name in itertools.pairwise(names)
  }
  left = step - sum(found.values())
  if is_resident:
    found['input'] = columns['input'] + columns['pipeline']
    found['host'] = np.minimum(
        left - found['input'], _MOST_HOST * columns['host']
    )
  else:
    found['host'] = columns['host']
    found['input'] = np.minimum(columns['pipeline'], left - columns['host'])
  total = float(np.median(step))
  # Per round, since the machine may have been slow in some.
  seconds: dict[str, float | None] = {
      name: (
          max(float(np.median(found[name] / step)), 0.0) * total
          if name in found
          else None
      )
      for name in (*prefixes.NAMES, 'host')
  }
  known = sum(value for value in seconds.values() if value is not None)
  return {**seconds, 'other': total - known}
