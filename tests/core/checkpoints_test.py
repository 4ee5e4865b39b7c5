"""Tests of checkpoints by variable name.

Covers: checkpoint_contents, checkpoint_errors.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checkpoints, models, optimizers, training, variables
from tests import virtual_devices

_OPTIMIZERS = {
    'adafactor': lambda: optimizers.adafactor(
        0.1, min_dim_size_to_factor=2, momentum=0.9
    ),
    'adagrad': lambda: optimizers.adagrad(0.1),
    'adam': lambda: optimizers.adam(lambda step: 0.1),
    'adamw': lambda: optimizers.adamw(0.1, weight_decay=0.01),
    'chain': lambda: optimizers.chain(
        optimizers.clip_by_global_norm(1.0),
        optimizers.scale_by_adam(),
        optimizers.scale_by_learning_rate(lambda step: 0.1),
    ),
    'ema': lambda: optimizers.chain(optimizers.sgd(0.1), optimizers.ema(0.9)),
    'finite': lambda: optimizers.apply_if_finite(optimizers.adam(0.1), 3),
    'lamb': lambda: optimizers.lamb(0.1),
    'lars': lambda: optimizers.lars(0.1),
    'lion': lambda: optimizers.lion(0.1),
    'multi_steps': lambda: optimizers.multi_steps(optimizers.adam(0.1), 2),
    'muon': lambda: optimizers.muon(0.1),
    'nadam': lambda: optimizers.nadam(0.1),
    'rmsprop': lambda: optimizers.rmsprop(0.1, momentum=0.9),
    'sgd': lambda: optimizers.sgd(0.1),
    'sgd_momentum': lambda: optimizers.sgd(0.1, momentum=0.9, nesterov=True),
}


def _variables(value=1.0, **more):
  return {
      'model/layers/0/w': tf.Variable(tf.fill([2, 3], value)),
      'version.1/.S.': tf.Variable(tf.fill([4], value)),
      'half': tf.Variable(tf.cast([value, -0.5], tf.bfloat16)),
      'step': tf.Variable(int(value), dtype=tf.int64),
      **more,
  }


class CheckpointerTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.directory = self.enter_context(tempfile.TemporaryDirectory())

  def _saved(self, **more):
    saved = _variables(3.0, **more)
    path = checkpoints.Checkpointer(self.directory, saved).save(7)
    return path, saved

  def test_round_trip(self):
    path, saved = self._saved()
    self.assertEqual(os.path.basename(path), 'ckpt-7')
    other = _variables()
    checkpointer = checkpoints.Checkpointer(self.directory, other)
    self.assertEqual(checkpointer.restore(), path)
    self.assertEqual(variables.digest(other), variables.digest(saved))
    self.assertEqual(
        {n: (s.shape, s.dtype) for n, s in checkpoints.contents(path).items()},
        {name: (v.shape, v.dtype) for name, v in saved.items()},
    )

  def test_a_path_without_a_checkpoint(self):
    self._saved()
    path = os.path.join(self.directory, 'ckpt-8')
    checkpointer = checkpoints.Checkpointer(self.directory, _variables())
    for read in (
        checkpointer.restore,
        checkpoints.contents,
        lambda path: checkpoints.restore(path, _variables()),
    ):
      for each in (path, self.directory):
        with self.assertRaisesRegex(
            checkpoints.MissingError, f'^{each}: there is no checkpoint[.]$'
        ):
          read(each)

  def test_no_checkpoint(self):
    some = _variables()
    digest = variables.digest(some)
    checkpointer = checkpoints.Checkpointer(self.directory + '/new', some)
    self.assertIsNone(checkpointer.latest())
    self.assertIsNone(checkpointer.restore())
    self.assertEqual(variables.digest(some), digest)
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, 'ckpt-9: there is no checkpoint'
    ):
      checkpointer.restore(os.path.join(self.directory, 'ckpt-9'))

  def test_max_to_keep_also_after_a_restart(self):
    some = _variables()
    paths = []
    for steps in ((1, 2, 3), (4, 5)):
      checkpointer = checkpoints.Checkpointer(
          self.directory, some, max_to_keep=2
      )
      for step in steps:
        some['step'].assign(step)
        paths.append(checkpointer.save(step))
        self.assertEqual(checkpointer.latest(), paths[-1])
    kept = {
        name.split('.')[0]
        for name in os.listdir(self.directory)
        if name != 'checkpoint'
    }
    self.assertEqual(kept, {'ckpt-4', 'ckpt-5'})
    checkpointer.restore(paths[3])
    self.assertEqual(int(some['step']), 4)
    with self.assertRaisesRegex(ValueError, 'max_to_keep: .*got 0'):
      checkpoints.Checkpointer(self.directory, some, max_to_keep=0)

  def test_the_same_step_again_replaces(self):
    path, saved = self._saved()
    saved['half'].assign([5.0, 6.0])
    other = _variables()
    self.assertEqual(
        checkpoints.Checkpointer(self.directory, saved).save(7), path
    )
    checkpoints.restore(path, other)
    self.assertEqual(variables.digest(other), variables.digest(saved))


class NonFiniteTest(parameterized.TestCase):

  @parameterized.product(
      value=(np.nan, np.inf, -np.inf),
      dtype=(tf.float32, tf.float64, tf.bfloat16, tf.float16),
  )
  def test_is_not_saved(self, value, dtype):
    directory = self.enter_context(tempfile.TemporaryDirectory())
    saved = _variables(good=tf.Variable([1.0]))
    path = checkpoints.Checkpointer(directory, saved).save(1)
    saved['bad'] = tf.Variable(tf.cast([1.0, value], dtype))
    saved['worse'] = tf.Variable(tf.cast([[value]], dtype))
    with self.assertRaisesRegex(
        checkpoints.NonFiniteError, 'not finite: bad, worse; nothing was saved'
    ) as caught:
      checkpoints.Checkpointer(directory, saved).save(2)
    self.assertEqual(caught.exception.names, ['bad', 'worse'])
    self.assertEqual(checkpoints.latest(directory), path)

  def test_the_greatest_finite_numbers_are_saved(self):
    directory = self.enter_context(tempfile.TemporaryDirectory())
    limits = {
        dtype.name: tf.Variable([dtype.min, dtype.max], dtype=dtype)
        for dtype in (tf.float32, tf.float64, tf.float16, tf.int64)
    }
    path = checkpoints.Checkpointer(directory, limits).save(1)
    self.assertLen(checkpoints.contents(path), 4)


class MismatchTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    directory = self.enter_context(tempfile.TemporaryDirectory())
    self.saved = _variables(3.0, old=tf.Variable(1.0), older=tf.Variable(2.0))
    checkpointer = checkpoints.Checkpointer(directory, self.saved)
    self.path = checkpointer.save(7)

  def _refused(self, path, targets, **kwargs):
    """Returns the message; checks that nothing was assigned."""
    digest = variables.digest(targets)
    with self.assertRaises(checkpoints.CheckpointError) as caught:
      checkpoints.restore(path, targets, **kwargs)
    self.assertEqual(variables.digest(targets), digest)
    message = str(caught.exception)
    self.assertNotIn('\n', message)
    self.assertIn(path, message)
    return message

  def test_names_that_may_be_absent(self):
    targets = _variables(new=tf.Variable(5.0), newer=tf.Variable(0.0))
    targets |= {name: tf.Variable(0.0) for name in ('old', 'older')}
    self.assertIn(
        'newer is not in the checkpoint',
        self._refused(self.path, targets, optional=['new']),
    )
    checkpoints.restore(self.path, targets, optional=['new', 'newer', 'old'])
    self.assertEqual(float(targets['new']), 5)
    self.assertEqual(float(targets['old']), 1)

  def test_names_that_may_be_in_the_checkpoint_alone(self):
    targets = _variables()
    message = self._refused(self.path, targets, ignored=('older', 'x'))
    self.assertIn('old is only in the checkpoint', message)
    self.assertNotIn('older', message)
    checkpoints.restore(self.path, targets, ignored=('ol',))
    directory = self.enter_context(tempfile.TemporaryDirectory())
    checkpoints.Checkpointer(directory, self.saved).save(1)
    targets = _variables()
    checkpointer = checkpoints.Checkpointer(directory, targets, ignored=('ol',))
    self.assertTrue(checkpointer.restore())
    self.assertEqual(
        variables.digest(targets),
        variables.digest({name: self.saved[name] for name in targets}),
    )

  def test_every_difference_is_listed(self):
    targets = _variables(
        half=tf.Variable([1.0, 2.0]),
        step=tf.Variable([1], dtype=tf.int64),
        new=tf.Variable(0.0),
        newer=tf.Variable(0.0),
    )
    self.assertEndsWith(
        self._refused(self.path, targets),
        'does not fit the variables: '
        'half is bfloat16 [2] in the checkpoint and float32 [2] here; '
        'step is int64 [] in the checkpoint and int64 [1] here; '
        'new is not in the checkpoint; newer is not in the checkpoint; '
        'old is only in the checkpoint; older is only in the checkpoint.',
    )

  def test_partial_restores_what_is_on_both_sides(self):
    targets = _variables(new=tf.Variable(0.5))
    names = checkpoints.restore(self.path, targets, partial=True)
    self.assertEqual(names, sorted(_variables()))
    self.assertEqual(float(targets.pop('new')), 0.5)
    self.assertEqual(
        variables.digest(targets), variables.digest(_variables(3.0))
    )

  @parameterized.parameters(
      ('', ['nowhere/w']),
      ('model/', ['hidden/w']),
      ('nowhere/', ['nowhere/w']),
      ('', []),
  )
  def test_partial_that_restores_nothing(self, prefix, names):
    targets = {name: tf.Variable([1.0]) for name in names}
    with self.assertRaisesRegex(
        checkpoints.CheckpointError,
        f'no name is on both sides.* here is {", ".join(names) or "nothing"}',
    ):
      checkpoints.restore(self.path, targets, prefix=prefix, partial=True)

  def test_partial_does_not_excuse_another_shape(self):
    targets = _variables(half=tf.Variable(tf.ones([3], tf.bfloat16)))
    message = self._refused(self.path, targets, partial=True)
    self.assertIn('half is bfloat16 [2] in the checkpoint and', message)
    self.assertNotIn('old', message)

  def test_a_prefix_leaves_the_rest_alone(self):
    targets = {'model/layers/0/w': tf.Variable(tf.zeros([2, 3]))}
    names = checkpoints.restore(self.path, targets, prefix='model/')
    self.assertEqual(names, list(targets))
    np.testing.assert_array_equal(*targets.values(), tf.fill([2, 3], 3.0))

  @parameterized.parameters('data', 'index')
  def test_damaged_files(self, kind):
    directory = os.path.dirname(self.path)
    [name] = [n for n in os.listdir(directory) if f'.{kind}' in n]
    name = os.path.join(directory, name)
    with open(name, 'rb') as file:
      contents = file.read()
    threes = np.float32([3.0] * 6).tobytes()
    middle = contents.find(threes) if kind == 'data' else len(contents) // 2
    damaged = [contents[:middle], b'', None]
    if kind == 'data':
      damaged.append(contents.replace(threes, threes[:-1] + b'A'))
    for wrong in damaged:
      if wrong is None:
        os.remove(name)
      else:
        with open(name, 'wb') as file:
          file.write(wrong)
      targets = _variables(old=tf.Variable(0.0), older=tf.Variable(0.0))
      self.assertIn('cannot be read', self._refused(self.path, targets))
      # It is not taken for a run without a checkpoint.
      checkpointer = checkpoints.Checkpointer(directory, targets)
      self.assertEqual(checkpointer.latest(), self.path)
    with open(name, 'wb') as file:
      file.write(contents)
    self.assertEqual(checkpointer.restore(), self.path)


class TrainStateTest(parameterized.TestCase):

  def _state(self, optimizer, num_replicas):
    with virtual_devices.mirrored(num_replicas).scope():
      model = models.create('mlp', 3, hidden_sizes=(5,))
      model.build((None, 4))
      return training.TrainState(model, _OPTIMIZERS[optimizer](), seed=5)

  @parameterized.parameters(*_OPTIMIZERS)
  def test_round_trip_of_every_optimizer_to_other_replicas(self, name):
    directory = self.enter_context(tempfile.TemporaryDirectory())
    saved = self._state(name, 2).named_variables()
    for i, variable in enumerate(saved.values()):
      if variable.dtype != tf.bool:
        variable.assign(tf.fill(variable.shape, tf.cast(i + 1, variable.dtype)))
    checkpointer = checkpoints.Checkpointer(directory, saved)
    checkpointer.save(1)
    for num_replicas in (1, 3):
      state = self._state(name, num_replicas)
      other = state.named_variables()
      self.assertNotEqual(variables.digest(other), variables.digest(saved))
      checkpoints.Checkpointer(directory, other).restore()
      self.assertEqual(variables.digest(other), variables.digest(saved))
      np.testing.assert_array_equal(
          state.model.output.linear.w, saved['model/output/linear/w']
      )
      for variable in other.values():
        self.assertLen({v.numpy().tobytes() for v in variable.values}, 1)

  def test_another_optimizer_is_refused(self):
    directory = self.enter_context(tempfile.TemporaryDirectory())
    saved = self._state('adam', 1).named_variables()
    checkpoints.Checkpointer(directory, saved).save(1)
    other = self._state('sgd', 1).named_variables()
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, 'optimizer/.*is only in the checkpoint'
    ):
      checkpoints.Checkpointer(directory, other).restore()


if __name__ == '__main__':
  absltest.main()
