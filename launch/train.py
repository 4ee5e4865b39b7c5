"""Trains a model on images, tables, texts, or your own data.

  python -m launch.train --flagfile=launch/recipes/fashion_mnist_convnet.flags

Trains under a distribution strategy, validates, saves checkpoints, and tests at
the end. A second start in the same work directory resumes the run. Models,
optimizers, schedules and losses take their own arguments, as in
--model_arg=hidden_sizes=512,256 (the flag may be repeated). Later flags
override earlier ones, such as those of a flag file: another --optimizer drops
the --optimizer_arg of the one that it replaces; the same holds for other parts.
"""

from __future__ import annotations

from absl import flags

from . import config as config_lib
from . import programs
from .machine import compilation_cache

config_lib.define_flags()
_DRY_RUN = flags.DEFINE_bool(
    'dry_run',
    False,
    'Whether to rehearse a few steps, an evaluation, a checkpoint and the '
    'report, and to print the time and memory that the run will take; nothing '
    'is written.',
)
_OVERFIT_BATCH = flags.DEFINE_bool(
    'overfit_batch',
    False,
    'Whether to train on the first batch alone, for at most --num_steps or '
    '1,000 steps, until its loss is near the lowest possible; nothing is '
    'written. The exit code is 1 if the loss stays above.',
)


def main() -> int:
  """Runs the program; returns its exit code."""
  config = config_lib.Config.from_flags()
  if _DRY_RUN.value and _OVERFIT_BATCH.value:
    raise programs.UserError('--dry_run, --overfit_batch: give one of them.')
  if _DRY_RUN.value or _OVERFIT_BATCH.value:
    compilation_cache.prepare(
        config.global_batch_size,
        config.compilation_cache_dir,
        is_read_only=True,
    )
    programs.import_tensorflow()
    from .training import dry_run, overfitting

    program = dry_run if _DRY_RUN.value else overfitting
    program.run(config)
    return 0
  if not config.workdir:
    raise programs.UserError('--workdir is missing: name a directory for it.')
  cache = compilation_cache.prepare(
      config.global_batch_size, config.compilation_cache_dir
  )
  # Imported late: --help and mistyped flags need not wait for it.
  programs.import_tensorflow()
  from . import training_program

  return training_program.exit_code(config, cache.count)


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
