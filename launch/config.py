"""What a run is: the values of its flags, kept in its work directory."""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags

from . import arguments

Arguments = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Config:
  """The flags that decide what a run computes and writes.

  Each field is the flag of `launch.train` of the same name; its help is there.
  A run is resumed with the same values only. Of --precision=auto, the program
  keeps what it chose: no work directory holds `auto`.
  """

  dataset: str
  validation_examples: int | None
  image_size: tuple[int, int] | None
  normalize: bool
  model: str
  model_arg: Arguments
  loss: str
  loss_arg: Arguments
  class_weights: tuple[float, ...] | None
  label_smoothing: float
  l1_penalty: float
  l2_penalty: float
  optimizer: str
  optimizer_arg: Arguments
  learning_rate: float
  schedule: str
  schedule_arg: Arguments
  clip_global_norm: float | None
  global_batch_size: int
  num_epochs: int
  num_steps: int | None
  seed: int
  log_every_steps: int
  eval_every_epochs: int
  checkpoint_every_steps: int | None
  keep_checkpoints: int
  precision: str = 'float32'
  average_decay: float | None = None
  flip: str = 'none'
  max_shift: int = 0
  random_erasing: float = 0.0
  test_time_augmentation: str = 'none'
  resident_gb: float = 4.0
  jit: str = 'auto'
  max_skipped_steps: int = 100
  validation_split: str | None = None
  test_split: str | None = None

  def to_json(self) -> dict[str, Any]:
    """Returns the values as JSON has them: lists, not tuples."""
    return _lists(dataclasses.asdict(self))

  @classmethod
  def from_json(cls, values: dict[str, Any]) -> Config:
    """Undoes `to_json`.

    Raises:
      ValueError: If the fields are not those of this version of the program.
    """
    names = {field.name for field in dataclasses.fields(cls)}
    if names != values.keys():
      raise ValueError(
          'config.json was written by another version: it differs in '
          f'{", ".join(sorted(names ^ values.keys()))}.'
      )
    return cls(**{name: _tuples(value) for name, value in values.items()})

  def differences(self, other: Config) -> list[str]:
    """Lists the flags whose values differ, as `--name: this, not other`."""
    here, there = self.to_json(), other.to_json()
    return [
        f'--{name}: {here[name]}, not {there[name]}'
        for name in here
        if here[name] != there[name]
    ]


@dataclasses.dataclass(frozen=True)
class DataSpec:
  """What a model must know of its data set, kept beside the config.

  Attributes:
    image_shape: (height, width, channels).
    label_names: The name of each class.
    mean: The mean of each channel of the scaled training images.
    std: Their standard deviations. Both are empty without --normalize.
    num_examples: The number of examples of each split.
  """

  image_shape: tuple[int, int, int]
  label_names: tuple[str, ...]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  num_examples: dict[str, int]

  @property
  def num_classes(self) -> int:
    """The number of classes."""
    return len(self.label_names)

  def to_json(self) -> dict[str, Any]:
    """Returns the values as JSON has them."""
    return _lists(dataclasses.asdict(self))

  @classmethod
  def from_json(cls, values: dict[str, Any]) -> DataSpec:
    """Undoes `to_json`."""
    return cls(**{name: _tuples(value) for name, value in values.items()})


def arguments_of(holder: flags.FlagHolder[list[str]]) -> Arguments:
  """Parses a flag of NAME=VALUE pairs, such as --model_arg."""
  return arguments.parse(holder.name, holder.value)


def _lists(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _lists(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [_lists(item) for item in value]
  return value


def _tuples(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _tuples(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):
    return tuple(_tuples(item) for item in value)
  return value
