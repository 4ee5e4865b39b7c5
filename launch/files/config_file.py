"""config.json: the configuration of a run, and the history of its changes."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Mapping
from typing import Any

from .. import config as config_lib
from .. import data as data_lib
from .. import programs
from ..lookup import code_files
from ..machine import environment
from . import checksums, json_files, starts


class ConfigFile:
  """Reads and writes config.json. Only the chief writes.

  A method that writes raises OSError if the file cannot be written.
  """

  def __init__(self, directory: pathlib.Path, *, is_chief: bool = True):
    """Sets the path of the file, without reading or writing it.

    Args:
      directory: The work directory.
      is_chief: Whether this process writes.
    """
    self._directory = directory
    self._is_chief = is_chief
    self.path = directory / 'config.json'

  def exists(self) -> bool:
    """Returns whether the file exists."""
    return self.path.exists()

  def write(
      self,
      config: config_lib.Config,
      data: data_lib.DataSpec,
      code: code_files.Code | None = None,
      initial: Mapping[str, Any] | None = None,
      files: str | None = None,
  ) -> None:
    """Writes the file of a new run.

    Args:
      config: The flags of the run.
      data: The description of the data.
      code: The files of the user's parts.
      initial: What `--init_from` restored.
      files: The `data_files.stamp` of the data.
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
    """Updates the file, and adds the changes to its history.

    Args:
      step: The step from which the changes apply.
      changes: The changes, `[before, now]` by name. If empty, nothing is
        written.
      config: As for `write`.
      data: As for `write`.
      code: As for `write`.
      stopped: How a hook ended the run at the last checkpoint, if one did.
      initial: As for `write`.
      files: As for `write`.
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
    """Sets one value, if the file exists and has another value."""
    if self._is_chief and self.exists():
      values = self.values()
      if values.get(name) != value:
        json_files.write(self.path, {**values, name: value})

  def note_first_checkpoint(self, step: int) -> None:
    """Records the step of the first checkpoint, unless there is one already."""
    if self.exists() and self.values().get('first_checkpoint', True) is None:
      self.put('first_checkpoint', step)

  def note_shape(self, step: int, num_workers: int, num_replicas: int) -> None:
    """Records the number of workers and replicas, if it has changed.

    Args:
      step: The step from which they train.
      num_workers: The number of workers.
      num_replicas: The number of replicas on all workers together.
    """
    shape = {'num_workers': num_workers, 'num_replicas': num_replicas}
    shapes = self.shapes()
    if not shapes or {**shapes[-1], **shape} != shapes[-1]:
      self.put('shapes', [*shapes, {'step': step, **shape}])

  def shapes(self) -> list[dict[str, Any]]:
    """Returns what `note_shape` recorded; empty for runs of older versions."""
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
      UserError: If there is no such file, or it does not describe a run.
    """
    values = self.values()
    try:
      return starts.Start.from_json(values)
    except ValueError as error:
      raise programs.UserError(
          f'{self.path} does not describe a run: {error}; {json_files.COPY}.'
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
