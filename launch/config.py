"""What a run is: its options, each declared once.

An option is a field of `Config`, or of a class that it inherits from. The flag
of that name, its help and bounds, the check of a value that a program of the
user's own gives, and whether it may change when a run is resumed all come from
there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from absl import flags

from . import option_flags, options, training_options, typed_json

flags.disclaim_key_flags()

_MAX_INT = 2**31 - 1
# Mappings of which the first entry that fits counts.
_ORDERED = ('learning_rates',)
# The schedule that is the same however long the run is.
_ENDLESS = 'constant'
# What version 0.1.0 wrote: a file without these is not that of a run. Any other
# option has a default with which a run computes what it did before.
_REQUIRED = (
    'dataset',
    'validation_examples',
    'image_size',
    'normalize',
    'model',
    'model_arg',
    'loss',
    'loss_arg',
    'class_weights',
    'label_smoothing',
    'l1_penalty',
    'l2_penalty',
    'optimizer',
    'optimizer_arg',
    'learning_rate',
    'schedule',
    'schedule_arg',
    'clip_global_norm',
    'global_batch_size',
    'num_epochs',
    'num_steps',
    'seed',
    'log_every_steps',
    'eval_every_epochs',
    'checkpoint_every_steps',
    'keep_checkpoints',
)
_option = options.option


@options.takes_former_names
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(training_options.TrainingOptions):
  """The options of a run, which are the flags of `launch.train`.

  Any may be left out. Of --precision=auto, the program keeps what it chose: no
  work directory holds `auto`.

  Raises:
    ValueError: If a value does not fit, with the name of the field.

  Example:
    >>> from launch import config
    >>> config.Config(num_epochs=3).learning_rate
    0.001
  """

  steps_per_loop: int | None = _option(
      None,
      'How many steps a call of the graph takes at most. Default: as many as '
      'take half a second; periods cut a call short.',
      kind='place',
      low=1,
      high=_MAX_INT,
  )
  compilation_cache_dir: str | None = _option(
      None,
      'Where to keep what XLA compiles, so that a second start need not '
      "compile again. Default: the user's cache folder; an empty name keeps "
      'nothing.',
      kind='start',
      path='empty',
  )
  log_every_steps: int = _option(
      100,
      'The steps between rows of metrics.jsonl.',
      kind='free',
      low=1,
      high=_MAX_INT,
  )
  hash_every_steps: int = _option(
      0,
      'The steps between rows of metrics.jsonl that have a hash of the '
      'weights, by which launch.diff finds the first step at which two runs '
      'differ. 0: none has.',
      kind='free',
      low=0,
      high=_MAX_INT,
  )
  histogram_every_steps: int = _option(
      0,
      "The steps between histograms of the weights and of the next step's "
      'gradients, and their norms, in summaries/. 0: none.',
      kind='free',
      low=0,
      high=_MAX_INT,
  )
  profile_steps: str | None = _option(
      None,
      'FIRST:LAST, such as 100:110: the steps after step FIRST, up to step '
      "LAST, are traced by TensorFlow's profiler, into summaries/. Default: "
      'none.',
      kind='free',
  )
  eval_every_epochs: int = _option(
      1, 'The epochs between validations.', kind='free', low=1, high=10**6
  )
  checkpoint_every_steps: int | None = _option(
      None,
      'The steps between checkpoints. Default: the end of each epoch, not '
      'sooner than ten seconds of training after the last time.',
      kind='free',
      low=1,
      high=_MAX_INT,
  )
  keep_checkpoints: int = _option(
      3,
      'How many of the last checkpoints are kept.',
      kind='free',
      low=1,
      high=10**6,
  )
  async_checkpoints: bool = _option(
      True,
      'Whether checkpoints are written while training goes on. A step then '
      'waits for a copy of the state only.',
      kind='free',
  )
  monitor: str | None = _option(
      None,
      'The metric of validations that tells which weights are the best. '
      "Default: the task's own.",
      kind='free',
  )
  keep_best: bool = _option(
      True,
      'Whether the best checkpoint is kept, in checkpoints/best.',
      kind='free',
  )
  early_stopping_patience: int | None = _option(
      None,
      'End the run after so many validations in a row without a better one. '
      'Default: go on to the end.',
      kind='free',
      low=1,
      high=10**6,
  )
  plateau_patience: int | None = _option(
      None,
      'Multiply the learning rate by --plateau_factor after so many '
      'validations in a row without a better one. Default: never.',
      low=1,
      high=10**6,
  )
  plateau_factor: float = _option(
      0.1, 'The factor of --plateau_patience.', low=0, high=1
  )
  max_minutes: float | None = _option(
      None,
      'End the run, and score the test split, once it has taken so many '
      'minutes, all its starts together. Default: go on to the end.',
      kind='free',
      low=0,
      high=1e7,
  )
  workdir: str | None = _option(
      None,
      'The work directory: what a run writes, and resumes.',
      kind='place',
      path='local',
  )
  strategy: str = _option(
      'auto',
      'auto: the workers that TF_CONFIG or Slurm names, if there are several, '
      'each of which runs this program with the same flags; else as mirrored: '
      'replicas on all GPUs, or on the CPU. one_device: the first of these. '
      'multi_worker: the workers, and an error where none are named.',
      kind='place',
      choices=('auto', 'mirrored', 'one_device', 'multi_worker'),
  )
  num_virtual_devices: int | None = _option(
      None,
      'Split the CPU into that many devices, to try replicas on one machine.',
      kind='place',
      low=1,
      high=64,
  )
  start_timeout: float = _option(
      600.0,
      'How many seconds several workers wait for each other at the start.',
      kind='start',
      low=1,
      high=1e6,
  )
  collective_timeout: float = _option(
      3600.0,
      'How many seconds a worker waits for others that live and do not come to '
      'the next sum over all workers, as in a hook that hangs; 0 waits for '
      'ever.',
      kind='start',
      low=0,
      high=1e6,
  )
  accept_changes: bool = _option(
      False,
      'Whether a run goes on although flags that decide its weights, or its '
      'data, are not those that it began with. What changes is kept in the '
      'history of its config.json.',
      kind='start',
  )

  def __post_init__(self) -> None:
    """Checks the values."""
    super().__post_init__()
    _ = self.profiled

  @property
  def profiled(self) -> tuple[int, int] | None:
    """The numbers of `profile_steps`.

    Raises:
      ValueError: If it has no such numbers.
    """
    if self.profile_steps is None:
      return None
    found = re.fullmatch(r'(\d{1,9}):(\d{1,9})', self.profile_steps, re.ASCII)
    first, last = map(int, found.groups()) if found else (0, 0)
    if first >= last:
      raise ValueError(
          'profile_steps: expected FIRST:LAST, two numbers of steps, the first '
          f'one smaller, as in 100:110; got {self.profile_steps!r}.'
      )
    return first, last

  @classmethod
  def from_flags(cls, *names: str) -> Config:
    """Reads the flags that `define_flags` defined, once they are parsed.

    Args:
      *names: Of which options; by default of all.

    Returns:
      The config.

    Raises:
      UserError: If a value does not fit.
    """
    return option_flags.read(cls, *names)

  def to_json(self) -> dict[str, Any]:
    """Returns what is computed as JSON has it, without where: see `place`."""
    return self.of_kind('identity', 'free', 'length')

  def place(self) -> dict[str, Any]:
    """Returns where it is computed as JSON has it."""
    return self.of_kind('place')

  @classmethod
  def from_json(cls, values: Any) -> Config:
    """Undoes `to_json`, with defaults for what an older version lacks.

    Raises:
      ValueError: If a field is unknown, missing though all versions have it, or
        of another type.
    """
    if isinstance(values, dict):
      values = options.renamed(cls, values)
    return typed_json.from_json(cls, values, _REQUIRED)

  def at(self, place: Any) -> Config:
    """Returns the same at a place that `place` returned.

    Raises:
      ValueError: As `from_json` does.
    """
    there = typed_json.from_json(Config, place)
    return dataclasses.replace(self, **there.of_kind('place'))

  def of_all_workers(self) -> dict[str, Any]:
    """Returns what several workers must be given alike, by flag."""
    values = {
        **self.to_json(),
        'steps_per_loop': self.steps_per_loop,
        'accept_changes': self.accept_changes,
    }
    return {f'--{name}': value for name, value in values.items()}

  def is_free(self, name: str) -> bool:
    """Returns whether an option may change when the run is resumed."""
    kind = options.declared(self)[name].kind
    if kind == 'length':
      return self.schedule == _ENDLESS
    if name == 'monitor':  # It decides when the learning rate goes down.
      return self.plateau_patience is None
    return kind != 'identity'

  def length(self, num_train_examples: int) -> int:
    """Returns the number of steps of the whole run."""
    return self.num_steps or self.num_epochs * (
        num_train_examples // self.global_batch_size
    )


def define_flags(*names: str) -> tuple[str, ...]:
  """Defines flags of the calling program: of these options, or of all.

  Returns:
    Their names, for `Config.from_flags`.
  """
  return option_flags.define(Config, *names)


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, list[Any]]:
  """Returns what differs between two mappings: `[before, now]` by name."""
  return {
      name: [before.get(name), now.get(name)]
      for name in {**before, **now}
      if _ordered(name, before.get(name)) != _ordered(name, now.get(name))
  }


def _ordered(name: str, value: Any) -> Any:
  """Returns a value of which the order counts where it decides something."""
  is_ordered = name in _ORDERED and isinstance(value, Mapping)
  return list(value.items()) if is_ordered else value
