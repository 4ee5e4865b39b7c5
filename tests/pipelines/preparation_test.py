"""Sets are prepared once, by the first way that serves.

Covers: files.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from unittest import mock

import pytest
import requests
from absl.testing import absltest, parameterized

from pipelines import archives, preparation, sources
from tests import small_datasets
from tests.pipelines import slow_builder  # noqa: F401 (registers the set)


def answer(status_code: int) -> requests.Response:
  response = requests.Response()
  response.status_code = status_code
  return response


class RouteTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory())
    )
    no_answer = requests.ConnectionError
    self.head = self.enter_context(
        mock.patch.object(requests, 'head', side_effect=no_answer)
    )
    self.enter_context(
        mock.patch.object(preparation, 'DEBIAN_ARCHIVES_DIR', str(self.folder))
    )

  def put_archives(self, folder: pathlib.Path, name: str = 'fashion_mnist'):
    folder.mkdir(exist_ok=True)
    for archive in archives.expected(name):
      (folder / archive).touch()

  def route(self, name='fashion_mnist', **arguments) -> str | None:
    return sources.route(name, self.folder / 'data', **arguments)

  def test_prepared_comes_first(self):
    small_datasets.write(self.folder / 'data', num_train=4, num_test=0)
    self.assertEqual(self.route('tiny_shapes'), 'prepared')
    self.head.assert_not_called()

  def test_archives_come_second(self):
    self.put_archives(self.folder / 'mine')
    self.assertIsNone(self.route())
    self.assertEqual(self.route(archives_dir=self.folder / 'mine'), 'archives')

  def test_archives_of_debian_are_those_of_one_set(self):
    self.put_archives(self.folder)  # The names are those of MNIST, too.
    self.assertEqual(self.route(), 'archives')
    self.assertIsNone(self.route('mnist'))

  @parameterized.parameters(
      (200, 'download'), (404, 'download'), (407, None), (502, None)
  )
  def test_download_comes_third(self, status_code, expected):
    self.head.side_effect = [answer(status_code)]
    self.assertEqual(self.route(), expected)

  def test_waits_no_longer_than_told(self):
    self.head.side_effect = lambda *unused, **timeout: (
        time.sleep(2) or answer(200)
    )
    start = time.monotonic()
    with mock.patch.object(preparation, '_ANSWER_TIMEOUT_S', 0.1):
      self.assertIsNone(self.route())
    self.assertLess(time.monotonic() - start, 1.5)

  def test_no_way_names_all_three_and_writes_nothing(self):
    with self.assertRaises(sources.DataError) as context:
      sources.open_dataset('fashion_mnist', data_dir=self.folder / 'data')
    message = str(context.exception)
    for words in ('data_dir', 'archives_dir', 'download host'):
      self.assertIn(words, message)
    self.assertNotIn('\n', message)
    self.assertFalse((self.folder / 'data').exists())

  @parameterized.parameters(
      ('missing', 'lacks train-images-idx3-ubyte.gz of'),
      ('empty', 'ubyte.gz is truncated'),
  )
  def test_bad_archive_is_named(self, fault, words):
    self.put_archives(self.folder)
    path = self.folder / 'train-images-idx3-ubyte.gz'
    if fault == 'missing':
      path.unlink()
    self.head.side_effect = [answer(200)] * 2  # Must not be used.
    with self.assertRaisesRegex(sources.DataError, words) as context:
      sources.open_dataset(
          'fashion_mnist',
          data_dir=self.folder / 'data',
          archives_dir=self.folder,
      )
    self.assertIn(str(self.folder), str(context.exception))
    self.assertNotIn('\n', str(context.exception))
    self.assertFalse((self.folder / 'data' / 'fashion_mnist').exists())

  def test_failure_is_one_line(self):
    self.head.side_effect = [answer(200)] * 2
    (self.folder / 'data').write_text('no folder')
    with self.assertRaisesRegex(sources.DataError, 'not be prepared') as error:
      sources.open_dataset('fashion_mnist', data_dir=self.folder / 'data')
    self.assertNotIn('\n', str(error.exception))


class ProcessesTest(absltest.TestCase):

  @pytest.mark.medium
  def test_killed_one_leaves_nothing_and_two_prepare_once(self):
    folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory()))
    log = folder / 'log'
    environment = {**os.environ, 'QUATRAIN_TEST_LOG': str(log)}
    self.enter_context(mock.patch.dict(os.environ, environment))

    program = (
        'from tests.pipelines import slow_builder; '
        f'slow_builder.main({str(folder)!r})'
    )

    def start() -> subprocess.Popen:
      return subprocess.Popen(
          [sys.executable, '-c', program],
          cwd=pathlib.Path(__file__).parents[2],
          env=environment,
          stdout=subprocess.PIPE,
          stderr=subprocess.DEVNULL,
          text=True,
      )

    killed = start()
    while not log.exists() and killed.poll() is None:
      time.sleep(0.05)
    killed.kill()
    killed.communicate()
    self.assertEqual(sources.route('slow_shapes', folder), 'download')

    other = start()
    while len(log.read_text().split()) < 2 and other.poll() is None:
      time.sleep(0.05)
    # The other one is at work: this one must wait and then find the set.
    opened = sources.open_dataset('slow_shapes', data_dir=folder)
    self.assertEqual(opened.num_examples, {'train': 15, 'validation': 1})
    output, _ = other.communicate(timeout=60)
    self.assertEqual(output.split()[-1], '15')
    self.assertEqual(log.read_text().split(), [str(killed.pid), str(other.pid)])


if __name__ == '__main__':
  absltest.main()
