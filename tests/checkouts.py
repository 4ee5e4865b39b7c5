"""Folders like a checkout, for tests of what is started in one."""

from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_LINKS = (
    '.ci',
    'core',
    'launch',
    'pipelines',
    'pyproject.toml',
    'requirements-docs.txt',
    'requirements-test.txt',
    'requirements.txt',
    'run.sh',
    'test.sh',
)
# Runs what it is given, as the Python of .venv does.
_PYTHON = """#!/bin/sh
exec '{python}' "$@"
"""
# Writes down what it would run, but for short questions.
_RECORDER = """#!{python}
import json, os, sys
is_question = sys.argv[1] == '-c' and 'runpy' not in sys.argv[2]
if is_question:
  os.execv('{python}', ['{python}', *sys.argv[1:]])
with open('{log}', 'a') as file:
  file.write(json.dumps([os.getcwd(), sys.argv[1:]]) + '\\n')
"""


def make() -> pathlib.Path:
  """Makes a checkout by links, which goes when the process ends."""
  folder = pathlib.Path(tempfile.mkdtemp()).resolve()
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  for name in _LINKS:
    (folder / name).symlink_to(_ROOT / name)
  return folder


def add_environment(folder: pathlib.Path, *, records: bool = False) -> None:
  """Gives a checkout a .venv that `run.sh` and `test.sh` take for finished.

  Args:
    folder: The checkout.
    records: Whether its Python writes down what it would run, see `recorded`.
      Else it is the one that runs the tests.
  """
  python = folder / '.venv' / 'bin' / 'python'
  python.parent.mkdir(parents=True)
  (folder / '.venv' / 'pyvenv.cfg').write_text('')
  text = _RECORDER if records else _PYTHON
  python.write_text(text.format(python=sys.executable, log=_log(folder)))
  python.chmod(python.stat().st_mode | stat.S_IXUSR)
  for name in _LINKS:
    if not name.startswith('requirements'):
      continue
    state = in_shell(folder, f'source .ci/environment.sh; state_of {name}')
    (folder / '.venv' / f'.installed-{name}').write_text(state)


def in_shell(folder: pathlib.Path, code: str) -> str:
  """Runs code in bash in a folder; returns what it prints."""
  return subprocess.run(
      ['bash', '-euo', 'pipefail', '-c', code],
      cwd=folder,
      check=True,
      stdout=subprocess.PIPE,
      text=True,
  ).stdout


def recorded(folder: pathlib.Path) -> list[tuple[str, list[str]]]:
  """Returns folder and arguments of each program since the last call."""
  log = _log(folder)
  lines = log.read_text().splitlines() if log.exists() else []
  log.unlink(missing_ok=True)
  return [tuple(json.loads(line)) for line in lines]


def _log(folder: pathlib.Path) -> pathlib.Path:
  return folder / '.venv' / 'log'


def environment(data_dir: str | os.PathLike[str]) -> dict[str, str]:
  """Returns the variables of a process that finds data, and writes no cache.

  Args:
    data_dir: Where prepared sets are.
  """
  cache = tempfile.mkdtemp()
  atexit.register(shutil.rmtree, cache, ignore_errors=True)
  return {
      **os.environ,
      'PATH': f'{os.path.dirname(sys.executable)}:{os.environ["PATH"]}',
      'TFDS_DATA_DIR': os.fspath(data_dir),
      'XDG_CACHE_HOME': cache,  # Not what the user compiled.
  }
