"""Directories of checkpoints that were damaged: which checkpoint is used."""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checkpoint_files, checkpoints


def _flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 3] ^= 1
  path.write_bytes(content)


_DAMAGE = {
    'missing': pathlib.Path.unlink,
    'empty': lambda path: os.truncate(path, 0),
    'cut': lambda path: os.truncate(path, path.stat().st_size // 2),
    'flipped': _flip,
    'other': lambda path: path.write_bytes(b'something else\n' * 20),
}
_FILES = (
    'ckpt-30.index',
    'ckpt-30.data-00000-of-00001',
    'ckpt-30.manifest.json',
    'checkpoint',
)


@functools.cache
def _template():
  """Makes a directory with checkpoints of the steps 10, 20 and 30."""
  directory = tempfile.mkdtemp()
  variables = _variables()
  checkpointer = checkpoints.Checkpointer(directory, variables)
  for step in (10, 20, 30):
    variables['step'].assign(step)
    checkpointer.save(step)
  return directory


def _variables():
  return {
      'step': tf.Variable(0, dtype=tf.int64),
      # Most of the file, so that damage in it is damage of a variable.
      'w': tf.Variable(tf.range(10_000.0)),
  }


class DamageTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    root = self.enter_context(tempfile.TemporaryDirectory())
    self.directory = pathlib.Path(root) / 'a b'
    shutil.copytree(_template(), self.directory)
    self.variables = _variables()
    self.checkpointer = checkpoints.Checkpointer(
        str(self.directory), self.variables
    )

  def contents(self):
    return {path.name: path.read_bytes() for path in self.directory.iterdir()}

  def names(self):
    return sorted(
        {path.name.partition('.')[0] for path in self.directory.iterdir()}
    )

  @parameterized.product(file=_FILES, how=tuple(_DAMAGE))
  def test_the_newest_whole_one_is_used(self, file, how):
    _DAMAGE[how](self.directory / file)
    before = self.contents()
    path = self.checkpointer.restore()
    is_old = file == 'ckpt-30.manifest.json' and how == 'missing'
    step = 30 if file == 'checkpoint' or is_old else 20
    self.assertEqual(path, str(self.directory / f'ckpt-{step}'))
    self.assertEqual(int(self.variables['step']), step)
    damaged = self.checkpointer.damaged
    self.assertEqual(
        [os.path.basename(each.path) for each in damaged],
        [] if step == 30 else ['ckpt-30'],
    )
    for each in damaged:
      self.assertRegex(str(each), 'ckpt-30: cannot be read [(].+[)].$')
      self.assertNotIn('\n', str(each))
    # Others find the same, and nothing was changed so far.
    self.assertEqual(checkpoints.newest_whole(str(self.directory))[0], path)
    self.assertEqual(self.contents(), before)
    # The next save keeps what is damaged aside.
    left = {name: text for name, text in before.items() if 'ckpt-30' in name}
    self.checkpointer.save(step + 1)
    after = self.contents()
    for name, text in left.items():
      name = name if step == 30 else f'damaged-{name}'
      self.assertEqual(after[name], text)
    again = checkpoints.Checkpointer(str(self.directory), self.variables)
    self.assertTrue(again.restore().endswith(f'ckpt-{step + 1}'))
    self.assertEmpty(again.damaged)

  def test_several_damaged_ones(self):
    for step in (20, 30):
      _flip(self.directory / f'ckpt-{step}.data-00000-of-00001')
    self.assertTrue(self.checkpointer.restore().endswith('ckpt-10'))
    self.assertLen(self.checkpointer.damaged, 2)
    for _ in range(2):  # What is kept aside is never overwritten.
      self.checkpointer.save(30)
      _flip(self.directory / 'ckpt-30.data-00000-of-00001')
      self.checkpointer.restore()
    self.checkpointer.save(30)
    self.assertEqual(
        self.names(),
        [
            'checkpoint',
            'ckpt-10',
            'ckpt-30',
            'damaged-ckpt-20',
            'damaged-ckpt-30',
            'damaged-ckpt-30-2',
            'damaged-ckpt-30-3',
        ],
    )

  def test_no_whole_one(self):
    for step in (10, 20, 30):
      _flip(self.directory / f'ckpt-{step}.index')
    before = self.contents()
    with self.assertRaisesRegex(
        checkpoints.CheckpointError,
        'no checkpoint can be read: ckpt-30, ckpt-20, ckpt-10 .* from a backup',
    ):
      self.checkpointer.restore()
    self.assertEqual(self.contents(), before)

  def test_what_does_not_fit_is_not_damaged(self):
    other = {'step': self.variables['step'], 'w': tf.Variable(1.0)}
    checkpointer = checkpoints.Checkpointer(str(self.directory), other)
    with self.assertRaisesRegex(checkpoints.CheckpointError, 'does not fit'):
      checkpointer.restore()
    self.assertEmpty(checkpointer.damaged)

  @parameterized.parameters(
      tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError
  )
  def test_what_cannot_be_read_now_is_not_damaged(self, error):
    with (
        mock.patch.object(
            tf.train, 'load_checkpoint', side_effect=error(None, None, 'no')
        ),
        self.assertRaisesRegex(checkpoints.CheckpointError, 'read now [(]no'),
    ):
      self.checkpointer.restore()

  def test_no_directory(self):
    shutil.rmtree(self.directory)
    self.assertIsNone(self.checkpointer.restore())
    self.directory.write_text('a file')
    self.assertIsNone(self.checkpointer.restore())
    self.assertIsNone(checkpoints.latest(str(self.directory)))
    with self.assertRaises(checkpoints.SaveError):
      self.checkpointer.save(1)


class SaveTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    shutil.copytree(_template(), self.root, dirs_exist_ok=True)

  def names(self):
    return sorted(path.name for path in self.root.iterdir())

  def test_what_a_killed_process_left_is_cleared(self):
    clean = self.names()
    for name in ('ckpt-31_temp', 'ckpt-40_temp', 'unfinished'):
      (self.root / name).mkdir()
      (self.root / name / 'part-00000-of-00001').write_text('half')
    (self.root / 'ckpt-40_temp.txt').write_text('a file of a user')
    checkpointer = checkpoints.Checkpointer(str(self.root), _variables())
    checkpointer.restore()
    self.assertIn('ckpt-31_temp', self.names())  # Nothing before a save.
    checkpointer.save(30)
    self.assertEqual(self.names(), sorted([*clean, 'ckpt-40_temp.txt']))

  def test_a_full_disk_leaves_what_was_saved(self):
    before = self.names()
    for error in (
        tf.errors.ResourceExhaustedError(None, None, 'No space\nleft'),
        OSError(28, 'No space'),
    ):
      with (
          mock.patch.object(tf.train.Checkpoint, 'write', side_effect=error),
          self.assertRaisesRegex(checkpoints.SaveError, 'ckpt-40: .*No space$'),
      ):
        checkpoints.Checkpointer(str(self.root), _variables()).save(40)
      self.assertEqual(self.names(), before)

  def test_a_lost_worker_is_no_full_disk(self):
    error = tf.errors.UnavailableError(None, None, 'Connection reset')
    with (
        mock.patch.object(tf.train.Checkpoint, 'write', side_effect=error),
        self.assertRaises(tf.errors.UnavailableError),
    ):
      checkpoints.Checkpointer(str(self.root), _variables()).save(40)

  def test_tensorflows_own_tools_find_the_newest(self):
    for step in (40, 50):
      checkpoints.Checkpointer(
          str(self.root), _variables(), max_to_keep=2
      ).save(step)
    self.assertEqual(
        tf.train.latest_checkpoint(str(self.root)), str(self.root / 'ckpt-50')
    )
    state = tf.train.get_checkpoint_state(str(self.root))
    self.assertEqual(
        list(state.all_model_checkpoint_paths),
        [str(self.root / f'ckpt-{step}') for step in (40, 50)],
    )

  def test_the_order_is_that_of_the_saves(self):
    """A loop that begins again in a directory saves smaller steps."""
    variables = _variables()
    checkpointer = checkpoints.Checkpointer(str(self.root), variables)
    checkpointer.save(5)
    self.assertTrue(checkpointer.latest().endswith('ckpt-5'))
    # One that is not in the list was saved last if its step is beyond.
    for file in list(self.root.glob('ckpt-30.*')):
      shutil.copy(file, file.with_name(file.name.replace('30', '40')))
    self.assertEqual(
        [os.path.basename(p) for p in checkpoint_files.ordered(str(self.root))],
        ['ckpt-40', 'ckpt-5', 'ckpt-30', 'ckpt-20'],
    )


if __name__ == '__main__':
  absltest.main()
