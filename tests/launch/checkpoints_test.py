"""Tests of launch.checkpoints: list, verify, prune."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
from unittest import mock

from absl.testing import absltest, parameterized

from core import checkpoint_files
from launch import workdir as workdir_lib
from tests.launch import runs


class CheckpointsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(runs.scratch(self)) / 'run'
    shutil.copytree(runs.finished(), self.workdir)
    self.folder = self.workdir / 'checkpoints'

  def call(self, *args):
    return runs.call('checkpoints', f'--workdir={self.workdir}', *args)

  def names(self, folder=None):
    return [
        os.path.basename(path)
        for path in checkpoint_files.ordered(str(folder or self.folder))
    ]

  def states(self, text):
    """Returns the state of each checkpoint in a table."""
    rows = re.findall(
        r'^(\S*ckpt-\S+) +(\S+ \S+)? +([0-9,]+) +(.*)$', text, re.M
    )
    for _, when, size, _ in rows:
      self.assertRegex(when, r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$')
      self.assertGreater(int(size.replace(',', '')), 50)
    return {name: state for name, _, _, state in rows}

  def test_a_whole_run(self):
    names = self.names()
    self.assertGreater(len(names), 1)
    best = [f'best/{name}' for name in self.names(self.folder / 'best')]
    for action in ('list', 'verify'):
      ended = self.call(action)
      self.assertEqual((ended.code, ended.err), (0, ''))
      self.assertEqual(
          self.states(ended.out), dict.fromkeys([*names, *best], 'whole')
      )

  @parameterized.parameters('index', 'data-00000-of-00001', 'manifest.json')
  def test_a_damaged_one(self, kind):
    newest, *others = self.names()
    path = self.folder / f'{newest}.{kind}'
    text = path.read_bytes()
    path.write_bytes(bytes([text[0] ^ 1]) + text[1:])
    listed = self.call('list')
    self.assertEqual(listed.code, 0)
    states = self.states(listed.out)
    self.assertStartsWith(states[newest], f'damaged: {newest}.{kind} ')
    verified = self.call('verify')
    self.assertEqual((verified.code, verified.out), (1, listed.out))
    self.assertRegex(
        verified.err,
        rf': 1 of \d checkpoints cannot be read: '
        rf'{self.folder}/{newest} [(]{newest}.{kind} .*\n$',
    )
    # It counts for none of those that stay, and stays itself until it is told.
    ended = self.call('prune', '--max_to_keep=1')
    self.assertEqual(ended.code, 0, ended.err)
    self.assertEqual(self.names(), [newest, others[0]])
    ended = self.call('prune', '--damaged')
    self.assertEqual(ended.code, 0, ended.err)
    self.assertRegex(ended.out, rf'^removed {newest}; [0-9,]+ bytes\n$')
    self.assertEqual(self.names(), others[:1])
    self.assertEqual(self.call('verify').code, 0)

  def test_one_that_was_set_aside(self):
    newest, *others = self.names()
    os.truncate(self.folder / f'{newest}.index', 9)
    checkpoint_files.set_aside(str(self.folder / newest))
    ended = self.call('verify')
    self.assertEqual(ended.code, 0, ended.err)
    states = self.states(ended.out)
    self.assertEqual(states[f'damaged-{newest}'], 'damaged, set aside')
    self.assertEqual(states[others[0]], 'whole')
    self.call('prune', '--max_to_keep=5')
    self.assertLen(list(self.folder.glob('damaged-*')), 3)
    self.call('prune', '--damaged')
    self.assertEmpty(list(self.folder.glob('damaged-*')))
    self.assertEqual(self.names(), others)

  def test_prune_keeps_the_newest_and_the_best(self):
    newest, *others = self.names()
    best = self.names(self.folder / 'best')
    (self.folder / 'ckpt-900.data-00000-of-00001').write_text('unfinished')
    ended = self.call('prune', '--max_to_keep=1')
    self.assertEqual(ended.code, 0, ended.err)
    self.assertStartsWith(ended.out, f'removed {", ".join(others)}; ')
    left = {name.partition('.')[0] for name in os.listdir(self.folder)}
    self.assertEqual(left, {newest, 'best', 'checkpoint'})
    self.assertEqual(self.names(self.folder / 'best'), best)
    self.assertStartsWith(
        self.call('prune', '--max_to_keep=1').out, 'removed nothing; 0 bytes'
    )

  def test_without_a_whole_one_nothing_is_removed(self):
    for name in self.names():
      os.truncate(self.folder / f'{name}.index', 9)
    names = self.names()
    self.assertEqual(self.call('prune', '--damaged').code, 0)
    self.assertEqual(self.names(), names)

  def test_one_of_an_older_version(self):
    for path in self.folder.glob('*.manifest.json'):
      path.unlink()
    ended = self.call('verify')
    self.assertEqual((ended.code, ended.err), (0, ''))
    newest = self.names()[0]
    os.truncate(self.folder / f'{newest}.index', 50)
    ended = self.call('verify')
    self.assertEqual(ended.code, 1)
    self.assertIn(f'{newest} (', ended.err)

  def test_not_while_a_process_trains(self):
    directory = workdir_lib.Workdir(str(self.workdir))
    names = self.names()
    with directory.locked():
      ended = self.call('prune', '--max_to_keep=1')
      self.assertEqual(self.call('verify').code, 0)
    self.assertEqual(ended.code, 2)
    self.assertIn(f'{self.workdir} is in use by process', ended.err)
    self.assertEqual(self.names(), names)

  def test_a_process_that_trains_removes_one_meanwhile(self):
    self.call('list')  # It imports the program, whose flags it keeps apart.
    from launch import checkpoints

    path = str(self.folder / self.names()[0])
    files = [*checkpoint_files.files(path), f'{path}.gone']
    with mock.patch.object(checkpoint_files, 'files', return_value=files):
      name, when, size, state = checkpoints.Entry(path, '', None).row()
    self.assertEqual((name, state), (os.path.basename(path), 'whole'))
    self.assertNotEmpty(when)
    self.assertNotEqual(size, '0')

  @parameterized.parameters(
      ((), 'expected one of list, verify, prune, got nothing'),
      (('remove',), 'expected one of list, verify, prune, got remove'),
      (('list', 'verify'), 'got list verify'),
      (('prune',), '--max_to_keep=N says how many'),
      (('list', '--max_to_keep=2'), '--max_to_keep is for prune, not for list'),
      (('verify', '--damaged'), '--damaged is for prune, not for verify'),
      (('prune', '--max_to_keep=0'), 'max_to_keep'),
  )
  def test_mistakes(self, args, message):
    ended = self.call(*args)
    self.assertEqual(ended.code, 2)
    self.assertIn(message, ended.err)
    self.assertLen(ended.err.splitlines(), 1)

  def test_checkpoints_that_are_gone(self):
    shutil.rmtree(self.folder)
    ended = self.call('verify')
    self.assertEqual(ended.code, 2)
    self.assertIn('no checkpoint is in checkpoints/, though', ended.err)


if __name__ == '__main__':
  absltest.main()
