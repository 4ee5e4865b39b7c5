"""Checkpoints whose bytes change, and saves that end at any moment."""

from __future__ import annotations

import builtins
import itertools
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checkpoint_files, checkpoint_manifests, checkpoints

_NAMES = ('ckpt-2.data-00000-of-00001', 'ckpt-2.index', 'ckpt-2.manifest.json')


def _variables(value=0.0):
  return {
      'step': tf.Variable(int(value), dtype=tf.int64),
      'w': tf.Variable(tf.fill([40], float(value))),
  }


class ManifestTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    for step in (1, 2):
      variables = _variables(step)
      checkpoints.Checkpointer(str(self.root), variables).save(step)

  def flips(self, name, width):
    """Flips each range of the bytes of a file in turn, and mends it again."""
    path = self.root / name
    whole = path.read_bytes()
    for start in range(0, len(whole), width):
      part = bytes(byte ^ 0xFF for byte in whole[start : start + width])
      path.write_bytes(whole[:start] + part + whole[start + width :])
      yield start
    path.write_bytes(whole)

  def test_is_written(self):
    self.assertContainsSubset(_NAMES, os.listdir(self.root))
    self.assertIsNone(checkpoint_manifests.find_damage(f'{self.root}/ckpt-2'))

  @parameterized.parameters(*_NAMES)
  def test_any_byte_that_changes_is_found(self, name):
    path = str(self.root / 'ckpt-2')
    for start in self.flips(name, 1):
      damage = checkpoint_manifests.find_damage(path)
      self.assertIsNotNone(damage, start)
      self.assertRegex(damage, '^ckpt-2[.][^ ]+ (is |has |does not have )')
    self.assertIsNone(checkpoint_manifests.find_damage(path))

  @parameterized.parameters(*_NAMES)
  def test_any_bit_that_changes_is_found(self, name):
    path = self.root / name
    whole = path.read_bytes()
    for at, bit in itertools.product(range(0, len(whole), 7), range(8)):
      changed = bytearray(whole)
      changed[at] ^= 1 << bit
      path.write_bytes(changed)
      damage = checkpoint_manifests.find_damage(str(self.root / 'ckpt-2'))
      self.assertIsNotNone(damage, (at, bit))

  @parameterized.parameters(*_NAMES)
  def test_any_range_that_changes_is_named_and_passed_over(self, name):
    variables = _variables()
    checkpointer = checkpoints.Checkpointer(str(self.root), variables)
    for _ in self.flips(name, 41):
      variables['step'].assign(0)
      self.assertTrue(checkpointer.restore().endswith('ckpt-1'))
      self.assertEqual(int(variables['step']), 1)
      [damaged] = checkpointer.damaged
      self.assertIn('/ckpt-2: cannot be read (ckpt-2.', str(damaged))
      with self.assertRaises(checkpoints.DamagedError):
        checkpoints.restore(str(self.root / 'ckpt-2'), _variables())
      found, _ = checkpoints.newest_whole(str(self.root))
      self.assertTrue(found.endswith('ckpt-1'))
    self.assertTrue(checkpointer.restore().endswith('ckpt-2'))

  @parameterized.parameters(
      '',
      '{}',
      '{"files": {}}\n',
      '[]\n',
      'null\n',
      '\xff',
      '[' * 10_000,
      '{"files": {".index": 3}}',
      '{"files": {"/../../x": {}}}',
  )
  def test_what_is_no_manifest_is_damaged(self, text):
    (self.root / _NAMES[2]).write_text(text, encoding='latin-1')
    self.assertEqual(
        checkpoint_manifests.find_damage(f'{self.root}/ckpt-2'),
        'ckpt-2.manifest.json is damaged',
    )

  def test_a_checkpoint_of_an_older_version_is_read_by_its_checksums(self):
    for path in self.root.glob('*.manifest.json'):
      path.unlink()
    checkpointer = checkpoints.Checkpointer(str(self.root), _variables())
    self.assertTrue(checkpointer.restore().endswith('ckpt-2'))
    data = self.root / _NAMES[0]
    text = data.read_bytes()
    middle = text.find(b'\0\0\0@' * 40)  # 2.0
    data.write_bytes(text[:middle] + b'\1' + text[middle + 1 :])
    self.assertTrue(checkpointer.restore().endswith('ckpt-1'))
    self.assertLen(checkpointer.damaged, 1)
    checkpointer.save(3)
    self.assertTrue((self.root / 'damaged-ckpt-2.index').exists())
    self.assertFalse((self.root / 'ckpt-1.manifest.json').exists())

  def test_a_copy_is_whole(self):
    with tempfile.TemporaryDirectory() as other:
      for path in self.root.glob('ckpt-2.*'):
        shutil.copy(path, f'{other}/mine.{path.name.partition(".")[2]}')
      variables = _variables()
      checkpoints.restore(f'{other}/mine', variables)
      self.assertEqual(int(variables['step']), 2)
      os.truncate(f'{other}/mine.index', 10)
      with self.assertRaisesRegex(
          checkpoints.DamagedError, 'mine.index has 10 bytes, not'
      ):
        checkpoints.restore(f'{other}/mine', variables)

  @parameterized.parameters(PermissionError(13, 'no'), OSError(24, 'many'))
  def test_what_cannot_be_read_now_is_not_damaged(self, error):
    with (
        mock.patch.object(checkpoint_manifests, '_describe', side_effect=error),
        self.assertRaisesRegex(checkpoints.CheckpointError, 'read now') as it,
    ):
      checkpoints.restore(str(self.root / 'ckpt-2'), _variables())
    self.assertNotIsInstance(it.exception, checkpoints.DamagedError)

  def test_files_without_an_index_are_no_checkpoint(self):
    """A process was killed before it moved the index of its last one."""
    for name in (_NAMES[0], _NAMES[2]):
      shutil.copy(self.root / name, self.root / name.replace('-2', '-3', 1))
    checkpointer = checkpoints.Checkpointer(str(self.root), _variables())
    self.assertTrue(checkpointer.latest().endswith('ckpt-2'))
    self.assertTrue(checkpointer.restore().endswith('ckpt-2'))
    self.assertEmpty(checkpointer.damaged)
    checkpointer.save(4)
    self.assertEmpty(list(self.root.glob('*ckpt-3*')))


