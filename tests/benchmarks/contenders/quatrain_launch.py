"""Quatrain's program, `launch.train`, with every check and file it makes.

Variants:

- `program`: the case, said in flags; the MLP alone, which is a model of
  Quatrain.
- `recipe`: the recipe for CPUs, only for the race, where seconds from process
  start to the test score count. The network is everybody's, how it is trained
  is the recipe's.

The set is taken from where TFDS keeps prepared sets, TFDS_DATA_DIR; the
program's cache of compiled programs is on, as it is for its users.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
import tempfile

from launch import programs, train
from tests.benchmarks import cases, protocol

_RECIPE = (
    pathlib.Path(__file__).parents[3] / 'launch/recipes/fashion_mnist_cpu.flags'
)


def _flags(run: protocol.Run) -> list[str]:
  """Returns the case as flags."""
  if run.variant == 'recipe':
    if not run.case.is_race:
      raise SystemExit('The recipe is of the network of the race alone.')
    return [f'--flagfile={_RECIPE}']
  if run.case.layers != cases.CASES['mlp_b128'].layers:
    raise SystemExit('The program has no such network.')
  return [
      '--dataset=fashion_mnist',
      '--model=mlp',
      f'--optimizer={run.case.optimizer}',
      f'--learning_rate={run.case.learning_rate}',
      f'--schedule={run.case.schedule}',
      f'--global_batch_size={run.case.batch_size}',
      f'--num_steps={run.case.num_epochs * run.num_steps}',
      f'--precision={run.precision}',
      f'--log_every_steps={run.num_steps}',
      f'--eval_every_epochs={run.case.num_epochs}',
  ]


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  with tempfile.TemporaryDirectory() as folder:
    sys.argv[1:] = [*_flags(run), f'--workdir={folder}', f'--seed={run.seed}']
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
  if run.variant == 'recipe':
    run.end_epoch(rows[-1]['loss'], rows[-1]['accuracy'])
  else:
    ends = [row['wall_time'] - protocol.STARTED_AT for row in rows]
    for row, begin_s, end_s in zip(rows, [0.0, *ends], ends):
      run.add_epoch(end_s - begin_s, row['loss'], row['accuracy'], end_s)
  run.finish(
      accuracy=result[f'{run.case.split}_accuracy'],
      num_parameters=result['num_parameters'],
      device='cpu',
      versions={},
  )


if __name__ == '__main__':
  main()
