"""Tests of evaluating.verifying: NumPy and TensorFlow agree, mistakes show.

Covers: files.array_files, by_example, numpy_metrics, numpy_predictions.
"""

from __future__ import annotations

import functools
import pathlib
import pickle

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import data as data_lib
from launch import tasks
from launch.evaluating import numpy_metrics, verifying
from launch.files import array_files
from pipelines import spec as spec_lib
from tests.launch import runs
from tests.launch.tasks import training as task_training

_SIZE = 90
_NUMBERS = spec_lib.Feature('numbers', (3,), 'float32')
_IMAGE = spec_lib.Feature('image', (4, 4, 1), 'uint8')
_CONFIGS = {
    'quantiles': {'loss': 'quantile'},
    'segmentation': {'model_arg': {'channels': (2, 4)}},
}


def _names(number):
  return tuple('abcdefghij'[:number])


@functools.cache
def _case(name):
  """Returns the task, labels and predictions of a case, at random.

  Returns:
    The name of its task, the task itself, labels and predictions, facts.
  """
  rng = np.random.default_rng(0)
  task, label, predicted = name, None, None
  known = {}
  moments = {}
  features = {'numbers': _NUMBERS}
  if name in ('classification', 'three_classes'):
    task, size = 'classification', 7 if name == 'classification' else 3
    features['label'] = spec_lib.Feature('class', (), 'int64', _names(size))
    label = rng.integers(0, size - 1, [_SIZE])  # One class is never the label.
    predicted = rng.normal(size=[_SIZE, size])
  elif name == 'text':
    vocabulary = (('', 'one', 'two'),)
    features = {
        'tokens': spec_lib.Feature(
            'text', (5,), 'int32', vocabularies=vocabulary
        ),
        'label': spec_lib.Feature('class', (), 'int64', _names(2)),
    }
    label = rng.integers(0, 2, [_SIZE])
    predicted = rng.normal(size=[_SIZE, 2])
  elif name == 'multi_label':
    features['label'] = spec_lib.Feature('classes', (4,), 'int32', _names(4))
    label = (rng.uniform(size=[_SIZE, 4]) > [0.5, 0.3, 0.9, 1.0]).astype(int)
    predicted = rng.normal(size=[_SIZE, 4]) + label
  elif name == 'segmentation':
    features = {
        'image': _IMAGE,
        'label': spec_lib.Feature('mask', (4, 4), 'int32', _names(3)),
    }
    label = rng.integers(0, 2, [_SIZE, 4, 4])
    predicted = rng.normal(size=[_SIZE, 4, 4, 3])
    predicted[..., 2] -= 9  # A class that is neither there nor predicted.
  else:
    task, depth = 'regression', 2 if name == 'two_numbers' else 1
    features['label'] = spec_lib.Feature(
        'numbers',
        (depth,) if depth > 1 else (),
        'float32',
        columns=_names(depth),
    )
    label = rng.normal(1e3, 50, [_SIZE, depth])
    predicted = label + rng.normal(0, 20, [_SIZE, depth])
    mean, std = label.mean(axis=0) + 1, label.std(axis=0)
    moments = {
        'target_mean': tuple(mean.tolist()),
        'target_std': tuple(std.tolist()),
    }
    known = {'mean': mean.tolist(), 'std': std.tolist()}
    if name == 'quantiles':
      known['middle'] = 1
      predicted = predicted[..., np.newaxis] + [-30, 0, 30]
  data = data_lib.DataSpec(spec_lib.Spec(features), {'train': 10}, **moments)
  made = task_training.make(data, **_CONFIGS.get(name, {}))
  facts = verifying.Facts(task, _SIZE, **known)
  return made, label, predicted.astype(np.float32), facts


@functools.cache
def _measured(name):
  """Returns what was written of a case, and what TensorFlow measures of it."""
  made, label, predicted, facts = _case(name)
  label = tf.constant(
      label, tf.float32 if facts.task == 'regression' else tf.int32
  )
  values = made.eval_metric.compute(
      made.eval_metric.measure(label, tf.constant(predicted), tf.ones([_SIZE]))
  )
  written = {
      'index': np.arange(_SIZE),
      'label': label.numpy(),
      'prediction': predicted,
      'weight': np.ones([_SIZE], np.float32),
      'loss': np.linspace(0, 1, _SIZE, dtype=np.float32),
      'penalty': np.full([_SIZE], 0.25, np.float32),
  }
  measured = {n: v.numpy() for n, v in values.items()}
  return written, {'loss': 0.75, **measured}, facts


_CASES = (
    'classification',
    'three_classes',
    'text',
    'multi_label',
    'segmentation',
    'regression',
    'two_numbers',
    'quantiles',
)


