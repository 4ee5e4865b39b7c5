"""Publishes runs to an experiment tracker, from their files.

  python -m launch.publish runs/first --to=mlflow --project=shoes
  python -m launch.publish runs/* --to=tensorboard --output=boards
  python -m launch.publish runs/first --to=wandb --project=shoes --follow

A run gets its flags as parameters, each row of metrics.jsonl as metrics such as
train/loss and validation/accuracy, and, once it is complete, the numbers of
result.json and the files of report/. Publishing again sends only what is new;
--follow does so until the run is complete, next to the process that trains.
MLflow and Weights & Biases are configured by their own environment variables,
such as MLFLOW_TRACKING_URI and WANDB_MODE.
"""

from __future__ import annotations

from absl import flags

from . import programs
from . import workdir as workdir_lib
from .files import paths
from .publishing import sending as publishing
from .publishing import trackers
from .settings import flag_types

# Whether the program takes positional arguments.
POSITIONAL = True

_TO = flags.DEFINE_enum('to', None, sorted(trackers.TRACKERS), 'The tracker.')
_PROJECT = flags.DEFINE_string(
    'project',
    'quatrain',
    'The experiment of MLflow, or the project of Weights & Biases.',
)
_OUTPUT = flag_types.DEFINE_path(
    'output', 'The directory that --to=tensorboard writes to.'
)
_FOLLOW = flags.DEFINE_bool(
    'follow',
    False,
    'Whether to continue until all runs are complete, instead of sending only '
    'what exists now.',
)
_POLL_SECS = flags.DEFINE_float(
    'poll_secs',
    10.0,
    'The seconds between checks of --follow for new rows.',
    lower_bound=0.1,
)


def main() -> int:
  """Runs the program; returns its exit code."""
  given = programs.positional()
  if not _TO.value:
    raise programs.UserError(
        f'--to is missing: expected one of {", ".join(trackers.TRACKERS)}.'
    )
  if not given:
    raise programs.UserError(
        'expected work directories of runs, as in launch.publish runs/first '
        f'--to={_TO.value}.'
    )
  place = _PROJECT.value
  if _TO.value == 'tensorboard' and not _OUTPUT.value:
    raise programs.UserError('--to=tensorboard needs --output=DIRECTORY.')
  if _TO.value != 'tensorboard' and _OUTPUT.value:
    raise programs.UserError(
        f'--output={_OUTPUT.value}: it is for --to=tensorboard, not for '
        f'--to={_TO.value}.'
    )
  if _OUTPUT.value:
    output = paths.local('output', _OUTPUT.value)
    paths.check_writable('output', output)
    place = str(output)
  runs = [publishing.Run(workdir_lib.of_run(path, '')) for path in given]
  trackers.require(_TO.value)
  return publishing.publish(
      runs,
      _TO.value,
      place,
      poll_secs=_POLL_SECS.value if _FOLLOW.value else None,
  )


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
