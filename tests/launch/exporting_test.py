"""Tests of launch.exporting: what is written, and how far it is the model."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
from unittest import mock

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from core import export as export_lib
from launch import config as config_lib
from launch import experiment as experiment_lib
from launch import exporting, finished_run, programs, reading, workdir
from pipelines import datasets
from pipelines import spec as spec_lib
from tests import virtual_devices
from tests.launch import runs

_SMALL = {
    'convnet': {'channels': (4,), 'hidden_size': 8},
    'mlp': {'hidden_sizes': (8,)},
}


def _load():
  place = config_lib.Config(workdir=str(runs.finished()))
  return finished_run.load(place, None, virtual_devices.mirrored(1))


def _untrained(name):
  """Makes a run of which no step was taken."""
  config = runs.config(
      model=name, model_arg=_SMALL.get(name, {}), normalize=True
  )
  dataset = runs.dataset(config)
  # Where its data set is, for the examples of the parity.
  config = dataclasses.replace(config, data_dir=runs.data_dir())
  data = reading.describe_data(config, dataset)
  experiment = experiment_lib.Experiment(config, data, 1)
  experiment.build()
  return finished_run.Run(
      workdir=workdir.Workdir('nowhere'),
      experiment=experiment,
      checkpoint='none',
      step=0,
  )


_TEXTS = spec_lib.Feature('text', (5,), 'int32', vocabularies=(('',) * 9,))
_NUMBERS = spec_lib.Feature('numbers', (3,), 'float32')
_CATEGORIES = spec_lib.Feature(
    'categories', (2,), 'int32', vocabularies=(('', 'a'), ('', 'b'))
)
_IMAGE = spec_lib.Feature('image', (8, 8, 3), 'uint8')
_CLASS = spec_lib.Feature('class', (), 'int64', ('no', 'yes'))
_TASKS = (
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


def _run_of(inputs, label, **changes):
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
  data = reading.describe_data(config, dataset)
  experiment = experiment_lib.Experiment(config, data, 1)
  experiment.build()
  run = finished_run.Run(
      workdir=workdir.Workdir('nowhere'), experiment=experiment,
      checkpoint='none', step=0,
  )
  vars(run)['dataset'] = dataset
  return run


class ExportTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.output = pathlib.Path(runs.scratch(self)) / 'exports'

  def export(
      self, run, formats=('saved_model', 'tflite'), quantize=None, **options
  ):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
      code = exporting.export(
          run, formats, output_dir=str(self.output),
          quantize=quantize,
          **options,
      )
    return code, out.getvalue()

  def report(self):
    return json.loads((self.output / 'parity.json').read_text())

  def test_both_formats(self):
    self._assert_exports_agree('convnet')

  @parameterized.parameters(*runs.IMAGE_MODELS)
  @pytest.mark.slow
  def test_every_model_in_both_formats(self, name):
    self._assert_exports_agree(name)

  def _assert_exports_agree(self, name):
    code, out = self.export(_untrained(name))
    self.assertEqual(code, 0, out)
    report = self.report()
    self.assertEqual((report['split'], report['step']), ('test', 0))
    self.assertEqual(
        [(row['path'], row['input']) for row in report['exports']],
        [
            (f'{self.output}/{file}', kind)
            for file in ('saved_model', 'model.tflite')
            for kind in ('uint8', 'float32')
        ],
    )
    for row in report['exports']:
      self.assertEqual(row['num_examples'], runs.NUM_TEST)
      self.assertLess(row['max_difference'], 1e-4)
      self.assertTrue(row['agrees'])
      self.assertIn(row['path'], out)

  @parameterized.named_parameters(*_TASKS)
  def test_every_task_in_both_formats(self, inputs, label, changes):
    is_text = 'tokens' in inputs
    formats = ['saved_model'] if is_text else ['saved_model', 'tflite']
    code, out = self.export(_run_of(inputs, label, **changes), formats)
    self.assertEqual(code, 0, out)
    for row in self.report()['exports']:
      self.assertEqual(row['input'], ', '.join(inputs))
      self.assertEqual(row['num_examples'], 7)
      self.assertLess(row['max_difference'], 1e-5)

  def test_what_tflite_cannot_hold(self):
    _, inputs, label, _ = _TASKS[1]
    run = _run_of(inputs, label)
    with self.assertRaisesRegex(
        programs.UserError, '--formats=tflite: TF Lite has not .* StridedSlice'
    ):
      self.export(run)
    code, out = self.export(run, may_leave_out=True)
    self.assertEqual(code, 0, out)
    self.assertIn('model.tflite is left out: TF Lite has not all', out)
    self.assertLen(self.report()['exports'], 1)

  def test_quantized(self):
    code, _ = self.export(_load(), ['tflite'], 'dynamic_range')
    self.assertEqual(code, 0)
    self.assertCountEqual(
        os.listdir(self.output), ['parity.json', 'model.tflite']
    )
    for row in self.report()['exports']:
      self.assertIsNone(row['limit'])
      self.assertTrue(row['agrees'])

  def test_an_export_that_is_not_the_model(self):
    def other(inputs):
      shape = [len(inputs['image']), 4]
      return {'probabilities': np.full(shape, 0.25, np.float32)}

    with mock.patch.object(
        export_lib, 'saved_model_function', return_value=other
    ):
      code, out = self.export(_load(), ['saved_model'])
    self.assertEqual(code, 1)
    self.assertIn('NO', out)
    self.assertFalse(any(row['agrees'] for row in self.report()['exports']))

  def test_a_directory_that_can_not_be(self):
    self.output.write_text('a file')
    with self.assertRaisesRegex(
        programs.UserError, f'--output_dir={self.output}'
    ):
      self.export(_load(), ['tflite'])
    self.output.unlink()
    (self.output / 'saved_model').mkdir(parents=True)
    (self.output / 'saved_model' / 'letters').write_text('')
    with self.assertRaisesRegex(programs.UserError, 'something other than a'):
      self.export(_load(), ['saved_model'])


if __name__ == '__main__':
  absltest.main()
