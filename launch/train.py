"""Trains a model on a data set: of images, a table, texts, or your own.

  python -m launch.train --flagfile=launch/recipes/fashion_mnist_convnet.flags

Trains under a distribution strategy, validates, checkpoints, tests at the end.
A second start in the same work directory goes on where the first one stopped.
Models, optimizers, schedules and losses take arguments of their own, as in
--model_arg=hidden_sizes=512,256 (the flag may be repeated). Later flags
win over earlier ones, as those of a flag file before them: another --optimizer
drops each --optimizer_arg of the one that it replaces, and so with the others.
"""

from __future__ import annotations

from . import compilation_cache, programs
from . import config as config_lib

config_lib.define_flags()


def main() -> int:
  """Runs the program; returns its exit code."""
  config = config_lib.Config.from_flags()
  if not config.workdir:
    raise programs.UserError('--workdir is missing: name a directory for it.')
  cache = compilation_cache.prepare(
      config.global_batch_size, config.compilation_cache_dir
  )
  # Imported here, so that --help and mistyped flags need not wait for it.
  programs.import_tensorflow()
  from . import training_program

  return training_program.exit_code(config, cache.count)


def program() -> None:
  """Runs the program as a command: it ends the process."""
  programs.run(main)


if __name__ == '__main__':
  program()
