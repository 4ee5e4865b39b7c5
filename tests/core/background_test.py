"""Tests of jobs in a thread, and of checkpoints that it writes."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import absltest

from core import background, checkpoint_files, checkpoints, variables
from tests import virtual_devices


def _fail():
  raise ValueError('broken')


class BackgroundTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.jobs = background.Background()
    self.addCleanup(self.jobs.close)
    self.done = []

  def job(self, name):
    return functools.partial(self.done.append, name)

  def test_one_after_another_in_another_thread(self):
    go_on = threading.Event()
    self.jobs.run(go_on.wait)
    last = self.jobs.run(
        lambda: self.done.append(threading.current_thread().name)
    )
    self.jobs.poll()
    self.assertFalse(last.done())
    go_on.set()
    self.jobs.wait()
    [name] = self.done
    self.assertStartsWith(name, 'background')

  def test_an_error_leaves_out_what_is_behind_it_and_is_raised_once(self):
    go_on = threading.Event()
    self.jobs.run(go_on.wait)
    self.jobs.run(_fail)
    for number in range(50):
      self.jobs.run(self.job(number))
    go_on.set()
    with self.assertRaisesRegex(ValueError, 'broken'):
      while True:
        self.jobs.poll()
    self.jobs.wait()
    self.assertEmpty(self.done)
    self.jobs.run(self.job('later'))
    self.jobs.wait()
    self.assertEqual(self.done, ['later'])

  def test_close_waits_and_raises_nothing(self):
    self.jobs.run(functools.partial(time.sleep, 0.05))
    self.jobs.run(self.job('last'))
    self.jobs.run(_fail)
    self.jobs.close()
    self.assertEqual(self.done, ['last'])
    with self.assertRaisesRegex(ValueError, 'broken'):
      self.jobs.poll()
    self.jobs.run(self.job('another'))
    self.jobs.wait()
    self.assertEqual(self.done, ['last', 'another'])


class AsynchronousTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.jobs = background.Background()
    self.addCleanup(self.jobs.close)

  def checkpointer(self, named, **options):
    return checkpoints.Checkpointer(
        self.folder, named, background=self.jobs, **options
    )

  def held_back(self):
    """Has what is written wait, until the event is set."""
    event = threading.Event()
    self.addCleanup(event.set)
    real = checkpoint_files.publish

    def publish(*args):
      event.wait()
      real(*args)

    self.enter_context(mock.patch.object(checkpoint_files, 'publish', publish))
    return event

  def test_holds_the_values_of_the_save_whatever_comes_after(self):
    """Under a strategy and its scope, for each kind of variable."""
    event = self.held_back()
    strategy = virtual_devices.mirrored(2)
    with strategy.scope():
      named = {
          'mirrored': tf.Variable(tf.range(1000.0)),
          'half': tf.Variable(tf.ones([3], tf.bfloat16)),
          'flag': tf.Variable(True),
          'count': tf.Variable(3, dtype=tf.int64),
          'sum': tf.Variable(
              0.0,
              synchronization=tf.VariableSynchronization.ON_READ,
              aggregation=tf.VariableAggregation.SUM,
          ),
      }
      strategy.run(lambda: named['sum'].assign_add(1.0))
      before = {name: each.numpy() for name, each in named.items()}
      checkpointer = self.checkpointer(named, strategy=strategy)
      path = checkpointer.save(1)
    self.assertIsNone(checkpointer.poll())
    self.assertIsNone(checkpoints.latest(self.folder))
    named['mirrored'].assign(tf.zeros([1000]))
    named['flag'].assign(False)
    strategy.run(lambda: named['sum'].assign_add(5.0))
    event.set()
    self.assertEqual(checkpointer.wait(), 1)
    reader = tf.train.load_checkpoint(path)
    for name, value in before.items():
      saved = reader.get_tensor(checkpoint_files.key_of(name))
      np.testing.assert_array_equal(saved, value)
    self.assertEqual(float(before['sum']), 2.0)
    self.assertEqual(checkpointer.restore(), path)
    self.assertEqual(float(named['sum'].numpy()), 2.0)

  def test_files_are_those_of_a_save_that_waits(self):
    named = {'a/b.c': tf.Variable(tf.range(10.0)), 'n': tf.Variable(1)}
    self.checkpointer(named).save(1)
    self.jobs.wait()
    with tempfile.TemporaryDirectory() as other:
      checkpoints.Checkpointer(other, named).save(1)
      self.assertCountEqual(os.listdir(self.folder), os.listdir(other))
      for name in os.listdir(other):
        texts = []
        for folder in (self.folder, other):
          with open(os.path.join(folder, name), 'rb') as file:
            texts.append(file.read())
        self.assertEqual(*texts, name)

  def test_one_at_a_time(self):
    event = self.held_back()
    value = tf.Variable(1.0)
    checkpointer = self.checkpointer({'value': value})
    checkpointer.save(1)
    value.assign(2.0)
    second = threading.Thread(target=checkpointer.save, args=(2,))
    second.start()
    second.join(0.1)
    self.assertTrue(second.is_alive())  # It waits for the first.
    event.set()
    second.join()
    self.assertEqual(checkpointer.wait(), 2)
    self.assertEqual(
        checkpoint_files.ordered(self.folder),
        [f'{self.folder}/ckpt-{step}' for step in (2, 1)],
    )

  def test_a_restore_waits(self):
    value = tf.Variable(1.0)
    checkpointer = self.checkpointer({'value': value})
    checkpointer.save(1)
    value.assign(2.0)
    path = checkpointer.restore()
    self.assertEqual((os.path.basename(path), float(value)), ('ckpt-1', 1.0))

  def test_what_cannot_be_written_is_raised_at_the_next_call(self):
    for call in ('save', 'wait', 'poll', 'restore'):
      checkpointer = self.checkpointer({'value': tf.Variable(1.0)})
      error = tf.errors.ResourceExhaustedError(None, None, 'No space left')
      with mock.patch.object(tf.train.Checkpoint, 'write', side_effect=error):
        checkpointer.save(1)
        self.jobs.close()
      with self.assertRaisesRegex(checkpoints.SaveError, 'ckpt-1: No space'):
        getattr(checkpointer, call)(*([2] if call == 'save' else []))
      self.assertIsNone(checkpointer.saved_step)
      self.assertEmpty(os.listdir(self.folder))
      checkpointer.save(3)
      self.assertEqual(checkpointer.wait(), 3)
      for name in os.listdir(self.folder):
        os.remove(os.path.join(self.folder, name))

  def test_what_remembers_another_is_not_written_without_it(self):
    best = checkpoints.Checkpointer(
        f'{self.folder}/best', {'a': tf.Variable(1.0)}, background=self.jobs
    )
    checkpointer = self.checkpointer({'b': tf.Variable(1.0)})
    go_on = threading.Event()
    with mock.patch.object(
        tf.train.Checkpoint, 'write', side_effect=OSError(28, 'No space')
    ):
      self.jobs.run(go_on.wait)
      best.save(1)
      checkpointer.save(2)
      go_on.set()
      self.jobs.close()
    with self.assertRaisesRegex(checkpoints.SaveError, 'best/ckpt-1'):
      checkpointer.poll()
    self.assertIsNone(checkpoints.latest(self.folder))

  def test_a_value_that_is_not_finite_is_refused_at_once(self):
    value = tf.Variable(np.nan)
    checkpointer = self.checkpointer({'value': value})
    with self.assertRaises(checkpoints.NonFiniteError):
      checkpointer.save(1)
    copies = checkpointer.copy()
    value.assign(1.0)
    with self.assertRaisesRegex(checkpoints.NonFiniteError, 'value'):
      checkpointer.save(1, copies)
    checkpointer.save(1)
    self.assertEqual(checkpointer.wait(), 1)

  def test_copies_are_saved_later(self):
    named = {'value': tf.Variable([1.0, 2.0])}
    checkpointer = self.checkpointer(named)
    copies = checkpointer.copy()
    named['value'].assign([5.0, 6.0])
    path = checkpointer.save(4, copies)
    checkpointer.wait()
    other = {'value': tf.Variable([0.0, 0.0])}
    checkpoints.restore(path, other)
    self.assertEqual(other['value'].numpy().tolist(), [1.0, 2.0])
    self.assertNotEqual(variables.digest(other), variables.digest(named))


if __name__ == '__main__':
  absltest.main()
