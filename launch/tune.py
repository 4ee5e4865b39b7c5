"""Suggests a learning rate, a batch size or the steps per loop, by trials.

  python -m launch.tune learning_rate --flagfile=RECIPE --output=rates.png
  python -m launch.tune batch_size --model=convnet
  python -m launch.tune steps_per_loop --model=mlp

Takes the flags of launch.train and one of these three subjects. It prints a
curve and a suggestion with its reason, and writes a picture of the curve, but
nothing else, and nothing into --workdir: a later run has the same weights as
without it.
"""

from __future__ import annotations

import os

from . import config as config_lib
from . import programs
from .files import paths
from .machine import compilation_cache, environment
from .settings import flag_types

# Whether the program takes positional arguments.
POSITIONAL = True
_SUBJECTS = ('learning_rate', 'batch_size', 'steps_per_loop')
# Maximum rows in the text of a curve.
_ROWS = 25

config_lib.define_flags()
_OUTPUT = flag_types.DEFINE_path(
    'output',
    'The .png file to write. Default: tune_SUBJECT.png in this folder.',
)
_VALUES = flag_types.DEFINE_numbers(
    'values',
    'The values to try, separated by commas: the lowest and the highest '
    'learning rate, or each batch size or number of steps. Default: a wide '
    'range.',
    low=0.0,
    high=1e9,
)


def main() -> int:
  """Runs the program; returns its exit code."""
  given = programs.positional()
  if len(given) != 1 or given[0] not in _SUBJECTS:
    raise programs.UserError(
        f'expected one of {", ".join(_SUBJECTS)}, got '
        f'{" ".join(given) or "nothing"}; as in launch.tune {_SUBJECTS[0]}.'
    )
  [subject] = given
  output = paths.output(_OUTPUT.value or f'tune_{subject}.png', '.png')
  values = _VALUES.value
  if values is not None:
    _check(subject, values)
  config = config_lib.Config.from_flags()
  load = os.getloadavg()[0]  # Before this program adds to it.
  compilation_cache.prepare(config.global_batch_size, '')
  programs.import_tensorflow()
  from .tuning import curve as tuning_curve
  from .tuning import search as tuning

  curve = getattr(tuning, subject)(config, values)
  bars = curve.values if curve.smooth is None else curve.smooth
  every = -(-len(bars) // _ROWS)
  shown = list(zip(curve.places, bars, strict=True))[::every]
  print(
      tuning_curve.text(
          curve.axes,
          [[f'{place:.4g}', f'{bar:,.5g}'] for place, bar in shown],
          [bar for _, bar in shown],
      )
  )
  tuning_curve.draw(
      output,
      subject.replace('_', ' '),
      curve.axes,
      (curve.places, curve.values),
      curve.smooth,
      curve.suggestion,
  )
  flag = 'global_batch_size' if subject == 'batch_size' else subject
  if curve.smooth is None:  # A speed.
    for line in environment.load_warnings(load, environment.num_cpus()):
      print(line)
  print(f'--{flag}={curve.suggestion:g}: {curve.reason} {output}')
  return 0


def _check(subject: str, values: tuple[float, ...]) -> None:
  """Rejects values that do not fit the subject.

  Raises:
    UserError: If they do not fit.
  """
  flag = f'--values={",".join(f"{value:g}" for value in values)}'
  if subject == 'learning_rate':
    if len(values) != 2 or not 1e-30 <= values[0] < values[1]:
      raise programs.UserError(
          f'{flag}: expected the lowest and the highest learning rate, of at '
          'least 1e-30.'
      )
  elif any(value < 1 or value != int(value) for value in values) or (
      sorted(set(values)) != list(values)
  ):
    raise programs.UserError(
        f'{flag}: expected integers of at least 1 in ascending order.'
    )


def program() -> None:
  """Runs the program as a command, which exits the process."""
  programs.run(main, takes_arguments=POSITIONAL)


if __name__ == '__main__':
  program()
