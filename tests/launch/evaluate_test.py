"""Tests of launch.evaluate."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from core import checkpoint_manifests
from tests.launch import runs


class EvaluateTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(runs.scratch(self)) / 'run'
    shutil.copytree(runs.finished(), self.workdir)

  def evaluate(self, *args, **kwargs):
    return runs.call('evaluate', f'--workdir={self.workdir}', *args, **kwargs)

  def scored(self, split):
    path = self.workdir / f'evaluation_{split}.json'
    return json.loads(path.read_text())

  def test_the_numbers_are_those_of_the_run(self):
    ended = self.evaluate()
    self.assertEqual((ended.code, ended.err), (0, ''))
    result = runs.result(self.workdir)
    scored = self.scored('test')
    self.assertEqual(scored['weights_sha256'], result['weights_sha256'])
    self.assertEqual(scored['step'], result['num_steps'])
    self.assertEqual(
        scored['checkpoint'], f'{self.workdir}/checkpoints/ckpt-40'
    )
    for name, value in result['test'].items():
      self.assertEqual(scored[name], value, name)
    self.assertIn(f'test ({runs.NUM_TEST} examples)', ended.out)
    self.assertIn(f'accuracy {result["test_accuracy"]:.4f}', ended.out)
    self.assertIn(f'{self.workdir}/evaluation_test.json', ended.out)

  @pytest.mark.medium
  def test_the_average_is_what_a_run_evaluates(self):
    self.workdir = self.workdir.parent / 'averaged'
    ended = runs.train(self.workdir, num_steps=9, ema_decay=0.9)
    self.assertEqual(ended.code, 0, ended.err)
    with mock.patch.object(
        checkpoint_manifests, '_describe', wraps=checkpoint_manifests._describe
    ) as described:
      self.assertEqual(self.evaluate().code, 0)
    self.assertEqual(described.call_count, 2)  # The index and the values.
    averaged = self.scored('test')['values']
    self.assertEqual(averaged, runs.result(self.workdir)['test']['values'])
    runs.train(self.workdir.parent / 'plain', num_steps=9)
    plain = runs.result(self.workdir.parent / 'plain')
    self.assertNotEqual(averaged['loss'], plain['test']['values']['loss'])
    # The average changes nothing of the training.
    self.assertEqual(runs.digest(self.workdir), plain['weights_sha256'])

  @parameterized.parameters(
      ('train', runs.NUM_TRAIN, 2), ('validation', runs.NUM_VALIDATION, 3)
  )
  def test_split(self, split, size, num_replicas):
    ended = self.evaluate(f'--split={split}', num_replicas=num_replicas)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(self.scored(split)['num_examples'], size)
    self.assertEqual(self.scored(split)['split'], split)
    if split == 'validation':
      last = runs.result(self.workdir)['last_validation']
      values = self.scored(split)['values']
      self.assertAlmostEqual(values['loss'], last['loss'], places=5)
      self.assertEqual(values['accuracy'], last['accuracy'])

  def test_checkpoint(self):
    checkpoint = f'{self.workdir}/checkpoints/ckpt-20'
    ended = self.evaluate('--split=validation', f'--checkpoint={checkpoint}')
    self.assertEqual((ended.code, ended.err), (0, ''))
    scored = self.scored('validation')
    self.assertEqual((scored['checkpoint'], scored['step']), (checkpoint, 20))
    first = runs.rows(self.workdir, 'validation')[0]
    self.assertEqual(scored['values']['loss'], first['loss'])
    self.assertNotEqual(scored['weights_sha256'], runs.digest(self.workdir))

  @parameterized.parameters(
      *(
          (
              f'--checkpoint={path}',
              f'--checkpoint={path}: there is no checkpoint',
          )
          for path in ('/nowhere/ckpt-1', 'nope', __file__, os.devnull)
      ),
      ('--checkpoint=nope', 'expected last, best, or one of '),
      ('--checkpoint=nope', '/checkpoints/ckpt-40'),
      (f'--workdir={__file__}', f'--workdir={__file__}: it is a file'),
      ('--workdir=/nowhere', '--workdir=/nowhere: there is no run'),
      ('--workdir=', '--workdir=: expected a path'),
      ('--split=all', '--split=all: it is for another --dataset'),
      ('--split=some', '--split=some: value should be one of'),
      ('--data_dir=/nowhere', 'tiny_shapes'),
  )
  def test_mistakes(self, argument, message):
    before = sorted(self.workdir.rglob('*'))
    ended = self.evaluate(argument)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertEqual(sorted(self.workdir.rglob('*')), before)


if __name__ == '__main__':
  absltest.main()
