"""Measures where the time of a run goes.

The run trains as usual, but without validation, checkpoints and the user's
hooks. Rounds of other measurements alternate with its calls of the graph, so
that a temporary slowdown of the machine affects all of them alike. The results
are medians over the rounds.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import scratch
from pipelines import in_memory

from .. import building, interruption, loop
from .. import config as config_lib
from .. import workdir as workdir_lib
from ..hooks import health, metrics_writer
from ..machine import costs, environment, model_size
from ..training import opening, preparing
from . import step_times

_PREFIX = 'quatrain-benchmark-'
# The maximum seconds of the loop, and of each other measurement, per round.
_LOOP_SECS, _PART_SECS = 0.2, 0.05
_MIN_ROUNDS = 3
_MAX_WARM_SECS = 3.0


@dataclasses.dataclass
class _Rounds(loop.Hook):
  """Measures between the calls of the graph, and then ends the run.

  Attributes:
    now: The current state of the loop.
    make: Given the time for each measurement in seconds, returns a function
      that makes one measurement of each kind.
    num_seconds: How long to measure.
    count_compilations: Counts the programs XLA has compiled in this process.
    found: The measurements of each round: seconds per step, or rates.
    first_at: The time after the first call.
    peaks: The peak memory before the other measurements.
    num_compilations: The number of compiled programs at that time.
  """

  now: loop.Now
  make: Callable[[float], Callable[[], dict[str, float]]]
  num_seconds: float
  count_compilations: Callable[[], int]
  found: list[dict[str, float]] = dataclasses.field(default_factory=list)
  first_at: float = 0.0
  peaks: dict[str, int] = dataclasses.field(default_factory=dict)
  num_compilations: int = 0
  name = 'benchmark'

  def __post_init__(self) -> None:
    """Creates the generator that measures."""
    self._measuring = self._measure()

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Continues measuring, and ends the run when done."""
    return next(self._measuring, 'measured')

  def _measure(self) -> Iterator[None]:
    """Measures; each `yield` is a call of the graph."""
    now = self.now
    self.first_at = time.monotonic()
    loop_secs = min(_LOOP_SECS, self.num_seconds / 20)
    size, seconds = 0, 0.0
    while seconds < loop_secs or (
        now.call_length.size > 1.5 * size and seconds < _MAX_WARM_SECS
    ):
      size = now.call_length.size
      yield
      seconds = time.monotonic() - self.first_at
    self.peaks = environment.peaks()
    self.num_compilations = self.count_compilations()
    measure = self.make(min(_PART_SECS, self.num_seconds / 80))
    began = time.monotonic()
    while (
        len(self.found) < _MIN_ROUNDS
        or time.monotonic() - began <= self.num_seconds
    ):
      yield  # Skip the first call after other measurements: caches are cold.
      start, busy, first = time.monotonic(), time.process_time(), now.step
      in_graph = now.seconds_in['steps']
      calls, seconds = 0, 0.0
      while seconds < loop_secs:
        yield
        calls, seconds = calls + 1, time.monotonic() - start
      busy = time.process_time() - busy
      in_graph = now.seconds_in['steps'] - in_graph
      taken = now.step - first
      more = measure()
      self.found.append({
          **more,
          'step': seconds / taken,
          'host': (seconds - in_graph + calls * more['empty_call']) / taken,
          'calls': calls / taken,
          'busy': busy / seconds,
      })