class VerifyingTest(parameterized.TestCase):

  def test_every_task_is_known(self):
    self.assertEqual(set(numpy_metrics.TASKS), set(tasks.TASKS))
    self.assertEqual({_case(n)[3].task for n in _CASES}, set(tasks.TASKS))

  @parameterized.parameters(*_CASES)
  def test_numpy_agrees_on_every_metric(self, name):
    written, values, facts = _measured(name)
    for metric in values:
      self.assertTrue(verifying.is_known(metric, facts), metric)
    wrong = verifying.differences(written, values, _SIZE, facts)
    self.assertEmpty(wrong)

  @parameterized.parameters(*_CASES)
  def test_each_metric_that_is_wrong_is_named(self, name):
    written, values, facts = _measured(name)
    for metric, value in values.items():
      wrong = np.array(value, np.float64)
      # By more than what rounding may decide, at one place.
      wrong.flat[-1] += 8 if wrong.size > 10 else max(0.5, 0.1 * wrong.max())
      [line] = verifying.differences(
          written, {**values, metric: wrong}, _SIZE, facts
      )
      self.assertStartsWith(line, f'{metric}')
      self.assertIn(f'{wrong.flat[-1]:.9g}, ', line)

  @parameterized.parameters(*_CASES)
  def test_each_array_that_was_changed_is_noticed(self, name):
    written, values, facts = _measured(name)
    changes = {
        'index': lambda a: a[[1, *range(1, _SIZE)]],  # One twice.
        'prediction': lambda a: a[::-1],
        'label': lambda a: a[::-1],
        'weight': lambda a: np.where(np.arange(_SIZE) < 40, 3 * a, a),
        'loss': lambda a: a + 0.001,
        'penalty': lambda a: 2 * a,
    }
    self.assertEqual(changes.keys(), written.keys())
    for key, change in changes.items():
      tampered = {**written, key: change(written[key])}
      self.assertNotEmpty(
          verifying.differences(tampered, values, _SIZE, facts), key
      )

  @parameterized.parameters(
      (_SIZE - 1, _SIZE, '89 examples were scored, the split has 90'),
      (_SIZE, _SIZE + 1, '90 examples were scored, the split has 91'),
      (_SIZE + 1, _SIZE + 1, 'predictions are of 90 different examples, 90 in'),
  )
  def test_a_wrong_count(self, num_scored, num_examples, message):
    written, values, facts = _measured('classification')
    facts = verifying.Facts(facts.task, num_examples)
    wrong = verifying.differences(written, values, num_scored, facts)
    self.assertIn(message, '; '.join(wrong))

  def test_what_rounding_decides_is_no_mistake(self):
    """But no more than that."""
    label = np.arange(_SIZE) % 3
    logits = np.eye(3, dtype=np.float32)[label]
    logits[0, 1] = 1 + 1e-6  # Another program may find 1 - 1e-6.
    written = {
        **_measured('three_classes')[0],
        'label': label,
        'prediction': logits,
    }
    facts = verifying.Facts('classification', _SIZE)
    for num_right, is_accepted in (
        (_SIZE, True),
        (_SIZE - 1, True),
        (_SIZE - 2, True),
        (_SIZE - 3, False),
    ):
      values = {'loss': 0.75, 'accuracy': num_right / _SIZE}
      wrong = verifying.differences(written, values, _SIZE, facts)
      self.assertEqual(not wrong, is_accepted, num_right)

  def test_ones_own_metrics_are_not_verified(self):
    written, values, _ = _measured('classification')
    own = verifying.Facts(None, _SIZE)
    self.assertEmpty(
        verifying.differences(written, {**values, 'accuracy': 7}, _SIZE, own)
    )
    self.assertFalse(verifying.is_known('accuracy', own))
    self.assertTrue(verifying.is_known('loss', own))


class ArrayFilesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(runs.scratch(self)) / 'a.npz'

  def test_what_was_written_is_read(self):
    array_files.write(self.path, {'a': np.arange(3), 'b': np.eye(2)})
    read = array_files.read(self.path)
    np.testing.assert_array_equal(read['a'], [0, 1, 2])
    np.testing.assert_array_equal(read['b'], np.eye(2))
    self.assertEqual([p.name for p in self.path.parent.iterdir()], ['a.npz'])

  def test_objects_are_neither_written_nor_read(self):
    array_files.write(self.path, {'a': np.arange(3)})
    with self.assertRaises(ValueError):
      array_files.write(self.path, {'a': np.array([{}], object)})
    self.assertEqual([p.name for p in self.path.parent.iterdir()], ['a.npz'])
    self.assertIsNotNone(array_files.read(self.path))
    np.savez(self.path, a=np.array([_Trap(self.path)], object))
    self.assertIsNone(array_files.read(self.path))
    np.savez_compressed(self.path, a=np.arange(1000))
    archive = self.path.read_bytes()
    with self.path.open('wb') as file:
      np.save(file, np.arange(3))  # An array, of no name.
    for content in (
        b'',
        b'PK',
        pickle.dumps(_Trap(self.path)),
        self.path.read_bytes(),
        archive[:-30],
        archive[:200] + b'\xff' * 60 + archive[260:],
    ):
      self.path.write_bytes(content)
      self.assertIsNone(array_files.read(self.path), content[:20])
    self.assertIsNone(array_files.read(self.path.with_name('none.npz')))
    self.assertEqual([p.name for p in self.path.parent.iterdir()], ['a.npz'])


class _Trap:
  """Makes a file when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path.with_name('trapped'),)


if __name__ == '__main__':
  absltest.main()
