"""Measures where the time of a run goes.

The run is trained as it will be, without validation, saving and the user's
hooks. Between its calls of the graph, rounds of other measurements are made, so
that a machine that is slow for a while is slow for all of them; medians over
the rounds count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from core import scratch
from pipelines import examples

from . import (
    building,
    environment,
    interruption,
    loop,
    model_size,
    opening,
    preparing,
    step_times,
)
from . import config as config_lib
from . import workdir as workdir_lib
from .hooks import health, rows

_PREFIX = 'quatrain-benchmark-'
# The most seconds of the loop, and of each other measurement, per round.
_LOOP_SECS, _PART_SECS = 0.2, 0.05
_MIN_ROUNDS = 3
_MAX_WARM_SECS = 3.0


class _Rounds(loop.Hook):
  """Measures between the calls of the graph, and then ends the run.

  Attributes:
    found: What each round has measured: seconds per step, or rates.
    first_at: The time after the first call.
    first_seconds: How long that took.
    peaks: The peak memory before anything else was measured.
  """

  name = 'benchmark'

  def __init__(
      self,
      run: building.Training,
      measure: Callable[[float], Callable[[], dict[str, float]]],
      num_seconds: float,
  ):
    """Names what is measured.

    Args:
      run: The run.
      measure: Given how long a measurement may take, returns a function that
        makes one of each kind.
      num_seconds: How long to go on.
    """
    self.found: list[dict[str, float]] = []
    self.first_at = self.first_seconds = 0.0
    self.peaks: dict[str, int] = {}
    self._now = run.now
    self._make = measure
    self._num_seconds = num_seconds
    self._loop_secs = min(_LOOP_SECS, num_seconds / 20)
    self._measure: Callable[[], dict[str, float]] | None = None
    self._last_size = 0
    self._mark: tuple[float, ...] = ()
    self._calls = 0
    self._began = 0.0

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Measures a round, when it is time."""
    self._calls += 1
    at = time.monotonic()
    if not self.first_at:
      self.first_at = at
      self.first_seconds = self._now.seconds_in['first_call']
    if self._measure is None:
      is_growing = self._now.calls.size > 1.5 * self._last_size
      self._last_size = self._now.calls.size
      seconds = at - self.first_at
      if seconds < self._loop_secs or (is_growing and seconds < _MAX_WARM_SECS):
        return None
      self.peaks = environment.peaks()
      self._measure = self._make(min(_PART_SECS, self._num_seconds / 80))
      self._began = time.monotonic()
      return None
    if not self._mark:  # The first call after a round finds cold caches.
      self._begin(step)
      return None
    before, steps_before, graph_before, busy_before = self._mark
    seconds, taken = at - before, step - steps_before
    if seconds < self._loop_secs:
      return None
    in_graph = self._now.seconds_in['steps'] - graph_before
    busy = time.process_time() - busy_before
    more = self._measure()
    calls = self._calls / taken
    self.found.append({
        **more,
        'step': seconds / taken,
        'host': (seconds - in_graph) / taken + calls * more['empty_call'],
        'calls': calls,
        'busy': busy / seconds,
    })
    self._mark = ()
    is_over = time.monotonic() - self._began > self._num_seconds
    return 'measured' if is_over and len(self.found) >= _MIN_ROUNDS else None

  def _begin(self, step: int) -> None:
    self._calls = 0
    self._mark = (
        time.monotonic(),
        step,
        self._now.seconds_in['steps'],
        time.process_time(),
    )


def run(
    config: config_lib.Config,
    num_seconds: float,
    started: float,
    count_compilations: Callable[[], int],
) -> dict[str, Any]:
  """Measures a run.

  Args:
    config: What the run computes. What is in its work directory does not
      matter.
    num_seconds: How long to measure, after all is compiled.
    started: When the program began, on the monotonic clock.
    count_compilations: Counts what XLA has compiled in this process.

  Returns:
    What was measured, in seconds, bytes and FLOP, as `launch.benchmark` writes
    it, without advice.

  Raises:
    UserError: If the run would not begin.
    Failure: If it would fail.
  """
  config, scope = preparing.alone(config, 'launch.benchmark')
  experiment, dataset = preparing.prepare(config)
  num_steps = experiment.num_steps
  # Measuring ends it. Its schedule, made by now, is that of the run.
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
    compiled: list[int] = []

    def measure(seconds: float) -> Callable[[], dict[str, float]]:
      compiled.append(count_compilations())
      return step_times.measuring(
          training, dataset.split('train'), scope, seconds
      )

    clock = _Rounds(training, measure, num_seconds)
    kept = health.Health | rows.Log
    hooks = [hook for hook in training.hooks if isinstance(hook, kept)]
    if number := loop.run(
        training.state, training.feed, [*hooks, clock], training.now
    ):
      raise interruption.Interrupted(number)
  return {
      'config': experiment.config.to_json(),
      'num_steps': num_steps,
      'num_replicas': scope.num_replicas_in_sync,
      'compiled': training.extent.name.lower(),
      'num_compilations': compiled[0],
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
  """Returns medians over the rounds, and what follows from them."""
  experiment = run.experiment
  size = experiment.config.global_batch_size
  columns = {
      name: np.array([each[name] for each in clock.found])
      for name in clock.found[0]
  }
  median = {name: float(np.median(c)) for name, c in columns.items()}
  step = median['step']
  low, high = np.quantile(columns['step'], [0.25, 0.75])
  is_resident = isinstance(data, examples.Examples)
  parts = step_times.split(columns, is_resident)
  layers = experiment.layers().values()
  convolved = size * sum(layer.convolved for layer in layers)
  flop = size * sum(layer.forward + layer.backward for layer in layers)
  floor = (flop - convolved) / median['product']
  if convolved:
    floor += convolved / median['convolution']
  return {
      'compile_seconds': max(clock.first_seconds - step, 0.0),
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
      'floor_seconds': floor if flop else None,
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


def _half_seconds(columns: Mapping[str, np.ndarray]) -> float | None:
  """Returns the seconds that a step would take in half precision."""
  if 'half' not in columns:
    return None
  step = columns['step']
  change = np.median((columns['half'] - columns['update']) / step)
  return float((1 + change) * np.median(step))


def _bytes(variables: Any) -> int:
  return sum(
      variable.shape.num_elements() * variable.dtype.size
      for variable in tf.nest.flatten(variables)
  )
