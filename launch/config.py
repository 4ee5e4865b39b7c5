"""What a run is: the values of its flags, kept in its work directory."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from absl import flags

from . import arguments

Arguments = dict[str, Any]

# May change when a run is resumed: it decides no bit of the weights.
_FREE = {'kind': 'free'}
# The length of a run, which a schedule may stretch over.
_LENGTH = {'kind': 'length'}
# The schedule that is the same however long the run is.
_ENDLESS = 'constant'


@dataclasses.dataclass(frozen=True)
class Config:
  """The flags that decide what a run computes and writes.

  Each field is the flag of `launch.train` of the same name; its help is there.
  A field is *identity*, unless it says otherwise: a resumed run has the same
  value. Those that are *free* may change. Of --precision=auto, the program
  keeps what it chose: no work directory holds `auto`.

  A field that is added needs a default, with which a run computes what it did
  before: that is how the configs of older versions are read.
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
  num_epochs: int = dataclasses.field(metadata=_LENGTH)
  num_steps: int | None = dataclasses.field(metadata=_LENGTH)
  seed: int
  log_every_steps: int = dataclasses.field(metadata=_FREE)
  eval_every_epochs: int = dataclasses.field(metadata=_FREE)
  checkpoint_every_steps: int | None = dataclasses.field(metadata=_FREE)
  keep_checkpoints: int = dataclasses.field(metadata=_FREE)
  precision: str = 'float32'
  average_decay: float | None = None
  flip: str = 'none'
  max_shift: int = 0
  random_erasing: float = 0.0
  test_time_augmentation: str = dataclasses.field(
      default='none', metadata=_FREE
  )
  resident_gb: float = 4.0
  jit: str = dataclasses.field(default='auto', metadata=_FREE)
  max_skipped_steps: int = dataclasses.field(default=100, metadata=_FREE)
  validation_split: str | None = None
  test_split: str | None = None
  monitor: str | None = dataclasses.field(default=None, metadata=_FREE)
  keep_best: bool = dataclasses.field(default=True, metadata=_FREE)
  early_stopping_patience: int | None = dataclasses.field(
      default=None, metadata=_FREE
  )
  plateau_patience: int | None = None
  plateau_factor: float = 0.1
  max_minutes: float | None = dataclasses.field(default=None, metadata=_FREE)

  def to_json(self) -> dict[str, Any]:
    """Returns the values as JSON has them: lists, not tuples."""
    return _lists(dataclasses.asdict(self))

  @classmethod
  def from_json(cls, values: Any) -> Config:
    """Undoes `to_json`, with defaults for what an older version lacks.

    Raises:
      ValueError: If a field is unknown, missing without a default, or of
        another type.
    """
    return _from_json(cls, values)

  def is_free(self, name: str) -> bool:
    """Returns whether a field may change when the run is resumed."""
    kinds = {f.name: f.metadata.get('kind') for f in dataclasses.fields(self)}
    if kinds[name] == 'length':
      return self.schedule == _ENDLESS
    return kinds[name] == 'free'

  def length(self, num_train_examples: int) -> int:
    """Returns the number of steps of the whole run."""
    return self.num_steps or self.num_epochs * (
        num_train_examples // self.global_batch_size
    )


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, list[Any]]:
  """Returns what differs between two mappings: `[before, now]` by name."""
  return {
      name: [before.get(name), now.get(name)]
      for name in {**before, **now}
      if before.get(name) != now.get(name)
  }


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


def _from_json(cls: Any, values: Any) -> Any:
  if not isinstance(values, dict):
    raise ValueError(f'it has {values!r} where a mapping of names is expected')
  fields = {field.name: field for field in dataclasses.fields(cls)}
  unknown = sorted(values.keys() - fields)
  if unknown:
    raise ValueError(
        f'it has {", ".join(unknown)}, which this version of Quatrain does not '
        'know: a newer one wrote it'
    )
  missing = [
      name
      for name, field in fields.items()
      if name not in values and field.default is dataclasses.MISSING
  ]
  if missing:
    raise ValueError(f'it lacks {", ".join(missing)}')
  hints = typing.get_type_hints(cls)
  read = {name: _tuples(value) for name, value in values.items()}
  for name, value in read.items():
    if not _fits(value, hints[name]):
      raise ValueError(f'its {name} is {values[name]!r}')
  return cls(**read)


def _fits(value: Any, hint: Any) -> bool:
  """Returns whether a value that was read is of a field's type."""
  origin, args = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return any(_fits(value, each) for each in args)
  if origin is tuple:
    if not isinstance(value, tuple):
      return False
    if args[-1] is Ellipsis:
      return all(_fits(item, args[0]) for item in value)
    return len(value) == len(args) and all(map(_fits, value, args))
  if origin is dict:
    return isinstance(value, dict) and all(
        _fits(item, args[1]) for item in value.values()
    )
  if hint is Any:
    return True
  if isinstance(value, bool) or hint is bool:
    return isinstance(value, bool) and hint is bool
  if isinstance(value, float) and not math.isfinite(value):
    return False  # JSON has no such numbers, Python reads them all the same.
  return isinstance(value, (int, float) if hint is float else hint)
