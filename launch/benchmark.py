"""Measures how fast a run trains, and says what bounds it.

  python -m launch.benchmark --flagfile=RECIPE
  python -m launch.benchmark --model=mlp --precision=bfloat16 --output=fast.json

Takes the flags of launch.train, and prints examples per second; how a step is
split into input, forward and backward pass, update and more; how near that is
to the speed of the devices; memory; and which flag would help. Nothing is
written but --output, and what is in --workdir does not matter.
"""

from __future__ import annotations

import time

from absl import flags

from . import compilation_cache, flag_types, json_files, paths, programs
from . import config as config_lib

config_lib.define_flags()
_NUM_SECONDS = flags.DEFINE_float(
    'num_seconds',
    10.0,
    'How long to measure, after the data are open and all is compiled; at '
    'least three rounds are measured.',
    lower_bound=0.1,
    upper_bound=1e6,
)
_OUTPUT = flag_types.DEFINE_path(
    'output', 'A .json file to write all measurements to.'
)


def main() -> int:
  """Runs the program; returns its exit code."""
  started = time.monotonic()
  output = paths.output(_OUTPUT.value, '.json') if _OUTPUT.value else None
  config = config_lib.Config.from_flags()
  cache = compilation_cache.prepare(
      config.global_batch_size, config.compilation_cache_dir, is_read_only=True
  )
  programs.import_tensorflow()
  from . import benchmarking, bottleneck, tables

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
