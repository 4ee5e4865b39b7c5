"""Runs the programs and commands of a Markdown page, in order.

They run in a folder like a checkout, as they stand on the page: a small set
stands in for Fashion-MNIST, and free ports for `_PORTS`.
"""

from __future__ import annotations

import functools
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

from launch.cluster import ports as ports_lib
from tests import checkouts, docs_files, small_datasets

# It would run these tests again: run_sh_test has what it starts.
_EXEMPT = './test.sh'
# Other tests on this machine may run two workers as well.
_PORTS = ('12345', '23456')


@functools.cache
def tiny_fashion_mnist() -> str:
  """Writes a set of Fashion-MNIST's name, shape and version."""
  folder = tempfile.TemporaryDirectory()
  small_datasets.write(
      folder.name,
      'fashion_mnist',
      num_train=280,
      num_test=61,
      image_shape=(28, 28, 1),
      num_classes=10,
      version='3.0.1',
  )
  tiny_fashion_mnist.folder = folder  # Removed with the process.
  return folder.name


def make_folder() -> pathlib.Path:
  """Makes a checkout by links, with `quatrain` as the wheel installs it."""
  folder = checkouts.make()
  checkouts.add_environment(folder)
  (folder / 'quatrain').mkdir()
  for name in ('core', 'pipelines'):
    (folder / 'quatrain' / name).symlink_to(docs_files.ROOT / name)
  return folder


def _steps(path: pathlib.Path) -> list[docs_files.Block]:
  """Lists what runs of a page; neighbours of a language are one program."""
  steps: list[docs_files.Block] = []
  for block in docs_files.blocks(path):
    if block.language not in ('python', 'sh'):
      continue
    if block.text.startswith(_EXEMPT):
      continue
    if steps and steps[-1].language == block.language:
      block = block._replace(text=f'{steps.pop().text}\n{block.text}')
    steps.append(block)
  return steps


class Ran(NamedTuple):
  """Where the blocks of a page ran, and what its Python printed."""

  folder: pathlib.Path
  printed: str


def run(path: pathlib.Path) -> Ran:
  """Runs the blocks of a page."""
  folder, printed = make_folder(), ''
  environment = checkouts.environment(tiny_fashion_mnist())
  ports = dict(zip(_PORTS, map(str, ports_lib.free(len(_PORTS)))))
  for step in _steps(path):
    text = re.sub('|'.join(_PORTS), lambda port: ports[port[0]], step.text)
    program = {
        'sh': ['bash', '-euxo', 'pipefail', '-c', text],
        'python': [sys.executable, '-c', text],
    }[step.language]
    ended = subprocess.run(
        program,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if ended.returncode:
      raise AssertionError(f'{path.name}: {text}\n{ended.stdout}')
    printed += ended.stdout if step.language == 'python' else ''
  return Ran(folder, printed)
