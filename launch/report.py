"""Rewrites the report of a run, or compares several runs on one page.

  python -m launch.report runs/first
  python -m launch.report --output=compare.html runs/*

For one run, it writes report/ as at the end of the run: the figures, index.html
and model_card.md. An incomplete run is scored with its last checkpoint. For
several runs, it writes one page with their curves, differing flags, and final
values, of which the best are marked.
"""

from __future__ import annotations

import os

from absl import flags

from . import config as config_lib
from . import extras, programs
from . import workdir as workdir_lib
from .files import json_files, paths
from .settings import flag_types

# Whether the program takes positional arguments.
POSITIONAL = True

_PLACE = config_lib.define_flags('data_dir', 'archives_dir', 'accept_changes')
_OUTPUT = flag_types.DEFINE_path(
    'output', 'The page that compares several runs, such as compare.html.'
)


def main() -> int:
  """Runs the program; returns its exit code."""
  given = programs.positional()
  if not given:
    raise programs.UserError(
        'expected the work directory of a run, or of several; as in '
        'launch.report runs/first.'
    )
  extras.require('launch')
  directories = [
      workdir_lib.of_run(path, '')
      for path in {os.path.realpath(path): path for path in given}.values()
  ]
  for directory in directories:
    directory.read_start()
  if len(directories) > 1:
    return _compare(directories)
  if flags.FLAGS['output'].present:
    raise programs.UserError(
        f'--output={_OUTPUT.value}: it is for several runs; the report of one '
        f'goes to {directories[0].path / "report"}.'
    )
  return _write(directories[0])


def _compare(directories: list[workdir_lib.Workdir]) -> int:
  """Compares runs; needs neither their data nor TensorFlow."""
  if not _OUTPUT.value:
    raise programs.UserError(
        '--output is missing: name the page to write, such as compare.html.'
    )
  output = paths.output(_OUTPUT.value, '.html')
  from .reporting import compare_page

  text = compare_page.text(directories)
  output.parent.mkdir(parents=True, exist_ok=True)
  json_files.replace(output, text)
  print(f'{len(directories)} runs; {output}')
  return 0


def _write(directory: workdir_lib.Workdir) -> int:
  """Writes the report of a run."""
  directory.check_writable()
  place = config_lib.Config.from_flags(*_PLACE)
  programs.import_tensorflow()
  from .reporting import again

  run = again.write(directory, place)
  print(f'{run.checkpoint}; {directory.path / "report" / "index.html"}')
  return 0


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
