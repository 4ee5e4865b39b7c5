"""Tests of `launch.run`: a run from a program of the user's own.

Covers: library.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

import launch
from core import losses, metrics, objectives
from launch import tasks
from launch.settings import typed_json
from pipelines import sources
from pipelines import spec as spec_lib
from tests.launch import runs

_NUM_STEPS = 12


def _arrays():
  """Makes points that a line cuts in two, by split."""
  generator = np.random.default_rng(0)
  points = generator.normal(size=[200, 3]).astype(np.float32)
  label = (points @ [1.0, -2.0, 0.5] > 0).astype(np.int64)
  bounds = {'train': (0, 150), 'validation': (150, 170), 'test': (170, 200)}
  return {
      split: {'points': points[start:end], 'label': label[start:end]}
      for split, (start, end) in bounds.items()
  }


def _points() -> dict:
  return _arrays()


class Net(snt.Module):
  """A network with nothing of ours."""

  def __init__(self, num_classes: int, width: int = 8):
    super().__init__()
    self._layers = snt.nets.MLP([width, num_classes])

  def __call__(self, points: tf.Tensor) -> tf.Tensor:
    return self._layers(points)


def make_task(spec: spec_lib.Spec) -> tasks.Task:
  """Makes a task of parts that it makes itself."""
  del spec
  return tasks.Task(
      model=Net(2),
      objective=objectives.supervised(
          losses.softmax_cross_entropy, inputs='points'
      ),
      train_metric=metrics.collection({'accuracy': metrics.accuracy()}),
      monitor='accuracy',
      direction='max',
  )


def _config(workdir, **changes):
  return launch.Config(**{
      'workdir': workdir,
      'global_batch_size': 25,
      'num_steps': _NUM_STEPS,
      'learning_rate': 0.01,
      'jit_compile': 'off',  # Spares the time that XLA takes.
      'strategy': 'one_device',
      **changes,
  })


@functools.cache
def _reference():
  """Returns the result of a run of a function and a model's class."""
  workdir = runs.kept_directory() + '/reference'
  return launch.run(
      None, _points, _config(workdir, model=Net, model_arg={'width': 4})
  )


class RunTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = runs.scratch(self) + '/run'

  def test_the_result(self):
    result = _reference()
    values = json.loads(pathlib.Path(result.workdir, 'result.json').read_text())
    self.assertEqual(result.values, values)
    self.assertEqual(int(result.state.step.numpy()), _NUM_STEPS)
    self.assertIsInstance(result.state.model, Net)
    self.assertIsNone(result.stopped)
    self.assertGreater(values['test_accuracy'], 0.4)
    shown = result._repr_html_()  # As a notebook asks for it.
    self.assertIn(f'test_accuracy {values["test_accuracy"]:.4f}', shown)
    curves = pathlib.Path(result.workdir, 'report', 'curves.png').read_bytes()
    self.assertIn(base64.b64encode(curves).decode(), shown)

  @parameterized.named_parameters(
      ('arrays', lambda: _arrays()),
      ('name', lambda: f'{__name__}:_points'),
  )
  def test_however_the_data_are_given(self, make):
    result = launch.run(
        'classification',
        make(),
        _config(self.workdir, model=f'{__name__}:Net', model_arg={'width': 4}),
    )
    self.assertEqual(
        result.values['weights_sha256'],
        _reference().values['weights_sha256'],
    )

  @pytest.mark.medium
  def test_a_task_and_a_function_that_makes_it(self):
    spec = sources.open_dataset('points', _arrays).spec
    digests = set()
    for name, task in (('made', make_task(spec)), ('makes', make_task)):
      result = launch.run(task, _points, _config(f'{self.workdir}/{name}'))
      digests.add(result.values['weights_sha256'])
      self.assertLen(digests, 1)
    # It finds a function by its name, and takes an object that it is given.
    for name, given in (('made', {'task': make_task(spec)}), ('makes', {})):
      run = launch.load(f'{self.workdir}/{name}', **given)
      self.assertEqual(
          run.evaluate().values['accuracy'], result.values['test_accuracy']
      )
    task = make_task(spec)
    for name in ('one', 'two'):  # It trains on, on all devices.
      config = _config(
          f'{self.workdir}/{name}', strategy='mirrored', num_steps=2
      )
      launch.run(task, _points, config)
    with self.assertRaisesRegex(ValueError, 'its task was an object of'):
      launch.load(f'{self.workdir}/made')

  def test_data_that_no_other_program_can_open(self):
    result = launch.run(None, _arrays(), _config(self.workdir, model=Net))
    recorded = json.loads(pathlib.Path(self.workdir, 'config.json').read_text())
    self.assertEqual(recorded['config']['dataset'], typed_json.GIVEN)
    accuracy = result.values['test_accuracy']
    loaded = launch.load(self.workdir, dataset=_arrays())
    self.assertEqual(loaded.evaluate().values['accuracy'], accuracy)
    loaded = launch.load(self.workdir)
    self.assertEqual(
        loaded.evaluate(_arrays(), 'test').values['accuracy'], accuracy
    )
    with self.assertRaisesRegex(ValueError, 'dataset: .* an object of a prog'):
      loaded.evaluate()
    arrays = _arrays()
    arrays['train']['points'][7] += 1
    longer = _config(self.workdir, model=Net, num_steps=2 * _NUM_STEPS)
    with self.assertRaisesRegex(ValueError, 'example 7 of train'):
      launch.run(None, arrays, longer)
    partial = functools.partial(Net, width=4)
    with self.assertRaisesRegex(ValueError, 'model'):
      launch.run(None, _arrays(), dataclasses.replace(longer, model=partial))
    with self.assertRaisesRegex(TypeError, 'modle: there is no such option'):
      launch.load(self.workdir, modle=Net)

  def test_it_goes_on_and_is_complete(self):
    config = _config(self.workdir, model=Net, model_arg={'width': 4})
    half = dataclasses.replace(config, num_steps=_NUM_STEPS // 2)
    launch.run(None, _points, half)
    for _ in range(2):
      result = launch.run(None, _points, config)
      self.assertEqual(
          result.values['weights_sha256'],
          _reference().values['weights_sha256'],
      )
      self.assertEqual(int(result.state.step.numpy()), _NUM_STEPS)
    # What was trained is in the state, if nothing is left to train as well.
    np.testing.assert_array_equal(*(
        next(iter(each.state.parameters.values())).numpy()
        for each in (result, _reference())
    ))

  def test_other_examples_are_not_scored_as_its_own(self):
    path = f'{self.workdir}.npz'
    arrays = _arrays()

    def write():
      np.savez(
          path,
          **{
              f'{split}_{name}': array
              for split, some in arrays.items()
              for name, array in some.items()
          },
      )

    write()
    launch.run(None, f'npz:{path}', _config(self.workdir, num_steps=2))
    launch.load(self.workdir).evaluate()
    arrays['test']['points'][3] += 1
    write()
    run = launch.load(self.workdir)
    with self.assertRaisesRegex(ValueError, 'example 3 of test of npz.* not w'):
      run.evaluate()
    run.evaluate(split='validation')
    ended = runs.call(
        'evaluate', f'--workdir={self.workdir}', '--accept_changes'
    )
    self.assertEqual(ended.code, 0, ended.err)
    self.assertIn('example 3 of test', ended.out)

  def test_a_hook_ends_it_in_another_thread(self):
    def enough(step, values):
      return f'{values["accuracy"]:.0f} is enough' if step >= 6 else None

    results = []
    config = _config(self.workdir, model=Net, hooks=(enough,))
    thread = threading.Thread(
        target=lambda: results.append(launch.run(None, _points, config))
    )
    thread.start()
    thread.join()
    [result] = results
    self.assertEqual(result.stopped.hook, 'enough')
    self.assertEqual(result.stopped.step, int(result.state.step.numpy()))

  def test_a_signal_raises_once_all_is_saved(self):
    number = signal.SIGINT
    config = _config(self.workdir, model=Net, model_arg={'width': 4})
    handler = signal.getsignal(number)
    with (
        runs.signal_at(8, number),
        self.assertRaisesRegex(
            KeyboardInterrupt, f'saved step .* of {_NUM_STEPS}'
        ),
    ):
      launch.run(None, _points, config)
    self.assertIs(signal.getsignal(number), handler)
    self.assertEqual(
        launch.run(None, _points, config).values['weights_sha256'],
        _reference().values['weights_sha256'],
    )

  @parameterized.parameters(
      (3, None, None, TypeError, 'task: expected a launch.tasks.Task'),
      (None, 3, None, TypeError, 'dataset: expected a Dataset, arrays'),
      (None, None, {}, TypeError, 'config: expected a launch.Config, got dict'),
      ('regression', _points, None, ValueError, 'task=regression: it is for'),
      ('clasification', _points, None, ValueError, 'unknown; there are'),
      (lambda spec: 3, _points, None, ValueError, 'returned a int without mod'),
      (None, {'train': {}}, None, ValueError, 'dataset: '),
      (None, lambda: 1 / 0, None, Exception, 'division by zero'),
  )
  def test_what_does_not_fit(self, task, dataset, config, error, message):
    if config is None:
      config = _config(self.workdir, model=Net)
    with self.assertRaisesRegex(error, message):
      launch.run(task, dataset, config)
    self.assertFalse(os.path.exists(self.workdir))

  def test_devices_that_are_in_use(self):
    config = _config(self.workdir, model=Net, num_virtual_devices=7)
    with self.assertRaisesRegex(ValueError, 'num_virtual_devices=7: TensorFl'):
      launch.run(None, _points, config)

  def test_without_a_work_directory(self):
    result = launch.run(None, _points, _config(None, model=Net))
    self.assertTrue(os.path.exists(f'{result.workdir}/result.json'))
    self.assertIn('quatrain-', result.workdir)


class ProgramTest(absltest.TestCase):

  @pytest.mark.medium
  def test_a_program_of_30_lines(self):
    """Its own parts, defined where it runs; it is loaded by another."""
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'mine.py').write_text(_MINE)
    done = subprocess.run(
        [sys.executable, 'mine.py'],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(runs.ROOT)},
        capture_output=True,
        text=True,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertIn('good: True', done.stdout)
    run = launch.load(str(folder / 'run'))
    self.assertEqual(type(run.model).__name__, 'Net')
    self.assertGreater(run.evaluate().values['accuracy'], 0.9)
    self.assertStartsWith(run.config.dataset, str(folder / 'mine.py'))


_MINE = """
import numpy as np
import sonnet as snt
import tensorflow as tf

import launch


class Net(snt.Module):

  def __init__(self, num_classes):
    super().__init__()
    self.layers = snt.nets.MLP([16, num_classes])

  def __call__(self, points):
    return self.layers(points)


def margin(labels, logits):
  right = tf.gather(logits, labels, batch_dims=1)
  return tf.reduce_sum(tf.nn.relu(1 + logits - right[:, None]), 1)


def data():
  points = np.random.default_rng(0).normal(size=[600, 2]).astype('float32')
  return {'points': points, 'label': (points[:, 0] > points[:, 1]).astype(int)}


if __name__ == '__main__':
  result = launch.run(None, data, launch.Config(
      model=Net, loss=margin, learning_rate=0.03, num_epochs=20, workdir='run',
      jit_compile='off'))
  print('good:', result.values['test_accuracy'] > 0.9)
"""


if __name__ == '__main__':
  absltest.main()
