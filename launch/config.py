"""The options of a run, each declared once, as a field of `Config`.

The flag of the same name, its help text and bounds, the checks of values, and
whether an option may change when a run is resumed all come from the field.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from absl import flags

from .settings import option_flags, options, training_options, typed_json

flags.disclaim_key_flags()

_MAX_INT = 2**31 - 1
# Mappings whose order matters, because the first matching entry applies.
_ORDERED = ('learning_rates',)
# The schedule that does not depend on the length of the run.
_ENDLESS = 'constant'
# Version 0.1.0 already wrote these, so every valid file has them. The defaults
# of all later options reproduce what older versions computed.
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

  All are optional. A work directory records the precision that
  --precision=auto chose, never `auto` itself.

  Raises:
    ValueError: If a value is invalid. The message names the field.

  Example:
    >>> from launch import config
    >>> config.Config(num_epochs=3).learning_rate
    0.001
  """

  steps_per_loop: int | None = _option(
      None,
      'The maximum number of steps per call of the graph. Default: as many as '
      'fit into half a second. Logging, validation and checkpoints end a call '
      'early.',
      kind='place',
      low=1,
      high=_MAX_INT,
  )
  compilation_cache_dir: str | None = _option(
      None,
      'The folder that caches programs compiled by XLA, for faster restarts. '
      "Default: the user's cache folder. An empty value disables the cache.",
      kind='start',
      path='empty',
  )
  log_every_steps: int = _option(
      100,
      'The number of steps between rows of metrics.jsonl.',
      kind='free',
      low=1,
      high=_MAX_INT,
  )
  hash_every_steps: int = _option(
      0,
      'The number of steps between hashes of the weights in metrics.jsonl, '
      'which launch.diff uses to find the first step at which two runs differ. '
      '0 disables the hashes.',
      kind='free',
      low=0,
      high=_MAX_INT,
  )
  histogram_every_steps: int = _option(
      0,
      'The number of steps between histograms (and norms) of the weights and '
      "of the next step's gradients in summaries/. 0 disables them.",
      kind='free',
      low=0,
      high=_MAX_INT,
  )
  profile_steps: str | None = _option(
      None,
      "FIRST:LAST, such as 100:110. TensorFlow's profiler traces the steps "
      'after FIRST, up to and including LAST, into summaries/. Default: no '
      'profiling.',
      kind='free',
  )
  eval_every_epochs: int = _option(
      1,
      'The number of epochs between validations.',
      kind='free',
      low=1,
      high=10**6,
  )
  checkpoint_every_steps: int | None = _option(
      None,
      'The number of steps between checkpoints. Default: at the end of each '
      'epoch, but at least ten seconds of training apart.',
      kind='free',
      low=1,
      high=_MAX_INT,
  )
  keep_checkpoints: int = _option(
      3,
      'How many of the most recent checkpoints to keep.',
      kind='free',
      low=1,
      high=10**6,
  )
  async_checkpoints: bool = _option(
      True,
      'Whether to write checkpoints in the background. Training then waits '
      'only while the state is copied.',
      kind='free',
  )
  monitor: str | None = _option(
      None,
      'The validation metric that decides which weights are best. Default: '
      'the metric of the task.',
      kind='free',
  )
  keep_best: bool = _option(
      True,
      'Whether to keep the best checkpoint, in checkpoints/best.',
      kind='free',
  )
  early_stopping_patience: int | None = _option(
      None,
      'End the run after this many consecutive validations without '
      'improvement. Default: no early stopping.',
      kind='free',
      low=1,
      high=10**6,
  )
  plateau_patience: int | None = _option(
      None,
      'Multiply the learning rate by --plateau_factor after this many '
      'consecutive validations without improvement. Default: never.',
      low=1,
      high=10**6,
  )
  plateau_factor: float = _option(
      0.1, 'The factor that --plateau_patience applies.', low=0, high=1
  )
  max_minutes: float | None = _option(
      None,
      'End the run and score the test split after this many minutes, added '
      'up over all its starts. Default: no time limit.',
      kind='free',
      low=0,
      high=1e7,
  )
  workdir: str | None = _option(
      None,
      'The work directory, which a run writes to and resumes from.',
      kind='place',
      path='local',
  )
  strategy: str = _option(
      'auto',
      'mirrored: replicas on all GPUs, or on the CPU without GPUs. one_device: '
      'the first of these devices. multi_worker: the workers that TF_CONFIG or '
      'Slurm names (an error if there are none), each of which runs this '
      'program with the same flags. auto: multi_worker if there are several '
      'workers, else mirrored.',
      kind='place',
      choices=('auto', 'mirrored', 'one_device', 'multi_worker'),
  )
  num_virtual_devices: int | None = _option(
      None,
      'Split the CPU into this many devices, to try replicas on one machine.',
      kind='place',
      low=1,
      high=64,
  )
  start_timeout: float = _option(
      600.0,
      'How many seconds workers wait for each other at the start.',
      kind='start',
      low=1,
      high=1e6,
  )
  collective_timeout: float = _option(
      3600.0,
      'How many seconds a worker waits at a sum over all workers for others '
      'that are alive but do not reach it, such as in a hook that hangs. 0 '
      'waits forever.',
      kind='start',
      low=0,
      high=1e6,
  )
  accept_changes: bool = _option(
      False,
      'Whether to resume a run although its data, or flags that affect its '
      'weights, have changed. The history in config.json records the changes.',
      kind='start',
  )

  def __post_init__(self) -> None:
    """Checks the values."""
    super().__post_init__()
    _ = self.profiled

  @property
  def profiled(self) -> tuple[int, int] | None:
    """The first and the last step of `profile_steps`.

    Raises:
      ValueError: If `profile_steps` is malformed.
    """
    if self.profile_steps is None:
      return None
    found = re.fullmatch(r'(\d{1,9}):(\d{1,9})', self.profile_steps, re.ASCII)
    first, last = map(int, found.groups()) if found else (0, 0)
    if first >= last:
      raise ValueError(
          'profile_steps: expected FIRST:LAST with FIRST < LAST, such as '
          f'100:110; got {self.profile_steps!r}.'
      )
    return first, last

  @classmethod
  def from_flags(cls, *names: str) -> Config:
    """Reads the parsed flags that `define_flags` defined.

    Args:
      *names: The options to read. Default: all.

    Raises:
      UserError: If a value is invalid.
    """
    return option_flags.read(cls, *names)

  def to_json(self) -> dict[str, Any]:
    """Returns the options that say what is computed, as JSON values."""
    return self.of_kind('identity', 'free', 'length')

  def place(self) -> dict[str, Any]:
    """Returns the options that say where it is computed, as JSON values."""
    return self.of_kind('place')

  @classmethod
  def from_json(cls, values: Any) -> Config:
    """Undoes `to_json`; options newer than the file get their defaults.

    Raises:
      ValueError: If a field is unknown, of another type, or missing although
        all versions write it.
    """
    if isinstance(values, dict):
      values = options.renamed(cls, values)
    return typed_json.from_json(cls, values, _REQUIRED)

  def at(self, place: Any) -> Config:
    """Returns this config with the options that `place` returned.

    Raises:
      ValueError: As `from_json`.
    """
    there = typed_json.from_json(Config, place)
    return dataclasses.replace(self, **there.of_kind('place'))

  def of_all_workers(self) -> dict[str, Any]:
    """Returns the values that must be the same on all workers, by flag."""
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
    if name == 'monitor':  # It decides when the learning rate is reduced.
      return self.plateau_patience is None
    return kind != 'identity'

  def length(self, num_train_examples: int) -> int:
    """Returns the number of steps of the whole run."""
    return self.num_steps or self.num_epochs * (
        num_train_examples // self.global_batch_size
    )


def define_flags(*names: str) -> tuple[str, ...]:
  """Defines flags for these options, or for all, in the calling program.

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
  """Returns the value, as a list of items where their order matters."""
  is_ordered = name in _ORDERED and isinstance(value, Mapping)
  return list(value.items()) if is_ordered else value
