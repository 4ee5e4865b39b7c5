"""Tests of launch.benchmark.

Covers: benchmarking.measuring, benchmarking.prefixes,
benchmarking.product_rates.
"""

from __future__ import annotations

import json
import pathlib
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from core import precision
from tests.launch import runs
from tests.launch.tasks import small_sets

_PARTS = (
    'input',
    'all_reduce',
    'forward',
    'backward',
    'update',
    'host',
    'other',
)
_SLOW_INPUT = """
import time
import numpy as np
import tensorflow as tf
from pipelines import datasets, in_memory, spec

SECONDS = 0.02


class Slow:
  is_resident = False

  def __init__(self, split):
    self.split = split

  def __getattr__(self, name):
    return getattr(self.split, name)

  def load(self, keys):
    def wait(keys):
      time.sleep(SECONDS)
      return keys

    return self.split.load(
        tf.ensure_shape(tf.py_function(wait, [keys], keys.dtype), keys.shape)
    )


def load():
  features = spec.Spec({
      'numbers': spec.Feature('numbers', (2,), 'float32', columns=('a', 'b')),
      'label': spec.Feature('numbers', (), 'float32', columns=('y',)),
  })
  x = np.random.default_rng(0).normal(size=[64, 2]).astype('float32')
  split = in_memory.InMemorySplit({'numbers': x, 'label': x[:, 0]}, features)
  return datasets.Dataset(
      'slow', features, {'train': Slow(split), 'test': split},
      is_resident=False,
  )
"""
_SLOW_OPTIMIZER = """
import tensorflow as tf
from core import optimizers


def wasteful(learning_rate):
  plain = optimizers.sgd(learning_rate)

  def update(gradients, state, parameters):
    one = tf.fill([500, 500], 1e-6 * state[0])
    useless = 0 * tf.reduce_sum(one @ one @ one @ one)
    gradients = {name: g + useless for name, g in gradients.items()}
    updates, inner = plain.update(gradients, state[1], parameters)
    return updates, (state[0] + 1, inner)

  def init(parameters):
    return tf.zeros([]), plain.init(parameters)

  return optimizers.GradientTransformation(init, update)
"""
_OWN_TASK = """
import sonnet as snt
import tensorflow as tf
from core import losses, objectives
from launch import tasks


class Net(snt.Module):

  def __init__(self):
    super().__init__()
    self.layer = snt.Linear(3)

  def __call__(self, x):
    return self.layer(INPUTS)


def task(spec):
  return tasks.Task(
      model=Net(),
      objective=objectives.supervised(
          losses.softmax_cross_entropy, inputs='points'
      ),
      monitor='loss',
      direction='min',
  )
"""


class BenchmarkTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))

  def measure(self, *arguments, num_replicas=1):
    """Runs the program, which is to write its output and nothing else."""
    output = self.folder / 'output' / 'speed.json'
    before = set(self.folder.iterdir())
    ended = runs.call(
        'benchmark',
        '--num_seconds=0.3',
        f'--output={output}',
        *arguments,
        num_replicas=num_replicas,
    )
    self.assertEqual((ended.code, ended.err), (0, ''), ended)
    self.assertEqual(set(self.folder.iterdir()) - before, {output.parent})
    self.assertEqual(list(output.parent.iterdir()), [output])
    found = json.loads(output.read_text())
    self.check(found, ended.out)
    return found, ended.out

  def check(self, found, out):
    """Checks what holds for every run."""
    parts = found['parts']
    self.assertEqual(tuple(parts), _PARTS)
    step = found['seconds_per_step']
    self.assertGreater(step, 0)
    self.assertAlmostEqual(
        sum(seconds or 0 for seconds in parts.values()) / step, 1, places=6
    )
    for name, seconds in parts.items():
      if name != 'other' and seconds is not None:
        self.assertGreaterEqual(seconds, 0, name)
      row = name.replace('_', '-')
      if found['too_fast'] and name in ('forward', 'backward'):
        row = r'forward \+ backward'
      self.assertRegex(out, rf'(?m)^{row} +(-?[\d.]+|none)')
    self.assertEqual(
        parts['all_reduce'] is None, found['num_replicas'] == 1, parts
    )
    low, high = found['seconds_per_step_quartiles']
    self.assertBetween(step, low, high)
    size = found['config']['global_batch_size']
    self.assertAlmostEqual(found['examples_per_second'] * step / size, 1)
    self.assertGreaterEqual(found['num_rounds'], 3)
    self.assertGreater(found['first_step_seconds'], found['compile_seconds'])
    self.assertGreater(found['flop_per_second']['product'], 1e6)
    self.assertGreater(found['machine']['peak_memory_bytes']['host'], 1e8)
    self.assertGreater(found['memory_bytes']['parameters'], 0)
    self.assertNotRegex(out, r'\d(B|FLOP)')
    for line in found['advice']:
      self.assertIn(line, out)

  def test_a_process_leaves_nothing_but_its_output(self):
    for name in ('tmp', 'output'):
      (self.folder / name).mkdir()
    output = self.folder / 'output' / 'speed.json'
    workdir = runs.finished()
    kept = {path: path.stat().st_mtime_ns for path in workdir.rglob('*')}
    ended = runs.finish(
        runs.start(
            'benchmark',
            '--num_seconds=0.3',
            f'--output={output}',
            # Other flags than those of the run that is there.
            *runs.arguments(
                runs.config(workdir=str(workdir), jit_compile='off')
            ),
            environment={
                'TMPDIR': str(self.folder / 'tmp'),
                'XDG_CACHE_HOME': str(self.folder / 'cache'),
            },
        )
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertSameElements(
        self.folder.rglob('*'),
        [output, output.parent, self.folder / 'tmp'],
    )
    self.assertEqual(
        {path: path.stat().st_mtime_ns for path in workdir.rglob('*')}, kept
    )
    found = json.loads(output.read_text())
    self.check(found, ended.out)
    self.assertEqual((found['compiled'], found['num_replicas']), ('none', 1))
    self.assertEqual(found['num_steps'], 2 * runs.STEPS_PER_EPOCH)
    num_parameters = runs.result(workdir)['num_parameters']
    self.assertEqual(found['memory_bytes']['parameters'], 4 * num_parameters)
    # Two moments, and counts of updates.
    self.assertEqual(
        found['memory_bytes']['optimizer_state'], 8 * num_parameters + 16
    )
    self.assertGreater(found['flop_per_step'], 4 * num_parameters)

  @pytest.mark.medium
  def test_replicas_and_a_run_afterwards_has_the_weights_of_one_before(self):
    workdir = self.folder / 'run'
    config = runs.config(
        workdir=str(workdir),
        jit_compile='off',
        optimizer='sgd',
        model_arg={'hidden_sizes': (1024, 1024)},  # Much to sum.
    )
    found, _ = self.measure(
        *runs.arguments(config), '--num_seconds=1', num_replicas=2
    )
    self.assertEqual(found['num_replicas'], 2)
    self.assertGreater(found['parts']['all_reduce'], 0)
    self.assertEqual(runs.train(workdir).code, 0)
    self.assertEqual(runs.digest(workdir), runs.digest(runs.finished()))

  def test_slow_input(self):
    data = self.folder / 'slow_input.py'
    data.write_text(_SLOW_INPUT)
    self.addCleanup(runs.forget, data.stem)
    found, out = self.measure(
        f'--dataset={data}:load', '--global_batch_size=8', '--jit_compile=off'
    )
    self.assertEqual(found['bound'], 'input')
    self.assertGreater(found['parts']['input'] / found['seconds_per_step'], 0.6)
    self.assertGreater(found['input_seconds'], 0.005)
    self.assertFalse(found['is_resident'])
    self.assertEqual(found['memory_bytes']['training_data'], 0)
    self.assertIn('Input-bound: ', out)
    self.assertIn('No flag changes this', out)

  def test_slow_optimizer(self):
    code = self.folder / 'wasteful.py'
    code.write_text(_SLOW_OPTIMIZER)
    self.addCleanup(runs.forget, code.stem)
    found, out = self.measure(
        *runs.arguments(
            runs.config(optimizer=f'{code}:wasteful', ema_decay=0.99)
        ),
        '--jit_compile=off',
        '--num_seconds=0.6',
    )
    parts = found['parts']
    self.assertEqual(found['bound'], 'update')
    self.assertGreater(parts['update'], parts['forward'] + parts['backward'])
    self.assertIn('Update-bound: ', out)
    self.assertIn('--jit_compile=auto lets XLA compile', out)

  def test_short_calls(self):
    found, out = self.measure(
        f'--dataset={small_sets.__file__}:multi_label',
        '--global_batch_size=8',
        '--steps_per_loop=1',
    )
    self.assertEqual((found['bound'], found['steps_per_call']), ('host', 1))
    self.assertEqual(found['compiled'], 'loop')
    self.assertIn('Host-bound: ', out)
    self.assertIn('Without --steps_per_loop=1, ', out)

  @parameterized.parameters(
      ('text', '--micro_batch_size=3'),
      ('segmentation', '--model_arg=channels=2,4', '--precision=float16'),
  )
  @pytest.mark.medium
  def test_other_tasks(self, name, *arguments):
    found, _ = self.measure(
        f'--dataset={small_sets.__file__}:{name}',
        '--global_batch_size=8',
        '--jit_compile=off',
        *arguments,
    )
    is_convolved = 'convolution' in found['flop_per_second']
    self.assertEqual(is_convolved, name == 'segmentation')
    self.assertGreater(found['floor_seconds'], 0)

  @parameterized.parameters(
      ('--output=a.txt', '--output=a.txt: expected a file that ends in .json'),
      ('--output=/dev/null/a.json', '/dev/null'),
      ('--num_seconds=0', 'num_seconds'),
      ('--num_seconds=nan', 'num_seconds'),
      ('--model=mpl', '--model=mpl: unknown'),
      ('--global_batch_size=1000', '1000 is more than the 240 training'),
  )
  def test_mistakes(self, argument, message):
    ended = runs.call(
        'benchmark',
        *runs.arguments(runs.config()),
        argument,
    )
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)

  def test_a_loss_that_is_not_finite_fails(self):
    ended = runs.call(
        'benchmark',
        *runs.arguments(runs.config(optimizer='sgd')),
        '--learning_rate=1e30',
        f'--output={self.folder}/a.json',
    )
    self.assertEqual((ended.code, ended.err.count('\n')), (1, 1), ended)
    self.assertIn('not finite', ended.err)
    self.assertEqual(list(self.folder.iterdir()), [])

  @parameterized.parameters(('x', False), ('tf.cast(x, tf.float32)', True))
  @pytest.mark.medium
  def test_half_precision(self, inputs, is_float32_alone):
    code = self.folder / 'own_task.py'
    code.write_text(_OWN_TASK.replace('INPUTS', inputs))
    self.addCleanup(runs.forget, code.stem)
    with mock.patch.object(precision, 'is_native', return_value=True):
      found, _ = self.measure(
          f'--dataset={small_sets.__file__}:classification',
          '--jit_compile=off',
          '--global_batch_size=8',
          f'--task={code}:task',
      )
    self.assertEqual(found['half_seconds'] is None, is_float32_alone)


if __name__ == '__main__':
  absltest.main()