def run(
    config: config_lib.Config,
    num_seconds: float,
    started: float,
    count_compilations: Callable[[], int],
) -> dict[str, Any]:
  """Measures a run.

  Args:
    config: The config of the run. Its work directory is not read.
    num_seconds: How long to measure, after compiling.
    started: When the program began, on the monotonic clock.
    count_compilations: Counts the programs XLA has compiled in this process.

  Returns:
    The measurements, in seconds, bytes and FLOP, as `launch.benchmark` writes
    them, without advice.

  Raises:
    UserError: If the run could not start.
    Failure: If the run would fail.
  """
  config, scope = preparing.alone(config, 'launch.benchmark')
  experiment, dataset = preparing.prepare(config)
  num_steps = experiment.num_steps
  # The benchmark ends the run. The schedule was made above, from the real
  # number of steps.
  experiment.num_steps = 2**31 - 1
  with scratch.folder(_PREFIX) as folder:
    training = preparing.build(
        experiment,
        dataset,
        scope,
        workdir_lib.Workdir(str(folder)),
        lambda message: None,
        started=started,
        steps_per_loop=config.steps_per_loop,
        count_compilations=count_compilations,
    )
    make = functools.partial(
        step_times.measuring, training, dataset.split('train'), scope
    )
    clock = _Rounds(training.now, make, num_seconds, count_compilations)
    kept = health.Health | metrics_writer.Log
    hooks = [hook for hook in training.hooks if isinstance(hook, kept)]
    if number := loop.run(
        training.state, training.data_loop, [*hooks, clock], training.now
    ):
      raise interruption.Interrupted(number)
  return {
      'config': experiment.config.to_json(),
      'num_steps': num_steps,
      'num_replicas': scope.num_replicas_in_sync,
      'compiled': training.extent.name.lower(),
      'num_compilations': clock.num_compilations,
      'is_resident': dataset.is_resident,
      'data_bytes': (
          sum(dataset.num_examples.values()) * _bytes(dataset.spec.zeros())
      ),
      'first_step_seconds': clock.first_at - started,
      'warnings': opening.slow(experiment, scope, training.extent),
      **_summary(training, dataset.split('train'), clock),
  }


def _summary(
    run: building.Training, data: Any, clock: _Rounds
) -> dict[str, Any]:
  """Returns medians over the rounds, and values derived from them."""
  experiment = run.experiment
  size = experiment.config.global_batch_size
  columns = {
      name: np.array([each[name] for each in clock.found])
      for name in clock.found[0]
  }
  median = {name: float(np.median(c)) for name, c in columns.items()}
  step = median['step']
  low, high = np.quantile(columns['step'], [0.25, 0.75])
  is_resident = isinstance(data, in_memory.InMemorySplit)
  parts = step_times.split(columns, is_resident)
  layers = experiment.layers().values()
  flop = size * sum(layer.forward + layer.backward for layer in layers)
  floors = {
      name: size * sum(floor(layer, name, median) for layer in layers)
      for name in ('forward', 'backward')
  }
  return {
      'compile_seconds': max(run.now.seconds_in['first_call'] - step, 0.0),
      'seconds_per_step': step,
      'seconds_per_step_quartiles': [float(low), float(high)],
      'examples_per_second': size / step,
      'examples_per_second_quartiles': [size / float(high), size / float(low)],
      'num_rounds': len(clock.found),
      'steps_per_call': 1 / median['calls'],
      'parts': parts,
      'half_seconds': _half_seconds(columns),
      'input_seconds': median['pipeline'] + is_resident * median['input'],
      'flop_per_step': flop,
      'floor_seconds': sum(floors.values()) if flop else None,
      'too_fast': [
          name for name in floors if (parts[name] or 0.0) < floors[name]
      ],
      'flop_per_second': {
          name: median[name]
          for name in ('product', 'convolution')
          if name in median
      },
      'busy_cpus': median['busy'],
      'load': os.getloadavg()[0],
      'machine': {**environment.machine(), 'peak_memory_bytes': clock.peaks},
      'memory_bytes': {
          'machine': model_size.machine_bytes(),
          'parameters': _bytes(run.state.parameters),
          'optimizer_state': _bytes(run.state.optimizer_state),
          'training_data': (
              sum(a.nbytes for a in data.arrays.values()) if is_resident else 0
          ),
      },
  }


def floor(layer: costs.Layer, name: str, rates: Mapping[str, float]) -> float:
  """Returns the seconds per example of a layer's products at given rates.

  Args:
    layer: The cost of the layer.
    name: The pass: forward or backward.
    rates: FLOP per second of a `product` and, if needed, a `convolution`.
  """
  total = layer.forward + layer.backward
  if not total:
    return 0.0
  convolved = layer.convolved / total
  seconds = (1 - convolved) / rates['product']
  if convolved:
    seconds += convolved / rates['convolution']
  return getattr(layer, name) * seconds


def _half_seconds(columns: Mapping[str, np.ndarray]) -> float | None:
  """Returns the seconds that a step would take in half precision."""
  if 'half' not in columns:
    return None
  step = columns['step']
  change = np.median((columns['half'] - columns['update']) / step)
  return float((1 + change) * np.median(step))


def _bytes(variables: Any) -> int:
  return sum(map(costs.num_bytes, tf.nest.flatten(variables)))
