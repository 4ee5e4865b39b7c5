"""Tests of launch.training.resuming: what a second start may change."""

from __future__ import annotations

import dataclasses
import pathlib

from absl.testing import absltest

from launch import data as data_lib
from launch import programs, workdir
from launch.training import resuming
from pipelines import spec as spec_lib
from tests.launch import runs

_DATA = data_lib.DataSpec(spec_lib.of_images((8, 8, 3), 'ab'), {'train': 50})


class ResumingTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    path = pathlib.Path(runs.scratch(self)) / 'run'
    self.directory = workdir.Workdir(str(path))
    self.config = runs.config()
    self.directory.config_file.write(self.config, _DATA)

  def check(self, config, accept_changes=False):
    return resuming.check(
        self.directory,
        dataclasses.replace(config, accept_changes=accept_changes),
    )

  def test_the_same(self):
    resumed = self.check(self.config)
    self.assertFalse(resumed.is_complete)
    changes = resuming.changed(resumed.before, self.config, _DATA)
    self.assertEqual(changes, {})

  def test_every_field(self):
    """A free one may change; any other only with --accept_changes."""
    for name in self.config.to_json():
      changed = runs.changed(self.config, name)
      if not self.config.is_free(name):
        with self.assertRaisesRegex(
            programs.UserError,
            f'--{name}: .*, not .*. Give the same .* --accept_changes',
        ):
          self.check(changed)
      resumed = self.check(
          changed, accept_changes=not self.config.is_free(name)
      )
      moved = dataclasses.replace(
          changed, strategy='mirrored', workdir='/moved'
      )
      changes = resuming.changed(resumed.before, moved, _DATA)
      self.assertEqual(
          changes,
          {
              name: [self.config.to_json()[name], changed.to_json()[name]],
              'strategy': ['auto', 'mirrored'],
          },
      )

  def test_the_length_under_a_schedule(self):
    for schedule, is_refused in (('constant', False), ('cosine', True)):
      config = dataclasses.replace(self.config, schedule=schedule)
      self.directory.config_file.write(config, _DATA)
      for changes in ({'num_epochs': 9}, {'num_steps': 99}):
        longer = dataclasses.replace(config, **changes)
        if is_refused:
          with self.assertRaisesRegex(programs.UserError, 'other flags: --num'):
            self.check(longer)
        self.check(longer, accept_changes=is_refused)

  def test_a_monitor_that_decides_the_learning_rate(self):
    config = dataclasses.replace(self.config, plateau_patience=2)
    self.directory.config_file.write(config, _DATA)
    other = dataclasses.replace(config, monitor='loss')
    with self.assertRaisesRegex(programs.UserError, 'flags: --monitor: loss,'):
      self.check(other)

  def test_the_end_by_a_hook(self):
    """It holds as long as the flags of that hook are the same."""
    for hook, changes in (
        ('EarlyStopping', {'early_stopping_patience': 9, 'monitor': 'loss'}),
        ('MaxMinutes', {'max_minutes': 9.0}),
        ('mine', {'hooks': ('other',)}),
    ):
      stopped = {'step': 3, 'hook': hook, 'reason': 'enough'}
      self.directory.saving(stopped)
      self.assertEqual(self.check(self.config).stopped, stopped)
      self.assertFalse(self.check(self.config).is_complete)
      self.directory.write_result({'num_steps': 3, 'stopped': stopped})
      longer = dataclasses.replace(self.config, num_epochs=77)
      self.assertTrue(self.check(longer).is_complete)
      for name, value in changes.items():
        other = dataclasses.replace(self.config, **{name: value})
        resumed = self.check(other)
        self.assertIsNone(resumed.stopped)
        self.assertFalse(resumed.is_complete)
      (self.directory.path / 'result.json').unlink()
    self.directory.saving(None)  # It was taken back.
    self.assertIsNone(self.check(self.config).stopped)

  def test_a_complete_run_is_one_of_this_length(self):
    num_steps = self.config.length(50)
    self.directory.write_result({'num_steps': num_steps})
    self.assertTrue(self.check(self.config).is_complete)
    for num_epochs in (1, 3):
      other = dataclasses.replace(self.config, num_epochs=num_epochs)
      self.assertFalse(self.check(other).is_complete)
    resuming.check_length(self.directory, num_steps, num_steps)
    with self.assertRaisesRegex(
        programs.UserError, f'is at step {num_steps} already, beyond the 4 of'
    ):
      resuming.check_length(self.directory, num_steps, 4)

  def test_other_data(self):
    other = dataclasses.replace(_DATA, spec=spec_lib.of_images((8, 8, 3), 'ac'))
    with self.assertRaisesRegex(
        programs.UserError, 'other data: label.class_names is '
    ):
      resuming.check_data(self.directory, _DATA, other, accept_changes=False)
    resuming.check_data(self.directory, _DATA, other, accept_changes=True)
    resuming.check_data(self.directory, _DATA, _DATA, accept_changes=False)


if __name__ == '__main__':
  absltest.main()
