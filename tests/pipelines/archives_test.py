"""Archives are restored to the byte, or refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
import tempfile
import types
from unittest import mock

from absl.testing import absltest

from pipelines import archives
from tests import small_datasets

_NAME = 'train-labels-idx1-ubyte.gz'
_TIME = 1504176606


def _upstream(content: bytes) -> bytes:
  """Returns what `gzip` made upstream: a header with name and time."""
  header = b'\x1f\x8b\x08\x08' + _TIME.to_bytes(4, 'little') + b'\0\x03'
  return header + _NAME[:-3].encode() + b'\0' + gzip.compress(content)[10:]


def _rewritten(content: bytes) -> bytes:
  """Returns the same stream under Debian's header."""
  return b'\x1f\x8b\x08\0\xed\x0a\xda\x5e\0\x03' + gzip.compress(content)[10:]


class RestoreTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.source = pathlib.Path(folder)
    self.target = self.source / 'restored'
    self.expected = _upstream(b'\0\0\x08\x01' + bytes(range(200)))
    self.info = info = types.SimpleNamespace(
        size=len(self.expected),
        checksum=hashlib.sha256(self.expected).hexdigest(),
    )
    self.enter_context(
        mock.patch.object(archives, 'expected', return_value={_NAME: info})
    )

  def restore(self, data: bytes) -> bytes:
    (self.source / _NAME).write_bytes(data)
    archives.restore(self.source, self.target, 'fashion_mnist')
    return (self.target / _NAME).read_bytes()

  def assert_refused(self, data: bytes, words: str):
    with self.assertRaisesRegex(ValueError, words) as context:
      self.restore(data)
    message = str(context.exception)
    self.assertIn(str(self.source / _NAME), message)
    self.assertNotIn('\n', message)
    self.assertFalse((self.target / _NAME).exists())

  def test_puts_header_back(self):
    data = _rewritten(b'\0\0\x08\x01' + bytes(range(200)))
    self.assertNotEqual(data, self.expected)
    self.assertEqual(self.restore(data), self.expected)

  def test_copies_upstream(self):
    self.assertEqual(self.restore(self.expected), self.expected)

  def test_other_optional_fields_are_dropped(self):
    data = bytearray(_rewritten(b'\0\0\x08\x01' + bytes(range(200))))
    data[3] = 4 | 8 | 16 | 2
    fields = b'\x03\0abc' + b'name\0' + b'comment\0' + b'\x12\x34'
    self.assertEqual(
        self.restore(bytes(data[:10]) + fields + bytes(data[10:])),
        self.expected,
    )

  def test_refuses_truncated(self):
    data = _rewritten(b'\0\0\x08\x01' + bytes(range(200)))
    for size in (len(data) - 1, len(data) // 2, 12, 0):
      self.assert_refused(data[:size], 'is truncated')

  def test_refuses_other_set(self):
    other = b'\0\0\x08\x01' + bytes(reversed(range(200)))
    self.assert_refused(_rewritten(other), 'of another data set')

  def test_refuses_damaged(self):
    self.assert_refused(b'no archive at all', 'damaged or not a gzip')

  def test_unpacks_no_more_than_upstream_has(self):
    bomb = gzip.compress(bytes(1 << 26))
    self.info.size = len(bomb)
    with mock.patch.object(archives, '_BLOCK_BYTES', 1 << 14):
      unpacked = self.count_unpacked()
      self.assert_refused(bomb, 'unpacks to more than the 60,008 bytes')
    self.assertBetween(sum(unpacked), 60_009, 60_009 + (1 << 14))

  def test_reads_nothing_of_another_length(self):
    with mock.patch.object(pathlib.Path, 'read_bytes') as read:
      (self.source / _NAME).touch()
      os.truncate(self.source / _NAME, 1 << 40)  # No block of it is written.
      with self.assertRaisesRegex(ValueError, f'has {1 << 40} bytes'):
        archives.restore(self.source, self.target, 'fashion_mnist')
    read.assert_not_called()

  def test_unpacks_nothing_of_other_sets(self):
    unpacked = self.count_unpacked()
    for size, words in ((-5, 'truncated'), (0, 'another'), (5, 'another')):
      content = b'x' * (self.info.size + size)
      (self.source / _NAME).write_bytes(content)
      with self.assertRaisesRegex(ValueError, words):
        archives.restore(self.source, self.target, 'kmnist')
    self.assertEmpty(unpacked)

  def count_unpacked(self) -> list[int]:
    """Returns a list that the lengths of what is unpacked are put into."""
    unpacked = []
    read = gzip.GzipFile.read

    def counted(file, size):
      block = read(file, size)
      unpacked.append(len(block))
      return block

    self.enter_context(mock.patch.object(gzip.GzipFile, 'read', counted))
    return unpacked

  def test_names_missing(self):
    with self.assertRaisesRegex(ValueError, f'lacks {_NAME}'):
      archives.restore(self.source, self.target, 'fashion_mnist')


class OtherSetsTest(absltest.TestCase):

  def test_recorded_downloads(self):
    self.assertLen(archives.expected('kmnist'), 4)
    self.assertIn('cifar-10-binary.tar.gz', archives.expected('cifar10:3.0.2'))
    self.assertEmpty(archives.expected('no_such_set'))

  def test_refuses_set_without_downloads(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    with self.assertRaisesRegex(ValueError, 'records no downloads'):
      archives.restore(folder, folder, 'no_such_set')


@absltest.skipIf(
    small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
)
class FashionMnistTest(absltest.TestCase):

  def test_restores_all_and_then_copies(self):
    first = self.enter_context(tempfile.TemporaryDirectory())
    second = self.enter_context(tempfile.TemporaryDirectory())
    archives.restore(small_datasets.FASHION_MNIST_DIR, first, 'fashion_mnist')
    archives.restore(first, second, 'fashion_mnist')
    for folder in (first, second):
      sizes = {
          name: os.path.getsize(os.path.join(folder, name))
          for name in os.listdir(folder)
      }
      self.assertEqual(
          sizes,
          {
              'train-images-idx3-ubyte.gz': 26421880,
              'train-labels-idx1-ubyte.gz': 29515,
              't10k-images-idx3-ubyte.gz': 4422102,
              't10k-labels-idx1-ubyte.gz': 5148,
          },
      )


if __name__ == '__main__':
  absltest.main()
