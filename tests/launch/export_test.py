"""Tests of launch.export."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import shutil
from unittest import mock

from absl.testing import absltest, parameterized

from tests.launch import runs


class ExportTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(runs.scratch(self)) / 'run'
    shutil.copytree(runs.finished(), self.workdir)

  def export(self, *args):
    return runs.call('export', f'--workdir={self.workdir}', *args)

  def test_writes_into_the_work_directory(self):
    ended = self.export('--formats=saved_model,tflite')
    self.assertEqual(ended.code, 0, ended.err)
    exports = self.workdir / 'exports'
    self.assertTrue((exports / 'saved_model' / 'saved_model.pb').exists())
    self.assertTrue((exports / 'model.tflite').exists())
    report = json.loads((exports / 'parity.json').read_text())
    self.assertLen(report['exports'], 5)
    self.assertEqual(ended.out.count(' yes'), 5)
    self.assertEqual(ended.err, '')
    verified = self.export('--verify')
    self.assertEqual((verified.code, verified.err), (0, ''))
    self.assertEqual(verified.out.count(' yes'), 5)
    self.assertIn(f'{runs.NUM_TEST}', ended.out)

  def test_output_dir_and_checkpoint(self):
    output = self.workdir.parent / 'elsewhere'
    ended = self.export(
        '--formats=tflite',
        f'--output_dir={output}',
        f'--checkpoint={self.workdir}/checkpoints/ckpt-20',
        '--quantize=dynamic_range',
    )
    self.assertEqual(ended.code, 0, ended.err)
    report = json.loads((output / 'parity.json').read_text())
    self.assertEqual(report['step'], 20)
    self.assertFalse((self.workdir / 'exports').exists())

  @parameterized.parameters(
      ('--formats=h5', '--formats=h5: expected some of saved_model, tflite,'),
      ('--formats=', '--formats=: expected some of saved_model, tflite, '),
      ('--formats=tflite,h5', '--formats=tflite,h5: expected'),
      ('--verify', '--verify: '),
      ('--calibration_examples=0', '--calibration_examples=0: '),
      ('--quantize=int4', '--quantize=int4: value should be'),
      ('--workdir=/nowhere', '--workdir=/nowhere: there is no run'),
      ('--workdir=', '--workdir=: expected a path'),
      ('--checkpoint=/nowhere/ckpt-1', '/nowhere/ckpt-1'),
  )
  def test_mistakes(self, argument, message):
    ended = self.export(argument)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((self.workdir / 'exports').exists())

  def test_what_a_page_or_onnx_lacks(self):
    ended = self.export('--formats=web', '--web_runtime_dir=/nowhere')
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertRegex(ended.err, '--web_runtime_dir=/nowhere: there is no .*')
    with mock.patch.object(importlib.util, 'find_spec', return_value=None):
      ended = self.export('--formats=onnx')
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(f"'tf2onnx'; pip install '{runs.ROOT}[onnx]'", ended.err)
    self.assertFalse((self.workdir / 'exports').exists())

  def test_quantize_of_no_tflite(self):
    ended = self.export('--formats=saved_model', '--quantize=dynamic_range')
    self.assertEqual(ended.code, 2)
    self.assertIn('--quantize=dynamic_range: ', ended.err)


if __name__ == '__main__':
  absltest.main()
