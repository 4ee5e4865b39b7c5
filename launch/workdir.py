"""The work directory of a run: config, metrics, result.

Every file is written as a whole or appended line by line, so that a process
killed at any moment leaves a directory that the next start can use.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

from . import config as config_lib
from . import programs

_PACKAGES = (
    'tensorflow', 'dm-sonnet', 'tensorflow-datasets', 'absl-py', 'chex', 'numpy'
)
# They choose kernels, and with them the rounding of a run.
_VARIABLES = ('TF_ENABLE_ONEDNN_OPTS', 'XLA_FLAGS')


def of_run(path: str | None, *, is_chief: bool = True) -> Workdir:
  """Names the work directory of a run that was started.

  Args:
    path: What was given for it.
    is_chief: Whether this process writes.

  Returns:
    The directory; nothing is read yet.

  Raises:
    UserError: If none was given.
  """
  if not path:
    raise programs.UserError('--workdir is missing: name that of a run.')
  return Workdir(path, is_chief=is_chief)


class Workdir:
  """Reads and writes a work directory. Only the chief writes.

  Attributes:
    path: The directory.
    checkpoints: The directory of checkpoints in it.
    summaries: The directory of TensorBoard's files in it.
  """

  def __init__(self, path: str, *, is_chief: bool = True):
    """Names a work directory; nothing is read or written yet."""
    self.path = pathlib.Path(path).expanduser()
    self.checkpoints = str(self.path / 'checkpoints')
    self.summaries = str(self.path / 'summaries')
    self._is_chief = is_chief

  def check_writable(self) -> None:
    """Checks that files can be made in the directory, without making any.

    Raises:
      UserError: If they can not.
    """
    nearest = self.path
    while not nearest.exists() and nearest != nearest.parent:
      nearest = nearest.parent
    if not nearest.is_dir():
      raise programs.UserError(
          f'--workdir={self.path}: {nearest} is not a directory.'
      )
    if not os.access(nearest, os.W_OK | os.X_OK):
      raise programs.UserError(
          f'--workdir={self.path}: {nearest} is not writable; choose another '
          'directory or change its permissions.'
      )

  def exists(self) -> bool:
    """Tells whether a run was started here."""
    return (self.path / 'config.json').exists()

  def write_config(
      self,
      config: config_lib.Config,
      data: config_lib.DataSpec,
      program: Mapping[str, Any],
  ) -> None:
    """Starts the run: writes config.json.

    Args:
      config: The flags that decide the run.
      data: What the run's models know of the data.
      program: The values of the other flags.
    """
    if not self._is_chief:
      return
    self.path.mkdir(parents=True, exist_ok=True)
    self._write(
        'config.json',
        {
            'config': config.to_json(),
            'data': data.to_json(),
            'program': dict(program),
            'environment': _environment(),
        },
    )

  def read_config(self) -> tuple[config_lib.Config, config_lib.DataSpec]:
    """Reads config.json.

    Raises:
      UserError: If there is none, or it is not a config.
    """
    values = self._read_start()
    try:
      return (
          config_lib.Config.from_json(values['config']),
          config_lib.DataSpec.from_json(values['data']),
      )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
      raise programs.UserError(
          f'{self.path / "config.json"} is not that of a run: {error!r}.'
      ) from None

  def read_place(self) -> dict[str, Any]:
    """Reads where the run was started: its flags that are not the config."""
    return self._read_start()['program']

  def append_metrics(self, row: Mapping[str, Any]) -> None:
    """Appends a row to metrics.jsonl."""
    if self._is_chief:
      with open(self.path / 'metrics.jsonl', 'a') as file:
        file.write(json.dumps(row) + '\n')

  def read_metrics(self) -> list[dict[str, Any]]:
    """Reads the rows of metrics.jsonl, less a last one that was cut off."""
    lines = (self._read('metrics.jsonl') or '').splitlines(True)
    return [
        self._decode('metrics.jsonl', line)
        for line in lines
        if line.endswith('\n')
    ]

  def forget_metrics_after(self, step: int) -> None:
    """Drops rows of steps that were lost with the process that took them."""
    rows = [row for row in self.read_metrics() if row['step'] <= step]
    if self._is_chief and self.path.exists():
      text = ''.join(json.dumps(row) + '\n' for row in rows)
      self._replace('metrics.jsonl', text)

  def read_result(self) -> dict[str, Any] | None:
    """Reads result.json, which a complete run has."""
    text = self._read('result.json')
    return self._decode('result.json', text) if text is not None else None

  def write_report(self, result: Mapping[str, Any]) -> None:
    """Writes the plots of a run into report/."""
    if self._is_chief:
      # Imported here: it is slow, and needed at the end of a run only.
      from . import report

      report.write(
          str(self.path / 'report'), self.read_metrics(), result.get('test')
      )

  def write_result(self, result: Mapping[str, Any]) -> None:
    """Completes the run: writes result.json."""
    self.write_json('result.json', result)

  def write_json(self, name: str, value: Any) -> None:
    """Writes a file of the directory as a whole."""
    if self._is_chief:
      self._write(name, value)

  def _read_start(self) -> dict[str, Any]:
    text = self._read('config.json')
    if text is None:
      raise programs.UserError(
          f'--workdir={self.path}: there is no run; launch.train starts one.'
      )
    return self._decode('config.json', text)

  def _read(self, name: str) -> str | None:
    try:
      return (self.path / name).read_text()
    except FileNotFoundError:
      return None
    except (OSError, ValueError) as error:
      raise programs.UserError(f'{self.path / name}: {error}.') from None

  def _decode(self, name: str, text: str) -> dict[str, Any]:
    try:
      value = json.loads(text)
    except ValueError as error:
      value = error
    if not isinstance(value, dict):
      raise programs.UserError(
          f'{self.path / name} is damaged ({value}); bring it back from a '
          'copy, or name another --workdir.'
      )
    return value

  def _write(self, name: str, value: Any) -> None:
    self._replace(name, json.dumps(value, indent=2) + '\n')

  def _replace(self, name: str, text: str) -> None:
    temporary = self.path / f'{name}.tmp'
    temporary.write_text(text)
    os.replace(temporary, self.path / name)


def _environment() -> dict[str, Any]:
  return {
      'python': platform.python_version(),
      'machine': platform.machine(),
      'packages': {
          name: importlib.metadata.version(name) for name in _PACKAGES
      },
      'variables': {
          name: os.environ[name] for name in _VARIABLES if name in os.environ
      },
      'git_revision': _git_revision(),
  }


def _git_revision() -> str | None:
  """Returns the revision of the source, with a + for uncommitted changes."""
  here = pathlib.Path(__file__).parent
  command = ['git', 'describe', '--always', '--abbrev=40', '--dirty=+']
  try:
    done = subprocess.run(
        command, cwd=here, capture_output=True, text=True, check=True
    )
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()
