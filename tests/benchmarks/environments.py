"""The environments that contenders run in: one a family, made when needed."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / '.benchmarks'
_REQUIREMENTS = ROOT / 'requirements-benchmark.txt'
# A running Python that has these serves as the environment `tensorflow`.
_OURS = ('tensorflow', 'sonnet', 'keras', 'tensorflow_datasets')


def has_gpu() -> bool:
  """Returns whether there is an NVIDIA GPU."""
  command = shutil.which('nvidia-smi')
  return (
      bool(command)
      and not subprocess.run(
          [command, '-L'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
      ).returncode
  )


def groups(text: str) -> dict[str, list[str]]:
  """Reads the groups of requirements-benchmark.txt.

  Args:
    text: The file's text.

  Returns:
    The arguments for pip by the name of the environment.
  """
  found: dict[str, list[str]] = {}
  name = ''
  for line in text.splitlines():
    heading = re.match(r'# \[([\w-]+)\]', line)
    name = heading[1] if heading else name
    if line and not line.startswith('#'):
      found.setdefault(name, []).extend(line.split())
  return found


def python(
    name: str, given: Mapping[str, str], folder: str | os.PathLike[str]
) -> str:
  """Finds the Python of an environment; makes the environment if need be.

  Args:
    name: `tensorflow`, `jax` or `torch`.
    given: Pythons that the user named, by environment.
    folder: Where environments are made.

  Returns:
    The path of a Python.

  Raises:
    subprocess.CalledProcessError: If pip could not install the packages.
  """
  if name in given:
    return given[name]
  if name == 'tensorflow' and all(map(importlib.util.find_spec, _OURS)):
    return sys.executable
  made = pathlib.Path(folder).resolve() / name
  interpreter = str(made / 'bin' / 'python')
  ready = made / 'ready'
  if not ready.exists():
    print(f'Making the environment {name}', flush=True)
    subprocess.run([sys.executable, '-m', 'venv', made], check=True)
    wanted = groups(_REQUIREMENTS.read_text())
    lines = wanted[f'{name}-gpu' if has_gpu() else name]
    subprocess.run(
        [interpreter, '-m', 'pip', 'install', '--quiet', *lines],
        cwd=ROOT,
        check=True,
    )
    ready.touch()
  return interpreter
