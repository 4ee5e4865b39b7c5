"""Small runs to export, and how tests export them."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from launch import config as config_lib
from launch import experiment as experiment_lib
from launch import finished_run, programs, reading, workdir
from launch.exporting import writing as exporting
from pipelines import datasets
from pipelines import spec as spec_lib
from tests import virtual_devices
from tests.launch import runs


def load():
  place = config_lib.Config(workdir=str(runs.finished()))
  return finished_run.load(place, None, virtual_devices.mirrored(1))


def untrained(config, dataset):
  """Makes a run of which no step was taken."""
  data = reading.describe_data(config, dataset)
  experiment = experiment_lib.Experiment(config, data, 1)
  experiment.build()
  run = finished_run.Run(
      workdir=workdir.Workdir('nowhere'),
      experiment=experiment,
      checkpoint='none',
      step=0,
  )
  vars(run)['dataset'] = dataset
  return run


_TEXTS = spec_lib.Feature('text', (5,), 'int32', vocabularies=(('',) * 9,))
_NUMBERS = spec_lib.Feature('numbers', (3,), 'float32')
_CATEGORIES = spec_lib.Feature(
    'categories', (2,), 'int32', vocabularies=(('', 'a'), ('', 'b'))
)
_IMAGE = spec_lib.Feature('image', (8, 8, 3), 'uint8')
_CLASS = spec_lib.Feature('class', (), 'int64', ('no', 'yes'))
TASKS = (
    ('table', {'numbers': _NUMBERS, 'categories': _CATEGORIES}, _CLASS, {}),
    ('text', {'tokens': _TEXTS}, _CLASS, {}),
    (
        'labels',
        {'numbers': _NUMBERS},
        spec_lib.Feature('classes', (2,), 'int8', ('no', 'yes')),
        {},
    ),
    (
        'quantiles',
        {'numbers': _NUMBERS},
        spec_lib.Feature('numbers', (2,), 'float32', columns=('a', 'b')),
        {'loss': 'quantile'},
    ),
    (
        'masks',
        {'image': _IMAGE},
        spec_lib.Feature('mask', (8, 8), 'uint8', ('no', 'yes')),
        {'model_arg': {'channels': (4, 8)}},
    ),
)


def run_of(inputs, label, **changes):
  """Makes a run on a few examples of any features, not trained."""
  spec = spec_lib.Spec({**inputs, 'label': label})
  generator = np.random.default_rng(0)
  arrays = {
      name: generator.integers(0, 2, [7, *feature.shape]).astype(feature.dtype)
      for name, feature in spec.items()
  }
  dataset = datasets.of_arrays('some', {'train': arrays, 'test': arrays}, spec)
  config = runs.config(
      **{'model': None, 'model_arg': {}, 'loss': None, **changes}
  )
  return untrained(config, dataset)


def export(run, output, formats, work=exporting.export, **options):
  """Exports, or verifies; returns the exit code and what was printed."""
  with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
      code = work(run, exporting.Options(output, formats, **options))
    except programs.UserError:
      raise
    except programs.Failure as error:  # Its line, below the table.
      return error.exit_code, f'{out.getvalue()}{error}'
  return code, out.getvalue()


def change_a_weight(path):
  """Changes one number of the first layer's weights in a file."""
  contents = bytearray(path.read_bytes())
  [weights] = [
      v.numpy()
      for v in load().model.trainable_variables
      if v.shape.rank == 2 and v.shape[1] == 16
  ]
  rows = weights.astype('<f4')
  for layout in (rows, rows.T):
    found = contents.find(layout.tobytes()[:64])
    if found >= 0:
      contents[found : found + 4] = np.float32(3.0).tobytes()
      break
  else:  # In bytes: a scale of its own for each column.
    quantized = np.round(rows.T / (np.abs(rows.T).max(1, keepdims=True) / 127))
    found = contents.find(quantized.astype(np.int8).tobytes()[16:48])
    assert found >= 0, path
    contents[found] ^= 0x40
  path.write_bytes(contents)