class _Killed(BaseException):
  """Ends a save as a kill would: nothing after it is done."""


_OPEN = open
_OPERATIONS = {
    os: ('replace', 'remove', 'link', 'makedirs'),
    builtins: ('open',),
    shutil: ('rmtree',),
    tf.train.Checkpoint: ('write',),
}


class _Fault:
  """Fails at the n-th operation that changes files: killed, or a full disk."""

  def __init__(self, number, error):
    self._left = number
    self._error = error
    self.is_over = False

  def __enter__(self):
    self._patches = [
        mock.patch.object(module, name, self._wrapped(getattr(module, name)))
        for module, names in _OPERATIONS.items()
        for name in names
    ]
    for patch in self._patches:
      patch.start()
    return self

  def __exit__(self, kind, *_):
    for patch in self._patches:
      patch.stop()
    return kind in (_Killed, checkpoints.SaveError)

  def _wrapped(self, real):

    def operation(*args, **options):
      if real is _OPEN and 'r' in (*args, 'r')[1]:
        return real(*args, **options)
      self._left -= 1
      if self._left == 0:
        self.is_over = True
      if self._left == 0 or (self.is_over and self._error is _Killed):
        if options.get('ignore_errors') and self._error is not _Killed:
          return None
        raise self._error
      return real(*args, **options)

    return operation


class FaultTest(parameterized.TestCase):
  """A save that ends at any operation on files loses no bit."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))

  @parameterized.named_parameters(
      ('the first', (), 1, 1),
      ('the oldest goes', (1, 2, 3), 4, 3),
      ('the one before goes', (1,), 2, 1),
      ('the only one again', (2,), 2, 1),
      ('after one that is damaged', (1, 2, None), 3, 3),
      ('the first on a full disk', (), 1, 1, OSError(28, 'No space')),
      ('the same again on a full disk', (2,), 2, 1, OSError(28, 'No space')),
  )
  def test_at_every_operation(self, before, step, max_to_keep, error=_Killed):
    value = 7 if step in before else step
    template = self.root / 'template'
    for each in before:
      if each:
        checkpoints.Checkpointer(str(template), _variables(each)).save(each)
      else:
        os.truncate(template / 'ckpt-2.index', 10)
    old = {(): None, (1, 2, None): 1}.get(before, before and before[-1])
    seen = set()
    folder = self.root / 'run'
    for number in itertools.count(1):
      shutil.rmtree(folder, ignore_errors=True)
      if before:
        shutil.copytree(template, folder)
      with _Fault(number, error) as fault:
        self.save(folder, step, value, max_to_keep)
      if not fault.is_over:
        break
      # What evaluation, which writes nothing, and the next start find.
      found = self.found(folder)
      self.assertIn(found, (old, value), number)
      seen.add(found)
      # It goes on: the next save leaves nothing of this one behind.
      self.save(folder, 9, 9, max_to_keep)
      self.assertEqual(self.found(folder), 9)
      self.assert_complete(folder)
    self.assertEqual(seen, {old, value})
    self.assertGreater(number, 8)

  def save(self, folder, step, value, max_to_keep):
    variables = _variables()
    checkpointer = checkpoints.Checkpointer(
        str(folder), variables, max_to_keep=max_to_keep
    )
    checkpointer.restore()
    for each in variables.values():
      each.assign(tf.fill(each.shape, tf.cast(value, each.dtype)))
    checkpointer.save(step)

  def found(self, folder):
    """Returns the value of the newest whole one, whose bits must agree."""
    variables = _variables()
    checkpointer = checkpoints.Checkpointer(str(folder), variables)
    path = checkpointer.restore()
    for each in checkpointer.damaged:  # It was so before.
      self.assertEndsWith(each.path, '/ckpt-2')
      index = folder / 'ckpt-2.index'
      self.assertTrue(not index.exists() or index.stat().st_size == 10)
    step = int(variables['step'])
    self.assertEqual(variables['w'].numpy().tolist(), [float(step)] * 40)
    return path and step

  def assert_complete(self, folder):
    for name in os.listdir(folder):
      self.assertRegex(
          name, '^(checkpoint|(damaged-)?ckpt-[0-9]+[.](index|data.*|man.*))$'
      )
    for path in checkpoint_files.ordered(str(folder)):
      self.assertTrue(checkpoint_manifests.has(path), path)
      self.assertIsNone(checkpoint_manifests.find_damage(path))
      self.assertLen(checkpoint_files.files(path), 3)


if __name__ == '__main__':
  absltest.main()
