"""Tests of the page and the plot that are made of results."""

from __future__ import annotations

import json
import pathlib
import re
import sys
from unittest import mock

from absl.testing import absltest

from tests import docs_files
from tests.benchmarks import report, results, results_test

_MACHINE = {
    'date': '2025-01-31',
    'system': 'Linux x86_64',
    'cpu': 'A CPU',
    'cores': 2,
    'memory_gb': 16.0,
    'gpus': [],
    'environment': {},
}


def _result(*runs: results.Run, **machine) -> dict:
  return {
      'settings': {
          'cases': ['mlp_b32', 'cpu_recipe'],
          'contenders': None,
          'precisions': ['float32'],
          'rounds': 2,
          'sizes': {'synthetic': False, 'num_epochs': 3},
      },
      'machine': {**_MACHINE, **machine},
      'runs': list(runs),
  }


def _runs(precision: str = 'float32') -> list[results.Run]:
  return [
      results_test.run(
          contender,
          number,
          (speed + number,),
          case=case,
          precision=precision,
          end_s=1e5 / speed,
          versions={'python': '3.11'},
          first_step_s=None if contender == 'flax_scan' else 1.25,
      )
      for case in ('mlp_b32', 'cpu_recipe')
      for number in range(2)
      for contender, speed in (
          ('notebook', 7_200.0),
          ('flax_scan', 38_000.0),
          ('quatrain', 51_000.0),
      )
  ]


class ReportTest(absltest.TestCase):

  def test_the_page_tells_the_numbers(self):
    text = report.page(
        [_result(*_runs(), results_test.failed('pytorch', error='x\nboom <1>'))]
    )
    self.assertRegex(
        text,
        r'\| \*\*Quatrain\*\* \| 51k \(51k - 51k\) \| 7.08 \(7.08 - 7.08\) '
        r'\| 1.34 \(1.34 - 1.34\) \| 0.9000 \| 1.00 \| 1.2 \| 3.0 \|',
    )
    self.assertIn('| Flax and Optax, scan over the epoch | 38k', text)
    self.assertIn('| - | 3.0 |', text)  # It has no first step.
    self.assertIn('failed in 1 rounds: boom  1>.', text)
    self.assertIn('| contender | seconds to the score |', text)
    self.assertIn('| **Quatrain** | 1.96 | 7.08 | 1.34 |', text)
    self.assertIn(
        'python -m tests.benchmarks \\\n    --rounds=2 \\\n'
        '    --cases=mlp_b32,cpu_recipe \\\n    --num_epochs=3\n',
        text,
    )
    self.assertIn('A CPU, 2 cores, 16.0 GB, Linux x86_64; 2025-01-31', text)

  def test_the_page_keeps_the_rules_of_docs(self):
    gpu = _result(*_runs(), *_runs('bfloat16'), gpus=['A GPU, 1.2'])
    folder = pathlib.Path(results_test.scratch(self))
    results_file, gpu_file = folder / 'r.json', folder / 'g.json'
    results_file.write_text(json.dumps(_result(*_runs())))
    gpu_file.write_text(json.dumps(gpu))
    arguments = ['', str(results_file), str(gpu_file), f'--docs={folder}']
    arguments.append('--name=performance_here')
    with mock.patch.object(sys, 'argv', arguments):
      report.main()
    page = folder / 'performance_here.md'
    plot = folder / 'images' / 'performance_here.png'
    anchors = docs_files.anchors(page)
    self.assertLen(set(anchors), len(anchors))
    blocks = docs_files.blocks(page)
    # Commands of hours are not run by tests.
    self.assertEqual({block.language for block in blocks}, {'text'})
    text = page.read_text()
    self.assertIn('**Quatrain, bfloat16**', text)
    widths = {
        line.count('|') for line in text.splitlines() if line.startswith('|')
    }
    self.assertEqual(widths, {9})
    self.assertEqual(
        set(re.findall(r'!\[.*\]\((.*)\)', text)), {f'images/{plot.name}'}
    )
    drawn = plot.read_bytes()
    # Nothing but the results decides what is written.
    report.plot([_result(*_runs()), gpu], plot)
    self.assertEqual(plot.read_bytes(), drawn)

  def test_numbers_are_short(self):
    written = [
        report._number(value)
        for value in (0.01234, 1.0, 9.876, 123.4, 999.9, 1234.5, 56789, 2.5e6)
    ]
    self.assertEqual(
        written,
        [
            '0.0123',
            '1.00',
            '9.88',
            '123',
            '1.00k',
            '1.23k',
            '56.8k',
            '2,500,000',
        ],
    )


if __name__ == '__main__':
  absltest.main()
