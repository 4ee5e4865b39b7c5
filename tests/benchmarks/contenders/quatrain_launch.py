"""Quatrain's program, `launch.train`.

One variant:

- `recipe`: the recipe for CPUs, only for the race, where seconds from process
  start to the test score count. The network is everybody's, how it is trained
  is the recipe's. The set is taken from where TFDS keeps prepared sets,
  TFDS_DATA_DIR; the program's cache of compiled programs is on, as it is for
  its users.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
import tempfile

from launch import programs, train
from tests.benchmarks import protocol

_RECIPE = (
    pathlib.Path(__file__).parents[3] / 'launch/recipes/fashion_mnist_cpu.flags'
)


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  if not run.case.is_race:
    raise SystemExit('The recipe is of the network of the race alone.')
  with tempfile.TemporaryDirectory() as folder:
    sys.argv[1:] = [
        f'--flagfile={_RECIPE}', f'--workdir={folder}', f'--seed={run.seed}'
    ]
    if 'QUATRAIN_ARCHIVES_DIR' in os.environ:
      sys.argv.append(f'--archives_dir={os.environ["QUATRAIN_ARCHIVES_DIR"]}')
    run.start_epoch()
    with contextlib.redirect_stdout(sys.stderr):
      try:
        programs.run(train.main)
      except SystemExit as ended:
        if ended.code:
          raise
    result = json.loads(pathlib.Path(folder, 'result.json').read_text())
    lines = pathlib.Path(folder, 'metrics.jsonl').read_text().splitlines()
  rows = [row for row in map(json.loads, lines) if row['split'] == 'train']
  run.end_epoch(rows[-1]['loss'], rows[-1]['accuracy'])
  run.finish(
      accuracy=result['test_accuracy'],
      num_parameters=result['num_parameters'],
      device='cpu',
      versions={},
  )


if __name__ == '__main__':
  main()
