"""Tests of launch.hooks.summaries: what TensorBoard would read."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
from unittest import mock

import pytest
import tensorflow as tf
from absl.testing import absltest
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.hparams import metadata

from core import distribution
from launch.hooks import summaries
from tests import virtual_devices
from tests.launch import boards, runs


def _scalars(directory):
  """Reads every scalar under a directory: (split, step, name) -> value."""
  return {
      (split, step, name): float(value)
      for split in ('train', 'validation')
      if os.path.exists(os.path.join(directory, split))
      for name, values in boards.read(os.path.join(directory, split)).items()
      for step, value in values.items()
      if not value.shape
  }


def _parameters(directory):
  """Reads the hyper-parameters."""
  board = plugin_event_accumulator.EventAccumulator(directory)
  board.Reload()
  [content] = board.PluginTagToContent('hparams').values()
  found = metadata.parse_session_start_info_plugin_data(content)
  return found.group_name, {
      name: value.number_value or value.string_value
      for name, value in found.hparams.items()
  }


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
    self.assertEqual(
        _scalars(self.directory),
        {
            ('train', 3, 'loss'): 0.5,
            ('train', 3, 'accuracy'): 1.0,
            ('train', 5, 'loss'): 0.25,
            ('validation', 5, 'loss'): 2.0,
        },
    )

  def test_a_start_drops_later_points(self):
    for start, steps in ((0, (2, 4, 6)), (4, (5,))):
      board = summaries.Summaries(self.directory, virtual_devices.mirrored(1))
      board.start = start
      for step in steps:
        board.write(step, 'train', {'loss': float(step)})
      board.close()
    self.assertEqual(
        _scalars(self.directory),
        {('train', step, 'loss'): step for step in (2, 4, 5)},
    )

  def test_parameters(self):
    options = {
        'rate': 0.5,
        'none': None,
        'loss_arg': {},
        'model_arg': {'sizes': [3, 4], 'rate': 0.5},
        'sizes': [1, 2],
        'model': summaries.Summaries,
    }
    for rate in (0.5, 0.25):  # Another start may change one.
      board = summaries.Summaries(
          self.directory,
          virtual_devices.mirrored(1),
          summaries.parameters_of({**options, 'rate': rate}),
      )
      self.assertLen(
          list(pathlib.Path(self.directory).glob('events.*')), int(rate == 0.25)
      )
      board.write(1, 'train', {'loss': 0.5})
      board.close()
    self.assertEqual(
        _parameters(self.directory)[1],
        {
            'rate': 0.25,
            'model_arg.sizes': '[3, 4]',
            'model_arg.rate': 0.5,
            'sizes': '[1, 2]',
            'model': 'Summaries',
        },
    )

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

  @pytest.mark.medium
  def test_a_run_writes_what_is_in_its_metrics(self):
    """A run that went on has each point once, as one that did not."""
    workdir = runs.watched().workdir
    expected = {
        (row['split'], row['step'], name): value
        for row in runs.rows(workdir)
        for name, value in row.items()
        if name not in ('split', 'step', 'epoch')
    }
    scalars = _scalars(os.path.join(workdir, 'summaries'))
    found = {
        key: value
        for key, value in scalars.items()
        if key[-1] not in runs.SPEEDS
        and not key[-1].endswith('_norm')
        and not key[-1].startswith('seconds/')
    }
    self.assertSameElements(found, expected)
    for key, value in expected.items():
      self.assertAlmostEqual(found[key], value, places=5, msg=str(key))
    self.assertEqual(runs.rows(workdir), runs.rows(runs.finished()))
    for step in (20, 40):
      self.assertGreater(scalars['train', step, 'seconds/first_call'], 0)
    name, parameters = _parameters(os.path.join(workdir, 'summaries'))
    self.assertEqual(os.path.abspath(name), str(workdir))
    self.assertEqual(parameters['learning_rate'], 0.003)
    self.assertNotIn('log_every_steps', parameters)


if __name__ == '__main__':
  absltest.main()
