"""Tests of exporting.writing: what is written, and how far it is the model."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import export as export_lib
from launch import programs
from launch.exporting import writing as exporting
from tests.launch import runs
from tests.launch.exporting import small_runs

_FAST = ('saved_model', 'tflite', 'onnx')
_SMALL = {
    'convnet': {'channels': (4,), 'hidden_size': 8},
    'mlp': {'hidden_sizes': (8,)},
}


class ExportTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.output = pathlib.Path(runs.scratch(self)) / 'exports'

  def export(self, run, formats=_FAST, work=exporting.export, **options):
    return small_runs.export(run, self.output, formats, work, **options)

  def verify(self, run, formats=()):
    return self.export(run, formats, exporting.verify)

  def report(self):
    return json.loads((self.output / 'parity.json').read_text())

  def test_float_formats(self):
    self._assert_exports_agree('convnet')

  @parameterized.parameters(*runs.IMAGE_MODELS)
  @pytest.mark.slow
  def test_every_model(self, name):
    self._assert_exports_agree(name)

  def _assert_exports_agree(self, name):
    config = runs.config(
        model=name, model_arg=_SMALL.get(name, {}), normalize=True
    )
    code, out = self.export(small_runs.untrained(config, runs.dataset(config)))
    self.assertEqual(code, 0, out)
    report = self.report()
    self.assertEqual((report['split'], report['step']), ('test', 0))
    self.assertEqual(
        [(row['path'], row['input']) for row in report['exports']],
        [
            ('saved_model', 'uint8'),
            ('saved_model', 'float32'),
            ('saved_model', 'PNG'),
            ('model.tflite', 'uint8'),
            ('model.tflite', 'float32'),
            ('model.onnx', 'uint8'),
        ],
    )
    for row in report['exports']:
      self.assertEqual(row['num_examples'], runs.NUM_TEST)
      self.assertLess(row['max_difference'], 1e-5)
      self.assertEqual(row['num_disagreements'], 0)
      self.assertEqual(row['metric'], report['model']['metric'])
      self.assertGreater(row['milliseconds']['1'], 0)
      self.assertTrue(row['agrees'])
      self.assertIn(row['path'], out)
    self.assertEqual(report['metric'], 'accuracy')
    for file, facts in report['files'].items():
      if file != 'saved_model':
        contents = (self.output / file).read_bytes()
        self.assertEqual(
            facts,
            {
                'bytes': len(contents),
                'sha256': hashlib.sha256(contents).hexdigest(),
            },
        )

  @parameterized.named_parameters(*small_runs.TASKS)
  def test_every_task(self, inputs, label, changes):
    run = small_runs.run_of(inputs, label, **changes)
    code, out = self.export(run)
    self.assertEqual(code, 0, out)
    rows = self.report()['exports']
    kinds = [', '.join(inputs), *['PNG'] * ('image' in inputs)]
    self.assertEqual(
        [(row['format'], row['input']) for row in rows],
        [
            *(('saved_model', kind) for kind in kinds),
            ('tflite', kinds[0]),
            ('onnx', kinds[0]),
        ],
    )
    for row in rows:
      self.assertEqual(row['num_examples'], 7)
      self.assertLess(row['max_difference'], 1e-5)
      self.assertIsNotNone(row['metric'])

  def test_int8(self):
    code, out = self.export(small_runs.load(), ['tflite_int8', 'tflite'])
    self.assertEqual(code, 0, out)
    report = self.report()
    small, large = (
        report['files'][name]['bytes']
        for name in ('model_int8.tflite', 'model.tflite')
    )
    self.assertLess(small, large)
    row = report['exports'][0]
    self.assertBetween(row['max_difference'], 1e-4, 0.1)
    self.assertEqual((row['limit'], row['metric_limit']), (None, 0.005))
    self.assertEqual(
        report['calibration'],
        {'split': 'train', 'num_examples': runs.NUM_TRAIN, 'seed': 0},
    )

  def test_int8_that_is_worse_is_refused(self):
    real = export_lib.save_tflite

    def on_black_images(module, path, *, examples=(), **options):
      dark = [{'image': each['image'] * 0} for each in examples]
      real(module, path, examples=dark, **options)

    with mock.patch.object(export_lib, 'save_tflite', on_black_images):
      code, out = self.export(small_runs.load(), ['tflite_int8'])
    self.assertEqual(code, 1)
    self.assertRegex(
        out, r'int8.tflite is not the model \(accuracy .*limit 0.005\); nothing'
    )
    self.assertFalse(self.output.exists())

  def test_int8_of_a_task_that_tells_no_metric(self):
    run = small_runs.load()
    task = run.experiment.task
    with (
        mock.patch.object(task, 'predictions', return_value=None),
        self.assertRaisesRegex(programs.UserError, 'override `Task.pred'),
    ):
      self.export(run, ['tflite_int8'])
    self.assertFalse(self.output.exists())

  def test_calibration_examples_are_chosen_by_the_seed(self):
    chosen = []
    run = small_runs.load()
    described = run.experiment.task.export()
    for size in (5, 5, 9):
      options = exporting.Options(
          self.output, ['tflite_int8'], calibration_examples=size
      )
      chosen.append(exporting._calibration(run, described, options))
      self.assertLen(chosen[-1], size)
    np.testing.assert_array_equal(*(
        np.concatenate([each['image'] for each in some]) for some in chosen[:2]
    ))
    images = run.dataset.split('train').arrays['image']
    known = {each.tobytes() for each in images}
    self.assertTrue(all(each['image'].tobytes() in known for each in chosen[2]))

  def test_what_a_format_cannot_hold(self):
    run = small_runs.load()
    error = export_lib.UnsupportedError('TF Lite lacks Digamma.')
    with mock.patch.object(export_lib, 'save_tflite', side_effect=error):
      with self.assertRaisesRegex(
          programs.UserError, '--formats=tflite: TF Lite lacks Digamma'
      ):
        self.export(run)
      self.assertFalse(self.output.exists())
      code, out = self.export(run, may_leave_out=True)
    self.assertEqual(code, 0, out)
    self.assertIn('model.tflite is left out: TF Lite lacks', out)
    self.assertCountEqual(self.report()['files'], ['saved_model', 'model.onnx'])

  def test_quantized(self):
    code, _ = self.export(
        small_runs.load(), ['tflite'], quantize='dynamic_range'
    )
    self.assertEqual(code, 0)
    self.assertCountEqual(
        os.listdir(self.output), ['parity.json', 'model.tflite']
    )
    for row in self.report()['exports']:
      self.assertIsNone(row['limit'])
      self.assertTrue(row['agrees'])
    # A later export of another format keeps what is known of this one.
    self.assertEqual(self.export(small_runs.load(), ['onnx'])[0], 0)
    self.assertEqual(self.verify(small_runs.load())[0], 0)
    small_runs.change_a_weight(self.output / 'model.onnx')
    small_runs.change_a_weight(self.output / 'model.tflite')
    self.assertEqual(self.verify(small_runs.load())[1].count('NO, changed'), 3)

  @pytest.mark.medium
  def test_an_export_that_is_not_the_model_leaves_what_was_there(self):
    run = small_runs.load()
    self.assertEqual(self.export(run)[0], 0)
    before = {
        path: path.read_bytes()
        for path in self.output.rglob('*')
        if path.is_file()
    }
    [weight] = [v for v in run.model.trainable_variables if v.shape == [4]]
    real = export_lib.save_onnx

    def of_other_weights(module, path):
      weight.assign_add(0.01 * tf.range(4.0))
      real(module, path)
      weight.assign_sub(0.01 * tf.range(4.0))

    with mock.patch.object(export_lib, 'save_onnx', of_other_weights):
      code, out = self.export(run)
    self.assertEqual(code, 1)
    self.assertEqual(out.count(' NO'), 1)
    self.assertRegex(out, r'model.onnx is not the model \(uint8: off by 0\.')
    for path in self.output.rglob('*'):
      if path.is_file():
        self.assertEqual(path.read_bytes(), before.pop(path), path)
    self.assertEmpty(before)

  @pytest.mark.medium
  def test_verify(self):
    run = small_runs.load()
    formats = (*_FAST, 'tflite_int8')
    self.export(run, formats)
    before = sorted(self.output.rglob('*'))
    code, out = self.verify(run)
    self.assertEqual(code, 0, out)
    self.assertEqual(out.count(' yes'), 7)
    self.assertIn('verified', out)
    for format, name in (
        ('tflite', 'model.tflite'),
        ('onnx', 'model.onnx'),
        ('tflite_int8', 'model_int8.tflite'),
    ):
      with self.subTest(name):
        small_runs.change_a_weight(self.output / name)
        code, out = self.verify(run, [format])
        self.assertEqual(code, 1, out)
        self.assertRegex(out, rf'{name} .* NO, changed')
        self.assertRegex(out, rf'{name} is not the model .* was changed since')
    self.assertEqual(sorted(self.output.rglob('*')), before)

  def test_verify_finds_a_weight_by_what_it_computes(self):
    """Where parity.json knows nothing of the file."""
    run = small_runs.load()
    self.export(run, ['onnx', 'saved_model'])
    (self.output / 'parity.json').unlink()
    self.assertEqual(self.verify(run)[0], 0)
    small_runs.change_a_weight(self.output / 'model.onnx')
    code, out = self.verify(run)
    self.assertEqual(code, 1)
    self.assertRegex(out, r'model\.onnx .* NO\n')
    self.assertNotIn('changed', out)

  def test_verify_of_what_is_damaged_or_missing(self):
    run = small_runs.load()
    with self.assertRaisesRegex(programs.UserError, 'has no export'):
      self.verify(run)
    self.export(run, ['onnx'])
    with self.assertRaisesRegex(programs.UserError, 'has no tflite'):
      self.verify(run, ['tflite'])
    (self.output / 'model.onnx').write_bytes(b'nothing of the kind')
    code, out = self.verify(run)
    self.assertEqual(code, 1)
    self.assertIn('model.onnx cannot be run', out)

  def test_a_directory_that_can_not_be(self):
    self.output.write_text('a file')
    with self.assertRaisesRegex(
        programs.UserError, f'--output_dir={self.output}'
    ):
      self.export(small_runs.load(), ['onnx'])
    self.output.unlink()
    for name, formats in (
        ('saved_model/letters', ['saved_model']),
        ('model.onnx/letters', ['onnx']),
    ):
      path = self.output / name
      path.parent.mkdir(parents=True)
      path.write_text('')
      with self.assertRaisesRegex(programs.UserError, 'something other than'):
        self.export(small_runs.load(), formats)
      self.assertTrue(path.exists())


if __name__ == '__main__':
  absltest.main()
