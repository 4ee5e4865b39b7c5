"""The first messages of `launch.train`."""

from __future__ import annotations

import tensorflow as tf

from core import compilation, distribution, precision
from pipelines import datasets

from .. import building, tables
from .. import experiment as experiment_lib

# With fewer steps, results reflect the run's length more than its parts.
_FEW_STEPS = 200


def describe(
    experiment: experiment_lib.Experiment,
    dataset: datasets.Dataset,
    strategy: tf.distribute.Strategy,
    run: building.Training,
    notes: list[str],
) -> str:
  """Describes what is about to be trained, on what, and from which step.

  Args:
    experiment: The parts of the run.
    dataset: The data set.
    strategy: The strategy.
    run: The built run.
    notes: Additional lines.
  """
  counts = ', '.join(
      f'{number:,} {split}' for split, number in dataset.num_examples.items()
  )
  name = f'{dataset.name} {dataset.version}'.rstrip()
  kind = 'GPU' if distribution.on_gpu(strategy) else 'CPU'
  lines = [
      tables.layers(experiment.layers()),
      '',
      f'{name}: {counts}; {experiment.data.describe()}',
      (
          f'{type(strategy).__name__} over {strategy.num_replicas_in_sync} '
          f'{kind} replica(s) in {experiment.config.precision}, '
          f'{experiment.num_steps:,} steps of '
          f'{experiment.config.global_batch_size} examples, '
          f'{experiment.steps_per_epoch:,} per epoch'
      ),
  ]
  lines += dataset.notes
  if run.initial:
    lines += run.initial.lines()
  lines += slow(experiment, strategy, run.extent)
  lines += _short(experiment)
  if not experiment.config.learning_rate:
    lines.append('--learning_rate=0: the optimizer changes no weight.')
  lines += _passed(experiment.config.profiled, run.now.step)
  lines += notes
  return '\n'.join(lines) + '\n'


def slow(
    experiment: experiment_lib.Experiment,
    strategy: tf.distribute.Strategy,
    extent: compilation.Extent,
) -> list[str]:
  """Warns about flags that make a run slow on these devices."""
  return [
      *_emulated(experiment.config.precision, strategy),
      *_slow(experiment, strategy, extent),
  ]


def _short(experiment: experiment_lib.Experiment) -> list[str]:
  """Warns about a small data set that defaults hardly train on."""
  steps, size = experiment.num_steps, experiment.config.global_batch_size
  if experiment.config.num_steps or steps >= _FEW_STEPS:
    return []
  return [
      f'few steps: {steps} in all, of {size} examples each; more --num_epochs '
      'or a smaller --global_batch_size train longer.'
  ]


def _passed(steps: tuple[int, int] | None, step: int) -> list[str]:
  """Reports which steps of a trace an earlier start has taken."""
  if steps is None or step <= steps[0]:
    return []
  first, last = steps
  left = f'steps {step + 1} to {last}' if step < last else 'nothing'
  return [
      f'--profile_steps={first}:{last}: step {step} is passed already; {left} '
      'will be traced.'
  ]


def _emulated(dtype: str, strategy: tf.distribute.Strategy) -> list[str]:
  """Warns about half precision without hardware products."""
  if precision.is_native(dtype, strategy):
    return []
  return [
      f'--precision={dtype}: slow here, where products in it are emulated; '
      '--precision=auto chooses what the devices support.'
  ]


def _slow(
    experiment: experiment_lib.Experiment,
    strategy: tf.distribute.Strategy,
    extent: compilation.Extent,
) -> list[str]:
  """Warns about flags that compile what XLA computes slowly."""
  if extent <= compilation.Extent.UPDATE or (
      not experiment.is_slow_on_cpu(strategy)
  ):
    return []
  flag = f'--jit_compile={experiment.config.jit_compile}'
  if extent == compilation.Extent.LOOP:
    return [
        f'{flag}: a compiled loop around this model is slow on a CPU, with '
        'convolutions very slow; --jit_compile=auto leaves it to TensorFlow.'
    ]
  return [
      f'{flag}: XLA computes this model more slowly on a CPU than TensorFlow '
      'does; --jit_compile=auto leaves it to that.'
  ]
