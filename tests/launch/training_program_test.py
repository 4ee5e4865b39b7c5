"""Tests of launch.training_program: a work directory's second start."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
import signal
from unittest import mock

import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import processor
from launch import building
from launch.cluster import members, peers
from launch.files import locks
from launch.hooks import saving
from launch.machine import together
from tests import small_datasets
from tests.launch import runs


def _files(workdir):
  """Reads every file below a directory, and when it was written."""
  return {
      path: (path.read_bytes(), path.stat().st_mtime_ns)
      for path in pathlib.Path(workdir).rglob('*')
      if path.is_file()
  }


@functools.cache
def _interrupted():
  """Returns the work directory of a run of a few steps; do not change it."""
  workdir = runs.kept_directory() + '/interrupted'
  with runs.signal_at(8, signal.SIGTERM):
    runs.train(workdir)
  return workdir


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'

  def interrupt(self):
    shutil.copytree(_interrupted(), self.workdir)

  def assert_refused(self, pattern, **changes):
    """Trains; expects one line, exit code 2, and that no file changed."""
    before = _files(self.root)
    ended = runs.train(self.workdir, **changes)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertRegex(ended.err, pattern)
    self.assertEqual(ended.err.count('\n'), 1, ended.err)
    self.assertEqual(_files(self.root), before)


class SeedTest(_TestCase):

  @pytest.mark.medium
  def test_the_seed_decides_everything(self):
    expected = runs.finished()
    runs.train(self.workdir)
    self.assertEqual(runs.digest(self.workdir), runs.digest(expected))
    self.assertEqual(runs.rows(self.workdir), runs.rows(expected))
    runs.train(self.root / 'other', seed=1)
    self.assertNotEqual(runs.digest(self.root / 'other'), runs.digest(expected))


class SecondStartTest(_TestCase):

  def test_a_complete_run(self):
    shutil.copytree(runs.finished(), self.workdir)
    before = _files(self.workdir)
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    accuracy = runs.result(self.workdir)['test_accuracy']
    self.assertEqual(
        ended.out,
        f'The run in {self.workdir} is complete: test_accuracy '
        f'{accuracy:.4f}. Name another --workdir to train again, or more '
        'epochs to go on.\n',
    )
    self.assertEqual(_files(self.workdir), before)

  def test_other_flags(self):
    shutil.copytree(runs.finished(), self.workdir)
    self.assert_refused(
        '--workdir=.* holds a run with other flags: '
        r"--model_arg: {'hidden_sizes': \[9\]}, not {'hidden_sizes': \[16\], "
        r"'dropout_rate': 0.2}; --learning_rate: 0.5, not 0.003; --seed: 7, "
        'not 0. Give the same flags, .* under --accept_changes',
        seed=7,
        learning_rate=0.5,
        model_arg={'hidden_sizes': (9,)},
    )

  def test_another_model(self):
    self.interrupt()
    self.assert_refused(
        '--model: convnet, not mlp', model='convnet', model_arg={}
    )

  def test_another_place_is_no_other_run(self):
    self.interrupt()
    copy = self.root / 'data'
    shutil.copytree(runs.data_dir(), copy)
    ended = runs.train(self.workdir, data=str(copy))
    self.assertEqual(ended.code, 0, ended.err)
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))

  def test_data_that_changed(self):
    data = runs.scratch(self)  # Which is decoded, and so changed.
    small_datasets.write(data, num_train=60, num_test=5)
    runs.train(self.workdir, data=data, num_steps=1)
    (self.workdir / 'result.json').unlink()
    shutil.rmtree(data)
    small_datasets.write(data, num_train=61, num_test=5)
    self.assert_refused(
        "holds a run on other data: num_examples is {'train': 36, .*, not "
        "{'train': 35, .*}; the first that differs is example [0-9]+ of train",
        data=data,
        num_steps=1,
    )
    shutil.rmtree(data)
    real = small_datasets.arrays

    def changed(num_examples, *arguments):
      images, labels = real(num_examples, *arguments)
      images[0, 0, 0, 0] ^= num_examples == 60
      return images, labels

    with mock.patch.object(small_datasets, 'arrays', changed):
      small_datasets.write(data, num_train=60, num_test=5)
    self.assert_refused(
        'holds a run on other data: the first that differs is example [0-9]+ '
        r'of (train|validation)\. Name another',
        data=data,
        num_steps=1,
    )

  @parameterized.parameters(
      ('checkpoints/ckpt-*.index', 'remove', 'no checkpoint can be read: ckpt'),
      ('checkpoints/ckpt-*.data*', 'spoil', 'no checkpoint can be read: ckpt'),
      ('config.json', 'cut', 'config.json is damaged'),
      ('config.json', 'remove', 'its config.json is missing'),
      ('metrics.jsonl', 'spoil', 'metrics.jsonl .* decode'),
  )
  def test_damage(self, pattern, how, message):
    self.interrupt()
    [path] = self.workdir.glob(pattern)
    content = path.read_bytes()
    if how == 'remove':
      path.unlink()
    elif how == 'cut':
      path.write_bytes(content[: len(content) // 2])
    else:
      middle = len(content) // 2
      path.write_bytes(content[:middle] + b'\xff{[\xfe' + content[middle + 4 :])
    self.assert_refused(message)

  @parameterized.parameters('checkpoints', 'checkpoints/*')
  def test_checkpoints_that_are_gone(self, pattern):
    """The run must not begin anew: it has been further."""
    self.interrupt()
    for path in list(self.workdir.glob(pattern)):
      shutil.rmtree(path) if path.is_dir() else path.unlink()
    self.assert_refused(
        'no checkpoint is in checkpoints/, though one was saved at step'
    )

  def test_a_damaged_checkpoint_before_whole_ones(self):
    shutil.copytree(runs.finished(), self.workdir)
    (self.workdir / 'result.json').unlink()
    checkpoints = self.workdir / 'checkpoints'
    (checkpoints / 'checkpoint').unlink()
    os.truncate(checkpoints / 'ckpt-40.index', 50)
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertRegex(ended.out, 'ckpt-40: cannot be read .* It is kept aside')
    self.assertIn('checkpoints/ckpt-20\n', ended.out)
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))
    self.assertEqual(runs.rows(self.workdir), runs.rows(runs.finished()))
    self.assertEqual((checkpoints / 'damaged-ckpt-40.index').stat().st_size, 50)

  def test_killed_before_the_first_checkpoint(self):
    """Which is no lost checkpoint: the run begins again."""
    with (
        mock.patch.object(
            saving.Saving, '_save', side_effect=ZeroDivisionError
        ),
        self.assertRaises(ZeroDivisionError),
    ):
      runs.train(self.workdir)
    self.assertNotEmpty(runs.rows(self.workdir))
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('no checkpoint was saved before', ended.out)
    self.assertEqual(runs.rows(self.workdir), runs.rows(runs.finished()))

  @pytest.mark.medium
  def test_free_flags_may_change(self):
    """A finished run goes on, with the bits of one that was longer."""
    shutil.copytree(runs.finished(), self.workdir)
    changes = dict(num_epochs=3, keep_checkpoints=9, log_every_steps=10)
    ended = runs.train(self.workdir, **changes)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('changed: num_epochs: 3, not 2; log_every_steps', ended.out)
    self.assertEqual(runs.result(self.workdir)['num_steps'], 60)
    values = json.loads((self.workdir / 'config.json').read_text())
    [event] = values['history']
    self.assertEqual(event['step'], 40)
    self.assertEqual(event['changes']['keep_checkpoints'], [3, 9])
    self.assertIn('is complete', runs.train(self.workdir, **changes).out)
    self.assert_refused('at step 60 already, beyond the 40', num_epochs=2)
    whole = self.root / 'whole'
    runs.train(whole, **changes)
    self.assertEqual(runs.digest(self.workdir), runs.digest(whole))

  def test_accepted_changes(self):
    self.interrupt()
    ended = runs.train(self.workdir, learning_rate=1e-4, accept_changes=True)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('changed: learning_rate: 0.0001, not 0.003', ended.out)
    self.assert_refused('other flags: --learning_rate: 0.003, not 0.0001')

  def test_a_run_that_is_on(self):
    self.interrupt()
    lock = locks.acquire(self.workdir)
    self.addCleanup(lock.release)
    self.assert_refused(f'is in use by process {os.getpid()} on .*; wait for')

  def test_a_checkpoint_of_another_model(self):
    """As after an update of the program, with the same flags."""
    self.interrupt()
    config = self.workdir / 'config.json'
    values = json.loads(config.read_text())
    values['config']['model_arg']['hidden_sizes'] = [9]
    config.write_text(json.dumps(values))
    self.assert_refused(
        r'model/hidden/0/linear/b is float32 \[16\] in the checkpoint and '
        r'float32 \[9\] here',
        model_arg={'hidden_sizes': (9,), 'dropout_rate': 0.2},
    )


class PartsTest(_TestCase):

  def test_without_validation_and_test(self):
    data = str(self.root / 'data')
    small_datasets.write(data, num_train=36, num_test=0)
    ended = runs.train(self.workdir, data=data, validation_examples=0)
    self.assertEqual((ended.code, ended.err), (0, ''))
    result = runs.result(self.workdir)
    self.assertEqual(result['num_train_examples'], 36)
    for name in ('test_accuracy', 'validation_accuracy', 'num_test_examples'):
      self.assertNotIn(name, result)
    self.assertEqual(
        ended.out.splitlines()[-1],
        f'6 steps; {self.workdir}/result.json',
    )
    ended = runs.train(self.workdir, data=data, validation_examples=0)
    self.assertIn('is complete: 6 steps.', ended.out)

  def test_images_of_many_sizes(self):
    data = str(self.root / 'data')
    small_datasets.write(data, num_train=36, num_test=7, sizes_vary=True)
    self.assert_refused('image_size: .* differ in size', data=data)
    ended = runs.train(
        self.workdir, data=data, image_size=(6, 5), validation_examples=3
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    config = json.loads((self.workdir / 'config.json').read_text())
    image = config['data']['spec']['features']['image']
    self.assertEqual(image['shape'], [6, 5, 3])

  @pytest.mark.medium
  def test_what_is_said_first(self):
    ended = runs.train(self.workdir, num_steps=1, num_replicas=2)
    lines = ended.out.splitlines()
    self.assertIn(
        f'tiny_shapes 1.0.0: {runs.NUM_TRAIN} train, {runs.NUM_VALIDATION} '
        f'validation, {runs.NUM_TEST} test; image: 8 x 8 x 3; '
        'label: 4 classes',
        lines,
    )
    self.assertIn(
        'MirroredStrategy over 2 CPU replica(s) in float32, 1 steps of 12 '
        f'examples, {runs.STEPS_PER_EPOCH} per epoch',
        lines,
    )

  @parameterized.parameters(
      {'class_weights': (1.0, 5.0, 1.0, 1.0)},
      {'normalize': True},
      {'optimizer_arg': {'b1': 0.5}},
      {'loss': 'huber_loss', 'l2_penalty': 0.01, 'schedule': 'cosine'},
  )
  @pytest.mark.medium
  def test_each_flag_counts(self, **changes):
    ended = runs.train(self.workdir, num_steps=2, **changes)
    self.assertEqual((ended.code, ended.err), (0, ''))
    if not hasattr(PartsTest, 'plain'):
      runs.train(self.root / 'plain', num_steps=2)
      PartsTest.plain = runs.digest(self.root / 'plain')
    self.assertNotEqual(runs.digest(self.workdir), PartsTest.plain)


class PrecisionTest(_TestCase):

  @parameterized.parameters((True, 'bfloat16'), (False, 'float32'))
  @pytest.mark.medium
  def test_auto_is_what_the_processor_multiplies_in(self, has, expected):
    auto, named = self.root / 'auto', self.root / 'named'
    with mock.patch.object(
        processor, 'multiplies_in', side_effect=lambda d: has or d == 'float32'
    ):
      ended = runs.train(auto, num_steps=2, precision='auto')
    self.assertIn(f'replica(s) in {expected}, ', ended.out)
    self.assertNotIn('--precision', ended.out)
    runs.train(named, num_steps=2, precision=expected)
    self.assertEqual(runs.digest(auto), runs.digest(named))
    config = json.loads((auto / 'config.json').read_text())
    self.assertEqual(config['config']['precision'], expected)

  def test_a_run_keeps_what_was_chosen(self):
    # The run was in float32; this machine would choose bfloat16.
    shutil.copytree(_interrupted(), self.workdir)
    with mock.patch.object(processor, 'multiplies_in', return_value=True):
      self.assert_refused(
          'other flags: --precision: bfloat16, not float32', precision='auto'
      )

  @parameterized.parameters(True, False)
  @pytest.mark.medium
  def test_emulation_is_warned_of(self, has):
    with mock.patch.object(processor, 'multiplies_in', return_value=has):
      ended = runs.train(self.workdir, num_steps=2, precision='bfloat16')
    warning = '--precision=bfloat16: slow here'
    self.assertEqual(ended.out.count(warning), int(not has))


class LostWorkerTest(_TestCase):

  def test_is_told_in_one_line(self):
    error = tf.errors.UnavailableError(None, None, 'Connection reset\nby peer')
    two = members.Members(('a:1', 'b:1'), 0)
    with (
        mock.patch.object(together, 'members_of', return_value=two),
        mock.patch.object(together.workers, 'texts', lambda _, text: [text]),
        mock.patch.object(peers, 'gone', return_value=[1]),
        mock.patch.object(building.Training, 'run', side_effect=error),
    ):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 1)
    self.assertRegex(
        ended.err,
        r'worker 0 \(a:1\) lost worker 1 \(b:1\) .* start all of them again',
    )
    self.assertEqual(ended.err.count('\n'), 1)


if __name__ == '__main__':
  absltest.main()
