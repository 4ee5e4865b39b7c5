"""Shows a data set as the model receives it, on one HTML page.

  python -m launch.show --dataset=folder:photos --max_shift=2 --output=show.html

The page has examples of each split, raw and augmented, with their labels; the
number of examples per class; shapes, ranges and missing labels; and duplicate
examples. Takes the flags of launch.train.
"""

from __future__ import annotations

from . import config as config_lib
from . import programs
from .files import json_files, paths
from .machine import compilation_cache
from .settings import flag_types

config_lib.define_flags()
_OUTPUT = flag_types.DEFINE_path(
    'output', 'The .html file to write. Default: show.html in this folder.'
)


def main() -> int:
  """Runs the program; returns its exit code."""
  output = paths.output(_OUTPUT.value or 'show.html', '.html', '.htm')
  config = config_lib.Config.from_flags()
  compilation_cache.prepare(config.global_batch_size, '')
  programs.import_tensorflow()
  from .showing import page as showing

  page, summary = showing.of(config)
  output.parent.mkdir(parents=True, exist_ok=True)
  json_files.replace(output, page)
  print(f'{summary}; {output}')
  return 0


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
