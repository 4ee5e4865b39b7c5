"""Tests of the program for machines with a GPU, on one that has none.

Covers: answers, defaults, making, right, running, speed, trace.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile

import pytest
from absl.testing import absltest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from core import models
from launch.machine import environment
from tests.faults import processes
from tests.gpu import answers, making, trace


def _folder(test):
  directory = tempfile.TemporaryDirectory()
  test.addCleanup(directory.cleanup)
  return pathlib.Path(directory.name)


def _program(*arguments):
  return subprocess.run(
      [sys.executable, '-m', 'tests.gpu', *arguments],
      cwd=processes.ROOT,
      capture_output=True,
      text=True,
  )


class AnswersTest(absltest.TestCase):

  def test_each_is_written_at_once_and_an_exception_is_one(self):
    path = _folder(self) / 'answers.jsonl'
    written = answers.Answers(path)

    def ask(number):
      yield answers.Answer('a', 'well', True)
      self.assertLen(path.read_text().splitlines(), 1)
      yield answers.Answer('b', 'a number')
      _ = 1 // number

    written.add('question', ask, 1)
    self.assertTrue(written.all_good)
    path.write_text('')
    written.add('question', ask, 0)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    self.assertEqual([row['is_good'] for row in rows], [True, None, False])
    self.assertIn('ZeroDivisionError', rows[-1]['text'])
    self.assertFalse(written.all_good)
    self.assertEndsWith(written.summary(), ': 2 good, 2 seen, 1 BAD')


class MakingTest(absltest.TestCase):

  def test_every_model_has_a_job(self):
    self.assertCountEqual(making.MODELS, models.REGISTRY)
    for name in making.MODELS:
      job = making.train('a', name, {'num_steps': '1'})
      self.assertIn(f'--model={name}', job.arguments)
      self.assertIn('--num_steps=1', job.arguments)

  def test_a_job_is_made_once_and_never_after_the_deadline(self):
    folder = _folder(self)
    job = making.Job('a', 'timeit', ('-n1', '-r1', 'print(1)'))
    late = making.Workshop(folder, deadline=0.0)
    (missing,) = late.make([job])
    self.assertIsNone(missing.code)
    (made,) = making.Workshop(folder).make([job])
    self.assertEqual(made.code, 0)
    self.assertStartsWith(made.text('out'), '1\n')
    (again,) = late.make([job], alone=True)
    self.assertEqual(again, made)
    self.assertStartsWith(made.failure(), 'exit code 0; 1 | ')

  def test_one_that_hangs_is_ended(self):
    job = making.Job(
        'a', 'timeit', ('import time; time.sleep(60)',), timeout_s=1.0
    )
    (made,) = making.Workshop(_folder(self)).make([job])
    self.assertIsNone(made.code)
    self.assertLess(made.seconds, 30)


class TraceTest(absltest.TestCase):

  def test_copies_and_kernels_per_step(self):
    folder = _folder(self)
    self.assertEqual(trace.summary(folder, 2), 'there is no trace')
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name='/device:GPU:0')
    for number, name in enumerate(('gemm', 'MemcpyH2D', 'fusion')):
      plane.event_metadata[number].name = name
    line = plane.lines.add(name='Stream #1')
    for number, milliseconds in ((0, 3), (1, 9), (2, 1), (1, 9), (1, 9)):
      line.events.add(metadata_id=number, duration_ps=milliseconds * 10**9)
    (folder / 'a.xplane.pb').write_bytes(space.SerializeToString())
    self.assertEqual(
        trace.summary(folder, 2),
        'per step 1.50 MemcpyH2D; kernels 2.000 ms: gemm 75%, fusion 25%',
    )


class ProgramTest(absltest.TestCase):

  def test_unknown_names(self):
    ended = _program('--models=mlp,mpl', '--questions=runs,walks')
    self.assertEqual(ended.returncode, 2)
    self.assertEndsWith(ended.stderr, 'tests.gpu: unknown: walks, mpl.\n')

  @pytest.mark.slow
  def test_a_rehearsal(self):
    folder = _folder(self)
    ended = _program(
        f'--workdir={folder}',
        '--models=mlp',
        '--questions=runs,right,defaults',
        f'--num_parallel={environment.num_cpus()}',
    )
    self.assertEqual(ended.returncode, 0, ended.stdout)
    lines = (folder / 'answers.jsonl').read_text().splitlines()
    asked = {json.loads(line)['question'] for line in lines}
    self.assertEqual(asked, {'runs', 'right', 'defaults'})


if __name__ == '__main__':
  absltest.main()
