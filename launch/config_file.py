"""config.json: what a run is, and how it came to be so."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Mapping
from typing import Any

from . import (
    checksums,
    code_files,
    environment,
    json_files,
    programs,
    starts,
)
from . import config as config_lib
from . import data as data_lib


class ConfigFile:
  """Reads and writes config.json. Only the chief writes."""

  def __init__(self, directory: pathlib.Path, *, is_chief: bool = True):
    """Names the file; nothing is read or written yet.

    Args:
      directory: The work directory.
      is_chief: Whether this process writes.
    """
    self._directory = directory
    self._is_chief = is_chief
    self.path = directory / 'config.json'

  def exists(self) -> bool:
    """Returns whether there is one."""
    return self.path.exists()

  def write(
      self,
      config: config_lib.Config,
      data: data_lib.DataSpec,
      code: code_files.Code | None = None,
      initial: Mapping[str, Any] | None = None,
      files: str | None = None,
  ) -> None:
    """Writes that of a new run.

    Args:
      config: The flags of the run.
      data: What the run's models know of the data.
      code: The files of the user's parts.
      initial: What `--init_from` gave it.
      files: What `data_files.stamp` is of its data.

    Raises:
      OSError: If it cannot be written.
    """
    if not self._is_chief:
      return
    self._directory.mkdir(parents=True, exist_ok=True)
    checksums.write(self._directory, data)
    json_files.write(
        self.path,
        {
            **_fields(config, data, code, initial),
            'files': files,
            'environment': environment.describe(),
            'first_checkpoint': None,
            'stopped': None,
            'history': [],
            'shapes': [],
        },
    )

  def record(
      self,
      step: int,
      changes: Mapping[str, Any],
      config: config_lib.Config,
      data: data_lib.DataSpec,
      code: code_files.Code | None = None,
      stopped: Mapping[str, Any] | None = None,
      initial: Mapping[str, Any] | None = None,
      files: str | None = None,
  ) -> None:
    """Changes the file, and keeps what changed in its history.

    Args:
      step: The step from which on the run goes on like that.
      changes: What changes, `[before, now]` by name; nothing is written if
        that is nothing.
      config: As for `write`.
      data: As for `write`.
      code: As for `write`.
      stopped: The end by a hook that the last checkpoint is, if it is one.
      initial: As for `write`.
      files: As for `write`.

    Raises:
      OSError: If it cannot be written.
    """
    if not (self._is_chief and changes):
      return
    values = self.values()
    checksums.write(self._directory, data)
    event = {'step': step, 'wall_time': time.time(), 'changes': changes}
    json_files.write(
        self.path,
        {
            **values,
            **_fields(config, data, code, initial),
            'files': files,
            'stopped': stopped,
            'history': [*values.get('history', []), event],
        },
    )

  def put(self, name: str, value: Any) -> None:
    """Changes one value of the file, if there is one and the value is another.

    Raises:
      OSError: If the file cannot be written.
    """
    if self._is_chief and self.exists():
      values = self.values()
      if values.get(name) != value:
        json_files.write(self.path, {**values, name: value})

  def note_first_checkpoint(self, step: int) -> None:
    """Keeps the step of the first checkpoint, if it is.

    Raises:
      OSError: If the file cannot be written.
    """
    if self.exists() and self.values().get('first_checkpoint', True) is None:
      self.put('first_checkpoint', step)

  def note_shape(self, step: int, num_workers: int, num_replicas: int) -> None:
    """Keeps how many train from now on, if they are others than before.

    Args:
      step: The step from which on.
      num_workers: How many workers.
      num_replicas: How many replicas all of them have together.

    Raises:
      OSError: If the file cannot be written.
    """
    shape = {'num_workers': num_workers, 'num_replicas': num_replicas}
    shapes = self.shapes()
    if not shapes or {**shapes[-1], **shape} != shapes[-1]:
      self.put('shapes', [*shapes, {'step': step, **shape}])

  def shapes(self) -> list[dict[str, Any]]:
    """Returns what `note_shape` was told; a run before it has none."""
    return list(self.values().get('shapes', []))

  def values(self) -> dict[str, Any]:
    """Reads all values.

    Raises:
      UserError: If there is no such file, or it is damaged.
    """
    text = json_files.read(self.path)
    if text is None:
      raise programs.UserError(
          f'--workdir={self._directory}: there is no run; launch.train starts '
          'one.'
      )
    return json_files.decode(self.path, text)

  def start(self) -> starts.Start:
    """Reads how the run started.

    Raises:
      UserError: If there is no such file, or it is not that of a run.
    """
    values = self.values()
    try:
      return starts.Start.from_json(values)
    except ValueError as error:
      raise programs.UserError(
          f'{self.path} is not that of a run: {error}; {json_files.COPY}.'
      ) from None


def _fields(
    config: config_lib.Config,
    data: data_lib.DataSpec,
    code: code_files.Code | None,
    initial: Mapping[str, Any] | None,
) -> dict[str, Any]:
  return {
      'config': config.to_json(),
      'data': data.to_json(),
      'program': config.place(),
      'code': dict(code or {}),
      'initial': initial,
  }
