"""Tests of launch.hooks.summaries: what TensorBoard would read."""

from __future__ import annotations

import contextlib
import glob
import io
import os
from unittest import mock

import tensorflow as tf
from absl.testing import absltest
from tensorflow.python.summary import summary_iterator

from core import distribution
from launch.hooks import summaries
from tests import virtual_devices
from tests.launch import runs


def _scalars(directory):
  """Reads every scalar under a directory: (split, step, name) -> value."""
  found = {}
  for path in glob.glob(os.path.join(directory, '*', 'events*')):
    split = os.path.basename(os.path.dirname(path))
    for event in summary_iterator.summary_iterator(path):
      for value in event.summary.value:
        key = split, event.step, value.tag
        assert key not in found, key
        found[key] = float(tf.make_ndarray(value.tensor))
  return found


class SummariesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.directory = runs.scratch(self)

  def test_values(self):
    board = summaries.Summaries(self.directory, virtual_devices.mirrored(1))
    board.write(3, 'train', {'loss': 0.5, 'accuracy': 1.0})
    board.write(5, 'train', {'loss': 0.25})
    board.write(5, 'validation', {'loss': 2.0})
    board.close()
    self.assertEqual(_scalars(self.directory), {
        ('train', 3, 'loss'): 0.5,
        ('train', 3, 'accuracy'): 1.0,
        ('train', 5, 'loss'): 0.25,
        ('validation', 5, 'loss'): 2.0,
    })

  def test_only_the_chief_writes(self):
    with mock.patch.object(distribution, 'is_chief', lambda _: False):
      board = summaries.Summaries(self.directory, virtual_devices.mirrored(1))
    board.write(3, 'train', {'loss': 0.5})
    board.close()
    self.assertEmpty(os.listdir(self.directory))

  def test_a_full_disk_is_said_once_and_ends_nothing(self):
    error = tf.errors.ResourceExhaustedError(None, None, 'full\nflush failed')
    err = io.StringIO()
    with (
        mock.patch.object(tf.summary, 'create_file_writer', side_effect=error),
        contextlib.redirect_stderr(err),
    ):
      board = summaries.Summaries(self.directory, virtual_devices.mirrored(1))
      for step in (1, 2):
        board.write(step, 'train', {'loss': 0.5})
    self.assertRegex(
        err.getvalue(), rf'^.*: {self.directory}/ is not complete: full[.]\n$'
    )

  def test_a_run_writes_what_is_in_its_metrics(self):
    workdir = os.path.join(self.directory, 'run')
    runs.train(workdir)
    expected = {
        (row['split'], row['step'], name): value
        for row in runs.rows(workdir)
        for name, value in row.items()
        if name not in ('split', 'step', 'epoch')
    }
    found = {
        key: value
        for key, value in _scalars(os.path.join(workdir, 'summaries')).items()
        if key[-1] not in runs.SPEEDS
    }
    self.assertSameElements(found, expected)
    for key, value in expected.items():
      self.assertAlmostEqual(found[key], value, places=5, msg=str(key))


if __name__ == '__main__':
  absltest.main()
