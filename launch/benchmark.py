"""Measures how fast a run trains, and finds its bottleneck.

  python -m launch.benchmark --flagfile=RECIPE
  python -m launch.benchmark --model=mlp --precision=bfloat16 --output=fast.json

Takes the flags of launch.train. Prints examples per second; how a step is split
into input, forward and backward pass, update and more; how close this is to the
peak speed of the devices; memory; and which flag would help. It writes only
--output, and ignores the contents of --workdir.
"""

from __future__ import annotations

import time

from absl import flags

from . import config as config_lib
from . import programs
from .files import json_files, paths
from .machine import compilation_cache
from .settings import flag_types

config_lib.define_flags()
_NUM_SECONDS = flags.DEFINE_float(
    'num_seconds',
    10.0,
    'How many seconds to measure, after loading the data and compiling; at '
    'least three rounds are measured.',
    lower_bound=0.1,
    upper_bound=1e6,
)
_OUTPUT = flag_types.DEFINE_path('output', 'A .json file for all measurements.')


def main() -> int:
  """Runs the program; returns its exit code."""
  started = time.monotonic()
  output = paths.output(_OUTPUT.value, '.json') if _OUTPUT.value else None
  config = config_lib.Config.from_flags()
  cache = compilation_cache.prepare(
      config.global_batch_size, config.compilation_cache_dir, is_read_only=True
  )
  programs.import_tensorflow()
  from . import tables
  from .benchmarking import bottleneck
  from .benchmarking import measuring as benchmarking

  found = benchmarking.run(config, _NUM_SECONDS.value, started, cache.count)
  bound, lines = bottleneck.explain(found, config)
  print(tables.benchmark(found))
  print('\n'.join(lines))
  if output:
    output.parent.mkdir(parents=True, exist_ok=True)
    json_files.write(output, {**found, 'bound': bound, 'advice': lines})
  return 0


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
