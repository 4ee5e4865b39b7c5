"""Measures the effect of a learning rate, a batch size or steps per loop.

Each measurement trains a separate state, which is then dropped.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines import batches, datasets

from .. import building, programs
from .. import config as config_lib
from .. import experiment as experiment_lib
from ..machine import environment, model_size
from ..training import data_loops, preparing

# The steps of a range test, and its lowest and highest rate.
_NUM_RATES = 200
_RATES = (1e-6, 10.0)
# The test ends where the loss is this many times the lowest.
_DIVERGED = 4.0
_SIZES = tuple(2**power for power in range(3, 14))
_LOOPS = tuple(2**power for power in range(11))
# The seconds of one measurement of a speed; the best of several counts.
_SECS = 0.4
_TIMES = 3
# This fraction of the best speed counts as equally good.
_NEAR = 0.9


class Curve(NamedTuple):
  """A measurement and what it suggests.

  Attributes:
    axes: The names of the settings and of the values.
    places: The settings that were tried.
    values: The measurement for each.
    smooth: The smoothed measurements. None for speeds.
    suggestion: The suggested value of the flag.
    reason: The reason for it, and other observations.
  """

  axes: tuple[str, str]
  places: list[float]
  values: list[float]
  smooth: list[float] | None
  suggestion: float
  reason: str


class _Bench:
  """Takes steps as in a run of a config."""

  def __init__(
      self,
      config: config_lib.Config,
      strategy: tf.distribute.Strategy,
      experiment: experiment_lib.Experiment,
      dataset: datasets.Dataset,
  ):
    data = dataset.split('train')
    self.steps_per_epoch = batches.num_train_steps_per_epoch(
        data.num_examples, config.global_batch_size
    )
    if config != experiment.config:
      experiment = experiment_lib.Experiment(
          config, experiment.data, self.steps_per_epoch
      )
    tf.random.set_seed(config.seed)
    self._state = building.fresh(experiment, data, strategy)
    extent = experiment.extent(strategy, data.is_resident)
    self._data_loop = data_loops.of_training(
        building.make_step(experiment, strategy, extent),
        strategy,
        extent,
        data,
        seed=config.seed,
        global_batch_size=config.global_batch_size,
        num_steps=2**31 - 1,
    )
    self._zeros = experiment.zero_sums(experiment.train_metric)
    self._step = 0

  def take(self, num_steps: int) -> float:
    """Takes steps; returns their mean loss, which may not be finite."""
    sums = self._zeros
    while num_steps:  # No call goes beyond the end of an epoch.
      left = self.steps_per_epoch - self._step % self.steps_per_epoch
      size = min(num_steps, left)
      sums, _ = self._data_loop(self._state, sums, self._step, size)
      self._step += size
      num_steps -= size
    return float(sums['loss'] / sums['weight'])

  def rate(self, size: int = 0) -> float:
    """Returns steps per second, for `size` steps per call, or growing calls.

    Raises:
      Failure: If the loss is not finite, which ends calls early.
    """
    started, taken = time.monotonic(), 0
    while not taken or time.monotonic() - started < _SECS:
      most = size or min(max(taken, 1), self.steps_per_epoch)
      if not math.isfinite(self.take(most)):
        raise programs.Failure(
            'the loss is not finite; give a smaller --learning_rate.'
        )
      taken += most
    return taken / (time.monotonic() - started)


def learning_rate(
    config: config_lib.Config, values: Sequence[float] | None
) -> Curve:
  """Runs a range test, in which the learning rate increases at each step.

  Args:
    config: The config of a run.
    values: The lowest and the highest rate.

  Returns:
    The loss as a function of the rate.

  Raises:
    UserError: If flags, data or values do not fit.
    Failure: If the loss does not fall at any rate.

  Reference:
    Smith 2015, https://arxiv.org/abs/1506.01186.
  """
  low, high = values or _RATES
  rates = np.geomspace(low, high, _NUM_RATES)

  def growing(learning_rate: float, num_steps: int) -> Any:
    table = tf.constant(rates, tf.float32)
    return lambda step: tf.gather(
        table, tf.minimum(tf.cast(step, tf.int32), _NUM_RATES - 1)
    )

  config, scope = preparing.alone(config, 'learning_rate')
  config = dataclasses.replace(
      config,
      schedule=growing,
      schedule_arg={},
      plateau_patience=None,
      num_steps=_NUM_RATES,
  )
  experiment, dataset = preparing.prepare(config)
  bench = _Bench(experiment.config, scope, experiment, dataset)
  found: list[float] = []
  for _ in rates:
    loss = bench.take(1)
    recent = float(np.mean([*found[-4:], loss]))
    if not np.isfinite(recent) or (
        found and recent > _DIVERGED * max(min(found), 1e-12)
    ):
      break
    found.append(loss)
  places = rates[: len(found)]
  suggestion, reason = suggest(found, places)
  return Curve(
      ('learning rate', 'loss'),
      places.tolist(),
      found,
      smoothed(found).tolist(),
      suggestion,
      reason,
  )


def suggest(losses: Sequence[float], rates: np.ndarray) -> tuple[float, str]:
  """Suggests a learning rate from a range test.

  It is the higher one of two common suggestions: where the loss falls most
  steeply, and a tenth of the rate at which it is lowest. docs/guide_launch.md
  says how close that comes to the best rate.

  Args:
    losses: The loss at each rate ``[num_rates]``.
    rates: The learning rates ``[num_rates]``, which increase geometrically.

  Returns:
    The rate, and the reason for it.

  Raises:
    Failure: If the loss does not fall.

  Reference:
    fastai's `lr_find`, its suggestions `steep` and `minimum`.
  """
  smooth = smoothed(losses)
  lowest = int(np.argmin(smooth)) if len(losses) > 2 else 0
  if lowest < 2:
    raise programs.Failure(
        f'learning_rate: the loss falls at no rate from {rates[0]:g} on; give '
        'others by --values=LOW,HIGH.'
    )
  # Slopes are noisier than values.
  coarse = smoothed(losses, share=1 / 20)
  slopes = np.gradient(coarse, np.log(rates))[: int(np.argmin(coarse)) + 1]
  steepest, tenth = rates[int(np.argmin(slopes))], rates[lowest] / 10
  return float(f'{max(steepest, tenth):.2g}'), (
      f'the smoothed loss is lowest at {rates[lowest]:.2g}, a tenth of which '
      f'is {tenth:.2g}, and falls most steeply at {steepest:.2g}; the higher '
      'one is suggested, as the peak rate of any --schedule.'
  )


def smoothed(values: Sequence[float], share: float = 1 / 50) -> np.ndarray:
  """Averages values by a Gaussian.

  Args:
    values: The values ``[num_values]``.
    share: The standard deviation, as a share of the number of values.

  Returns:
    Averages ``[num_values]``.
  """
  places = np.arange(len(values))
  width = max(1.0, share * len(values))
  weights = np.exp(-0.5 * ((places - places[:, None]) / width) ** 2)
  return weights @ np.asarray(values) / weights.sum(axis=1)


def batch_size(
    config: config_lib.Config, values: Sequence[float] | None
) -> Curve:
  """Measures examples per second for sizes of the global batch.

  Args:
    config: The config of a run.
    values: The sizes.

  Returns:
    The speeds.

  Raises:
    UserError: If flags, data or values do not fit.
    Failure: If the loss is not finite, or no size fits into memory.
  """
  sizes = [int(value) for value in values or _SIZES]
  config, scope = preparing.alone(
      dataclasses.replace(config, global_batch_size=min(sizes)), 'batch_size'
  )
  experiment, dataset = preparing.prepare(config)
  found: dict[int, float] = {}
  used = [environment.peak_memory()]
  why = ''
  for size in sizes:
    if size > dataset.num_examples['train']:
      why = f'there are {dataset.num_examples["train"]:,} examples'
      break
    # The next size adds about twice what the last one added. On a GPU,
    # TensorFlow itself raises an error if it does not fit.
    ahead = used[-1] + 2 * (used[-1] - used[-2]) if len(used) > 2 else 0
    if ahead > model_size.machine_bytes():
      why = f'{size} examples would not fit the memory'
      break
    try:
      bench = _Bench(
          dataclasses.replace(experiment.config, global_batch_size=size),
          scope,
          experiment,
          dataset,
      )
      bench.take(2)
      found[size] = size * max(bench.rate() for _ in range(_TIMES))
    except (tf.errors.ResourceExhaustedError, MemoryError):
      why = f'{size} examples do not fit the memory'
      break
    used.append(environment.peak_memory())
    if len(found) > 3 and max(found.values()) > max(list(found.values())[-3:]):
      why = 'larger ones are not faster'
      break
  if not found:
    raise programs.Failure(f'batch_size: no size was measured: {why}.')
  suggestion = _smallest(found)
  return Curve(
      ('batch size', 'examples per second'),
      [*map(float, found)],
      [*found.values()],
      None,
      suggestion,
      f'{_near(found, suggestion, "examples")}. The largest measured is '
      f'{max(found)}{f": {why}" if why else ""}; the peak was '
      f'{model_size.peaks()}. A larger batch takes fewer steps per epoch, and '
      'often a higher --learning_rate.',
  )


def steps_per_loop(
    config: config_lib.Config, values: Sequence[float] | None
) -> Curve:
  """Measures steps per second for numbers of steps per call of the graph.

  Args:
    config: The config of a run.
    values: The numbers of steps.

  Returns:
    The speeds.

  Raises:
    UserError: If flags, data or values do not fit.
    Failure: If the loss is not finite.
  """
  config, scope = preparing.alone(config, 'steps_per_loop')
  experiment, dataset = preparing.prepare(config)
  bench = _Bench(experiment.config, scope, experiment, dataset)
  bench.take(2)
  sizes = [
      int(value)
      for value in values or _LOOPS
      if values or value <= bench.steps_per_epoch
  ]
  found = dict.fromkeys(sizes, 0.0)
  for _ in range(_TIMES):  # Alternating, since the machine may slow down.
    for size in sizes:
      found[size] = max(found[size], bench.rate(size))
  suggestion = _smallest(found)
  return Curve(
      ('steps per loop', 'steps per second'),
      [*map(float, found)],
      [*found.values()],
      None,
      suggestion,
      f'{_near(found, suggestion, "steps")}. Without the flag, a call lasts '
      'half a second.',
  )


def _smallest(found: dict[int, float]) -> int:
  """Returns the smallest size that is nearly as fast as the fastest."""
  enough = _NEAR * max(found.values())
  return min(size for size, rate in found.items() if rate >= enough)


def _near(found: dict[int, float], suggestion: int, what: str) -> str:
  best = max(found, key=lambda size: found[size])
  if best == suggestion:
    return f'the fastest: {found[best]:,.0f} {what} per second'
  return (
      f'the smallest within 10 % of the fastest: {found[suggestion]:,.0f} '
      f'{what} per second, and {found[best]:,.0f} with {best}'
  )
