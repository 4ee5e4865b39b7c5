"""Runs of a user's own parts: trained, resumed, evaluated, exported."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import config as config_lib
from launch import programs
from launch.lookup import code_files, imports, recorded
from tests.launch import runs

_CODE = '''
import tensorflow as tf
from core import metrics, optimizers
import my_side


class Net(tf.Module):
  """Makes its variables at once; takes no is_training."""

  def __init__(self, num_classes, input_shape, width=8):
    size = 1
    for each in input_shape:
      size *= each
    draw = lambda *shape: tf.random.normal(shape, stddev=0.1)
    self.w = tf.Variable(draw(size, width), name='w')
    self.v = tf.Variable(draw(width, num_classes), name='v')

  def __call__(self, inputs):
    flat = tf.reshape(inputs, [tf.shape(inputs)[0], self.w.shape[0]])
    return tf.nn.relu(flat @ self.w) @ self.v


def weighty(labels, logits, *, factor=3.0):
  return factor * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def cost(factor=2.0):
  accuracy = metrics.accuracy()
  return accuracy._replace(
      compute=lambda sums: factor * accuracy.compute(sums))


def mine(learning_rate, momentum=0.9):
  return optimizers.sgd(learning_rate, momentum)


def halved(learning_rate, num_steps):
  return lambda step: learning_rate * tf.where(
      tf.cast(step, tf.int32) < num_steps // 2, 1.0, my_side.HALF)


def augment(batch, seed):
  is_flipped = tf.random.stateless_uniform([], seed) > 0.5
  image = batch['image']
  return {**batch,
          'image': tf.where(is_flipped, tf.reverse(image, [2]), image)}


def hook(step, values, at=1000):
  return 'far enough' if step >= at else None
'''
_SIDE = 'HALF = 0.5\n'
_CHANGES: dict = dict(
    model='my_parts.py:Net',
    model_arg={'width': 6},
    loss='my_parts.py:weighty',
    loss_arg={'factor': 2.0},
    metrics=('accuracy', 'my_parts.py:cost'),
    metric_arg={'cost.factor': 4.0},
    optimizer='my_parts.py:mine',
    schedule='my_parts.py:halved',
    augment='my_parts.py:augment',
    hooks=('my_parts.py:hook',),
    hook_arg={'hook.at': 30},
    checkpoint_every_steps=10,
)


class RunTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)).resolve()
    self.files = self.root / 'mine'
    self.files.mkdir()
    (self.files / 'my_parts.py').write_text(_CODE)
    (self.files / 'my_side.py').write_text(_SIDE)
    self.enter_context(contextlib.chdir(self.files))
    self.addCleanup(runs.forget, 'my_parts', 'my_side')

  def train(self, name='run', code=0, **changes):
    ended = runs.train(self.root / name, **{**_CHANGES, **changes})
    self.assertEqual(ended.code, code, ended)
    return ended

  def config(self, name='run'):
    return json.loads((self.root / name / 'config.json').read_text())

  @pytest.mark.medium
  def test_from_start_to_end(self):
    self.train()
    result = runs.result(self.root / 'run')
    self.assertEqual(result['stopped']['reason'], 'far enough')
    self.assertEqual(result['stopped']['step'], 40)
    [row] = [
        r for r in runs.rows(self.root / 'run', 'train') if r['step'] == 35
    ]
    self.assertAlmostEqual(row['cost'], 4 * row['accuracy'], places=5)
    self.assertAlmostEqual(row['learning_rate'], 0.0015, places=6)
    code = self.config()['code']
    self.assertEqual(
        {name: file['path'] for name, file in code.items()},
        {
            'my_parts.py': str(self.files / 'my_parts.py'),
            'my_side': str(self.files / 'my_side.py'),
        },
    )
    # Two replicas, and another start: the same to rounding, and to the bit.
    with runs.signal_at(14, 15):
      self.train('stopped', code=143)
    self.train('stopped')
    self.assertEqual(
        runs.digest(self.root / 'stopped'), runs.digest(self.root / 'run')
    )
    self.train('two', num_replicas=2)
    np.testing.assert_allclose(
        runs.result(self.root / 'two')['test']['values']['loss'],
        result['test']['values']['loss'],
        rtol=1e-4,
    )
    # From anywhere, and from what is recorded.
    runs.forget('my_parts', 'my_side')
    with contextlib.chdir('/'):
      place = (f'--workdir={self.root}/run', f'--data_dir={runs.data_dir()}')
      ended = runs.call('evaluate', *place)
      self.assertEqual((ended.code, ended.err), (0, ''))
      ended = runs.call('export', *place, '--formats=saved_model')
      self.assertEqual(ended.code, 0, ended.err)
    scored = json.loads((self.root / 'run/evaluation_test.json').read_text())
    self.assertEqual(scored['values']['cost'], result['test']['values']['cost'])

  @pytest.mark.medium
  def test_other_code(self):
    changes = {'hooks': (), 'hook_arg': {}}
    with runs.signal_at(14, 15):
      self.train(code=143, **changes)
    (self.files / 'my_side.py').write_text('HALF = 0.25\n')
    ended = self.train(code=2, **changes)
    self.assertRegex(ended.err, 'other flags: code of my_side: .* --accept_ch')
    place = (f'--workdir={self.root}/run', f'--data_dir={runs.data_dir()}')
    ended = runs.call('evaluate', *place)
    self.assertEqual(ended.code, 2)
    self.assertIn(
        f'{self.files}/my_side.py, which the run uses, has changed', ended.err
    )
    ended = runs.call('evaluate', *place, '--accept_changes')
    self.assertEqual((ended.code, ended.err), (0, ''))
    ended = self.train(accept_changes=True, **changes)
    self.assertIn('changed: code of my_side', ended.out)
    values = self.config()
    before, now = values['history'][0]['changes']['code of my_side']
    self.assertNotEqual(before, now)
    self.assertEqual(values['code']['my_side']['sha256'], now)
    self.assertIn('is complete', self.train(**changes).out)

  @pytest.mark.medium
  def test_a_file_that_was_moved(self):
    self.train(num_steps=10, schedule='constant')
    shutil.move(self.files, self.root / 'moved')
    runs.forget('my_parts', 'my_side')
    place = (f'--workdir={self.root}/run', f'--data_dir={runs.data_dir()}')
    ended = runs.call('evaluate', *place)
    self.assertEqual(ended.code, 2)
    self.assertIn(
        f'{self.files}/my_parts.py, which the run uses, is missing', ended.err
    )
    moved = {
        name: (
            tuple(part.replace('my_', '../moved/my_') for part in value)
            if isinstance(value, tuple)
            else value.replace('my_', '../moved/my_')
        )
        for name, value in _CHANGES.items()
        if 'my_' in str(value)
    }
    (self.root / 'other').mkdir()
    with contextlib.chdir(self.root / 'other'):
      moved['schedule'] = 'constant'
      ended = self.train(num_steps=20, **moved)
      self.assertIn('resumed from', ended.out)
      ended = runs.call('evaluate', *place)
      self.assertEqual((ended.code, ended.err), (0, ''))

  def test_no_code_is_taken_from_a_work_directory(self):
    workdir = self.root / 'run'
    inside = workdir / 'my_parts.py'
    inside.parent.mkdir()
    inside.write_text(_CODE)
    code = {'my_parts.py': {'path': str(inside), 'sha256': '0'}}
    locate = functools.partial(
        recorded.located, config_lib.Config(model='my_parts.py:Net')
    )
    for accept in (False, True):
      with self.assertRaisesRegex(programs.UserError, 'the work directory its'):
        locate(code, workdir, accept_changes=accept)
    with self.assertRaisesRegex(programs.UserError, 'is not recorded'):
      locate({}, workdir, accept_changes=False)

  @parameterized.parameters(
      (['quatrain'], True),
      (['numpy>=1', 'Quatrain[launch]>=0.1; python_version > "3"'], True),
      (['quatrain @ git+https://example.org/quatrain'], True),
      (['dm_sonnet (>=2)'], True),
      (['quatrain; extra == "test"'], False),
      (['quatrain-tools', 'tensorflow>=2'], False),
      ([], False),
  )
  def test_a_package_of_parts(self, required, is_taken):
    packages = self.root / 'lib/python3/site-packages'
    for name, text in (
        ('lab_parts/__init__.py', ''),
        ('lab_parts/nets.py', _CODE),
        ('other.py', _CODE),
        (
            'lab_parts-1.0.dist-info/RECORD',
            'lab_parts/__init__.py,,\nlab_parts/nets.py,,\n',
        ),
        (
            'lab_parts-1.0.dist-info/METADATA',
            'Metadata-Version: 2.1\nName: lab-parts\nVersion: 1.0\n'
            + ''.join(f'Requires-Dist: {each}\n' for each in required),
        ),
    ):
      (packages / name).parent.mkdir(parents=True, exist_ok=True)
      (packages / name).write_text(text)
    for file, own in (('lab_parts/nets.py', is_taken), ('other.py', False)):
      path = str(packages / file)
      code = {
          'lab_parts.nets': {
              'path': path,
              'sha256': imports.digest_now(packages / file),
          }
      }
      locate = functools.partial(
          recorded.located,
          config_lib.Config(model='lab_parts.nets:Net'),
          code,
          self.root / 'run',
      )
      self.assertEqual(locate(accept_changes=True).model, f'{path}:Net')
      if own:
        self.assertEqual(locate(accept_changes=False).model, f'{path}:Net')
      else:
        with self.assertRaisesRegex(
            programs.UserError, 'a file of an installed package, .* requires q'
        ):
          locate(accept_changes=False)

  @pytest.mark.medium
  def test_no_package_that_comes_with_quatrain_is_one_of_parts(self):
    for package in importlib.metadata.distributions():
      for file in package.files or ():
        path = pathlib.Path(package.locate_file(file))
        if path.suffix == '.py' and 'site-packages' in path.parts:
          self.assertNotEqual(code_files.origin(path), '', path)
          break

  def test_parts_that_are_objects(self):
    config = config_lib.Config(loss=_loss, metrics=[_metric])
    code = recorded.sources(config)
    [(name, file)] = [item for item in code.items() if 'recorded' in item[0]]
    self.assertEqual(name, __name__)
    self.assertEqual(file['path'], str(pathlib.Path(__file__).resolve()))
    self.assertEqual(config.to_json()['loss'], f'{__name__}:_loss')

  def test_our_own_parts_are_not_recorded(self):
    self.assertEmpty(recorded.sources(config_lib.Config(model='mlp')))
    self.assertEmpty(
        recorded.sources(config_lib.Config(loss='core.losses:hinge'))
    )

  @parameterized.parameters(
      ({'freeze': 'w'}, ['w'], ['v']),
      ({'learning_rates': {'w': 0.0}}, ['w'], ['v']),
      ({'learning_rates': {'[vx]': 0.0, '.*': 1.0}}, ['v'], ['w']),
  )
  @pytest.mark.medium
  def test_variables_that_stay(self, changes, same, other):
    variables = []
    for steps in (1, 5):
      self.train(
          f'{steps}',
          num_steps=steps,
          schedule='constant',
          hooks=(),
          hook_arg={},
          **changes,
      )
      path = tf.train.latest_checkpoint(self.root / f'{steps}/checkpoints')
      reader = tf.train.load_checkpoint(path)
      variables.append({
          name: reader.get_tensor(key)
          for key in reader.get_variable_to_shape_map()
          for name in 'vw'
          if f'model.S{name}/' in key or f'model/{name}' in key
      })
    for name in (*same, *other):
      is_same = np.array_equal(variables[0][name], variables[1][name])
      self.assertEqual(is_same, name in same, name)

  @pytest.mark.medium
  def test_micro_batches(self):
    self.train('whole', num_steps=6)
    self.train('parts', num_steps=6, micro_batch_size=5)
    one, two = (
        runs.result(self.root / name)['test']['values']
        for name in ('whole', 'parts')
    )
    np.testing.assert_allclose(one['loss'], two['loss'], rtol=1e-4)
    self.assertEqual(self.config('parts')['config']['micro_batch_size'], 5)

  @parameterized.parameters(
      ({'freeze': 'nothing'}, '--freeze=nothing: no variable .* are: v, w'),
      ({'freeze': '.*'}, '--freeze=.*: all variables match'),
      ({'learning_rates': {'u/.*': 0.5}}, '--learning_rates=u/.*: no var'),
      ({'augment': 'my_parts:hook'}, '--augment=my_parts:hook: '),
      ({'loss': 'my_parts:mine', 'loss_arg': {}}, '--loss=my_parts:mine: '),
      ({'loss': 'hinge_loss', 'loss_arg': {}}, 'labels'),
      ({'hook_arg': {'hok.at': 1}}, '--hook_arg=hok.at: .*did you mean hook'),
      ({'metrics': ('acuracy',), 'metric_arg': {}}, 'did you mean accuracy'),
  )
  def test_a_mistake_is_one_line_and_nothing_is_written(self, changes, message):
    ended = self.train(code=2, **changes)
    self.assertEqual(ended.out, '')
    self.assertRegex(ended.err, message)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((self.root / 'run').exists())


def _loss(labels, predictions):
  del labels
  return predictions


def _metric():
  raise AssertionError


if __name__ == '__main__':
  absltest.main()
