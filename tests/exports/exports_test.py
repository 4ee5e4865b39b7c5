"""Tests of the program that exports every model in every format.

Covers: cases, measuring, table.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from absl.testing import absltest

from core import models
from tests import written_tables
from tests.exports import cases, measuring, table

_MAIN = [sys.executable, '-m', 'tests.exports']
_ROOT = pathlib.Path(__file__).parents[2]


def _row(**changes):
  found = {
      'max_difference': 2e-7,
      'metric': 0.9,
      'metric_limit': None,
      'runtime': 'a runtime',
  }
  return measuring.Row(
      cases.CASES['mlp'],
      'accuracy',
      0.9,
      1234,
      {
          **{name: measuring.Found(0, (found,)) for name in measuring.FORMATS},
          'tflite_int8': measuring.Found(
              0,
              (
                  {
                      **found,
                      'metric': 0.898,
                      'metric_limit': 0.005,
                      'max_difference': 0.03,
                  },
              ),
          ),
          **changes,
      },
  )


class TableTest(absltest.TestCase):

  def test_cells(self):
    row = _row(onnx=measuring.Found(2, said='ONNX lacks\nDigamma.'))
    self.assertEqual(table.cell(row, 'tflite'), '2e-07')
    self.assertEqual(table.cell(row, 'tflite_int8'), '-0.0020 (3e-02)')
    self.assertEqual(table.cell(row, 'onnx'), 'refused')
    text = table.text([row], 300)
    self.assertIn('| `mlp` | 1,234 | accuracy 0.9000 | 2e-07 |', text)
    self.assertIn('- `mlp`, onnx: ONNX lacks Digamma.', text)

  def test_the_page_has_every_model_and_format(self):
    text = table.DOCS.read_text()
    _, _, written = text.partition(table._BEGIN)
    written, _, _ = written.partition(written_tables.END)
    header = written.partition('| model |')[2].partition('\n')[0]
    for name in measuring.FORMATS:
      self.assertIn(f'| {name} |', f'|{header}')
    for name in models.REGISTRY:
      self.assertIn(f'| `{name}` |', written)


class CasesTest(absltest.TestCase):

  def test_every_model_has_data(self):
    for name, case in cases.CASES.items():
      splits = cases.splits(case)
      self.assertLen(splits['test']['label'], cases.NUM_TEST, name)
      self.assertGreater(len(splits['train']['label']), 500)
      shares = np.mean(splits['test']['label'] > 0)
      self.assertBetween(shares, 0.1, 1)


class ProgramTest(absltest.TestCase):

  @pytest.mark.medium
  def test_mistakes(self):
    for arguments, expected in (
        (['mlp', '--models=mpl', '--formats=h5'], 'unknown: mlp, mpl, h5.'),
        (['--models=mlp', '--write_docs'], '--write_docs needs all models'),
    ):
      ended = subprocess.run(
          [*_MAIN, *arguments],
          capture_output=True,
          text=True,
          cwd=_ROOT,
          check=False,
      )
      self.assertEqual(ended.returncode, 2, ended.stderr)
      self.assertIn(expected, ended.stderr)

  @pytest.mark.slow
  def test_all_models_in_all_formats_that_need_no_npm(self):
    formats = [name for name in measuring.FORMATS if name != 'web']
    for case in cases.CASES.values():
      with self.subTest(case.model), tempfile.TemporaryDirectory() as folder:
        row = measuring.measure(case, folder, formats, 150)
        for name, found in row.found.items():
          if name != 'tflite_int8':  # It may be refused.
            self.assertEqual(found.code, 0, found.said)
            for each in found.rows:
              self.assertLess(each['max_difference'], 1e-4, name)


if __name__ == '__main__':
  absltest.main()
