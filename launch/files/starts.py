"""The start of a run, as recorded in config.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .. import config as config_lib
from .. import data as data_lib
from ..lookup import code_files

_STOPPED = {'step', 'hook', 'reason'}


@dataclasses.dataclass(frozen=True)
class Start:
  """The content of a run's config.json.

  Attributes:
    config: The flags of the last start.
    data: What the run's models know about the data.
    first_checkpoint: The step of the first checkpoint. None before it; True if
      an older version, which did not record it, wrote the file.
    stopped: The `step`, `hook` and `reason` of the end by a hook, if the
      checkpoint of that step is the end of the run.
    code: The files of custom parts.
    initial: The source of `--init_from`, see `init_from.Initial`, or None.
    environment: Versions and variables, see `environment.describe`.
    history: The changes of later starts: `step`, `wall_time` and `changes`.
    shapes: The numbers of workers and replicas, and the first step of each.
    files: The value of `data_files.stamp` for its data.
  """

  config: config_lib.Config
  data: data_lib.DataSpec
  first_checkpoint: int | None
  stopped: dict[str, Any] | None = None
  code: code_files.Code = dataclasses.field(default_factory=dict)
  initial: dict[str, Any] | None = None
  environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  history: Sequence[Mapping[str, Any]] = ()
  shapes: Sequence[Mapping[str, Any]] = ()
  files: str | None = None

  @classmethod
  def from_json(cls, values: Mapping[str, Any]) -> Start:
    """Reads the content of config.json, as written by any version.

    Args:
      values: The object of the file.

    Returns:
      The start.

    Raises:
      ValueError: If a field is not what a run writes.
    """
    saved = values.get('first_checkpoint', True)
    stopped = values.get('stopped')
    initial = values.get('initial')
    if not isinstance(saved, (int, type(None))):
      raise ValueError(f'its first_checkpoint is {saved!r}')
    if stopped is not None and not (
        isinstance(stopped, dict) and stopped.keys() == _STOPPED
    ):
      raise ValueError(f'its stopped is {stopped!r}')
    if initial is not None and not (
        isinstance(initial, dict) and isinstance(initial.get('sha256'), str)
    ):
      raise ValueError(f'its initial is {initial!r}')
    shapes = values.get('shapes', [])
    if not isinstance(shapes, list) or not all(map(_is_shape, shapes)):
      raise ValueError(f'its shapes is {shapes!r}')
    history = values.get('history', [])
    if not isinstance(history, list) or not all(map(_is_event, history)):
      raise ValueError(f'its history is {history!r}')
    environment = values.get('environment', {})
    if not isinstance(environment, dict):
      raise ValueError(f'its environment is {environment!r}')
    if not isinstance(values.get('files'), str | None):
      raise ValueError(f'its files is {values["files"]!r}')
    config = config_lib.Config.from_json(values.get('config'))
    return cls(
        config.at(values.get('program')),
        data_lib.DataSpec.from_json(values.get('data')),
        saved,
        stopped,
        code_files.read_code(values.get('code', {})),
        initial,
        environment,
        history,
        shapes,
        values.get('files'),
    )


def _is_event(value: Any) -> bool:
  """Returns whether a value describes the changes of a later start."""
  return (
      isinstance(value, dict)
      and isinstance(value.get('step'), int)
      and isinstance(value.get('changes'), dict)
      and all(
          isinstance(pair, list) and len(pair) == 2
          for pair in value['changes'].values()
      )
  )


def _is_shape(value: Any) -> bool:
  """Returns whether a value describes the number of replicas of a run."""
  names = ('step', 'num_workers', 'num_replicas')
  return isinstance(value, dict) and all(
      isinstance(value.get(name), int) for name in names
  )
