"""Numbers in calls of core besides its parts: a wrong one names its argument.

Those of losses, metrics, layers and so on are in bad_calls_test.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import tempfile
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

import core
from core import (
    averaging,
    checkpoints,
    compilation,
    distribution,
    export,
    layers,
    loops,
    loss_scaling,
    losses,
    micro_batches,
    objectives,
    optimizers,
    random,
    resident,
    resident_data,
    training,
    workers,
    xla_flags,
)
from tests.core.conformance import public

_SIZES = (0, -1, 1.5, '1', None)
_FROM_0 = (-1, 0.5, '1', None)
_RATES = (-0.1, 1.0, math.nan, '0.5', None)
_SEED = tf.constant([0, 1])


def _model():
  model = layers.Dense(1)
  model.build([None, 2])
  return model


def _state(**options):
  return training.TrainState(_model(), optimizers.sgd(0.1), **options)


def _save(step):
  with tempfile.TemporaryDirectory() as folder:
    checkpoints.Checkpointer(folder, {'v': tf.Variable(0)}).save(step)


def _resident(loop, **options):
  arrays = {'x': np.ones([4, 2], 'f'), 'label': np.zeros([4, 1], 'f')}
  arrays |= {n: options.pop(n) for n in ('weight', 'x') if n in options}
  state = _state()
  objective = objectives.supervised(losses.squared_error, inputs='x')
  if loop == 'evaluate':
    return resident.make_eval_loop(state, objective, None, arrays, **options)()
  of_loop = {
      name: options.pop(name)
      for name in ('epoch', 'start', 'num_steps')
      if name in options
  }
  train = resident.make_train_loop(
      state, objective, optimizers.sgd(0.1), None, arrays, **options
  )
  return train(resident.batched(range(4), 2), **{'epoch': 0, **of_loop})


def _take(num_steps):
  sums = {'loss': tf.constant(0.0)}
  return loops.add_up(lambda taken: sums, sums, num_steps)


# For each a call of one argument, a good value of it, and bad ones.
CALLS = {
    'averaging.ModelAverage.__init__.decay': (
        lambda decay: averaging.ModelAverage(_model(), decay),
        0.5,
        _RATES,
    ),
    'averaging.average.decay': (
        lambda decay: averaging.average(0.0, 1.0, 1, decay),
        0.5,
        _RATES,
    ),
    'checkpoints.Checkpointer.__init__.max_to_keep': (
        lambda max_to_keep: checkpoints.Checkpointer(
            'no/folder', {}, max_to_keep=max_to_keep
        ),
        1,
        _SIZES,
    ),
    'checkpoints.Checkpointer.save.step': (_save, np.int64(0), _FROM_0),
    'compilation.choose.num_replicas': (
        lambda num_replicas: compilation.choose(
            'off', [], on_gpu=False, num_replicas=num_replicas
        ),
        1,
        _SIZES,
    ),
    'distribution.set_virtual_devices.num_devices': (
        distribution.set_virtual_devices,
        None,  # The devices of this process are set.
        _SIZES,
    ),
    'distribution.multi_worker.start_timeout_s': (
        distribution.multi_worker,
        None,  # There is only one worker.
        (0.0, -1.0, math.nan, '1', None),
    ),
    'export.classifier.Classifier.__init__.image_shape': (
        lambda image_shape: export.Classifier(
            _model(), lambda x: x[..., 0, 0], image_shape, ['a']
        ),
        (2, 1, 1),
        ((0, 1, 1), (2.5, 1, 1), '211', 2, None),
    ),
    'loops.add_up.num_steps': (_take, 2, (-1, 0.5)),
    'loss_scaling.adjust.factor': (
        lambda factor: loss_scaling.adjust(
            loss_scaling.init(), tf.constant(True), factor=factor
        ),
        2.0,
        (0.5, -2.0, math.nan, '2', None),
    ),
    'loss_scaling.adjust.growth_interval': (
        lambda growth_interval: loss_scaling.adjust(
            loss_scaling.init(),
            tf.constant(True),
            growth_interval=growth_interval,
        ),
        5,
        _SIZES,
    ),
    'loss_scaling.init.scale': (
        loss_scaling.init,
        2.0,
        (0.0, -1.0, math.nan, math.inf, '2', None),
    ),
    'micro_batches.add_up.size': (
        lambda size: micro_batches.add_up(
            lambda batch, place, carried: (tf.reduce_sum(batch['a']), ()),
            {'a': tf.ones([4])},
            size,
        ),
        2,
        _SIZES,
    ),
    'random.fold_in.data': (
        lambda data: random.fold_in(_SEED, data),
        -1,  # Layers of core fold in negative numbers too.
        (0.5, [1]),
    ),
    'random.fold_in.seed': (
        lambda seed: random.fold_in(seed, 1),
        [0, 1],
        ([0.5, 1.0], 1, [1]),
    ),
    'random.split.num': (
        lambda num: random.split(_SEED, num),
        2,
        _SIZES,
    ),
    'random.uniform.seed': (
        lambda seed: random.uniform(seed, [2]),
        [0, 1],
        ([0.5, 1.0], 1, [1]),
    ),
    'resident.batched.global_batch_size': (
        lambda global_batch_size: resident.batched([0], global_batch_size),
        1,
        _SIZES,
    ),
    'resident.batched.order': (
        lambda order: resident.batched(order, 1),
        [0],
        ([0.5], [[0]], 1),
    ),
    'resident.make_eval_loop.global_batch_size': (
        lambda global_batch_size: _resident(
            'evaluate', global_batch_size=global_batch_size
        ),
        2,
        _SIZES,
    ),
    'resident.make_train_loop.epoch': (
        lambda epoch: _resident('train', epoch=epoch),
        0,
        _FROM_0,
    ),
    'resident.make_train_loop.micro_batch_size': (
        lambda micro_batch_size: _resident(
            'train', micro_batch_size=micro_batch_size
        ),
        1,
        _SIZES[:-1],
    ),
    'resident.make_train_loop.num_steps': (
        lambda num_steps: _resident('train', num_steps=num_steps),
        2,
        (3, *_FROM_0[:-1]),
    ),
    'resident.make_train_loop.start': (
        lambda start: _resident('train', start=start),
        1,
        (3, *_FROM_0),
    ),
    'resident.make_train_loop.weight': (
        lambda weight: _resident('train', weight=weight),
        np.array([1, 0, 1, 2], np.float64),
        (
            np.array([1, 1, -1, 1], 'f'),
            np.array([1, 1, math.nan, 1]),
            np.array([1, 1, math.inf, 1]),
            np.float32(1),
            ['1'] * 4,
        ),
    ),
    'resident.make_train_loop.x': (
        lambda x: _resident('train', x=x),
        np.ones([4, 2], 'f'),
        (np.ones([4, 2]), np.ones([4, 2], np.int64)),
    ),
    'train_state.TrainState.__init__.average_decay': (
        lambda average_decay: _state(average_decay=average_decay),
        0.5,
        _RATES[:-1],
    ),
    'train_state.TrainState.__init__.seed': (
        lambda seed: _state(seed=seed),
        -1,
        (0.5, '1', None, 2**31),
    ),
    'training.make_train_step.micro_batch_size': (
        lambda micro_batch_size: training.make_train_step(
            objectives.supervised(losses.squared_error),
            optimizers.sgd(0.1),
            None,
            micro_batch_size=micro_batch_size,
        ),
        1,
        _SIZES[:-1],
    ),
    'workers.gather.values': (
        lambda values: workers.gather(tf.distribute.get_strategy(), values),
        [-1],
        ([0.5], ['1'], [None]),
    ),
    'xla_flags.for_cpu.batch_size': (xla_flags.for_cpu, 1, _SIZES),
    'xla_flags.tune_for_cpu.batch_size': (
        xla_flags.tune_for_cpu,
        None,  # It would set flags of this process.
        _SIZES,
    ),
}
# What needs no check of its own, and why.
EXEMPT = {
    'belonging.check_assigned.num_replicas': 'of a strategy',
    'belonging.check_reducing.micro_batch_size': 'checked by make_train_step',
    'checkpoint_files.publish.max_to_keep': 'checked by Checkpointer',
    'checks.': 'the checks themselves',
    'effects.since.number': 'what effects.count returned',
    'export.parity.Parity.within.limit': 'any number will do',
    'export.pictures.': 'checked by Classifier',
    'hidden_variables.refuse.seen': 'numbers of objects',
    'objectives.supervised.weights': 'any number will do',
    'random.layer_seed.index': 'checked by fold_in',
    'random.normal.shape': 'sizes may be tensors',
    'random.starting.start': 'tensors',
    'random.uniform.shape': 'sizes may be tensors',
    'resident_data.batch.epoch': 'checked by the loop',
}


def _arguments() -> Iterator[str]:
  """Yields the arguments of core that are numbers, `module.function.name`."""
  for found in pkgutil.walk_packages(core.__path__, 'core.'):
    name = found.name.removeprefix('core.')
    if name.partition('.')[0] in {*public.PACKAGES, 'models'}:
      continue
    module = importlib.import_module(found.name)
    for function in vars(module).values():
      if getattr(function, '__module__', None) == found.name:
        yield from (f'{name}.{each}' for each in _of(function))


def _of(function: object) -> Iterator[str]:
  methods = [function]
  if inspect.isclass(function):
    methods = [
        method
        for name, method in vars(function).items()
        if inspect.isfunction(method)
        and (name in ('__init__', '__call__') or name[0] != '_')
    ]
  for method in filter(inspect.isfunction, methods):
    for name, parameter in inspect.signature(method).parameters.items():
      kind = str(parameter.annotation).replace('tf.', '')
      is_public = not method.__qualname__.startswith('_')
      if is_public and ('int' in kind or 'float' in kind):
        yield f'{method.__qualname__}.{name}'


class NumbersTest(parameterized.TestCase):

  def test_each_is_tried_or_needs_no_check(self):
    tried = {*CALLS}
    for argument in _arguments():
      with self.subTest(argument):
        self.assertTrue(argument in tried or argument.startswith(tuple(EXEMPT)))

  @parameterized.named_parameters(
      (name.replace('.', '_'), name) for name in CALLS
  )
  def test_names_the_argument(self, name):
    call, good, bad = CALLS[name]
    if good is not None:
      call(good)
    argument = name.rpartition('.')[2]
    for value in bad:
      with (
          self.subTest(value=value),
          self.assertRaisesRegex(
              (ValueError, TypeError), rf'^(?=.*\b{argument}\b).*: '
          ),
      ):
        call(value)


class WeightsTest(tf.test.TestCase):

  def test_of_any_kind_of_number_are_float32(self):
    expected = np.array([1, 0, 1, 2], np.float32)
    for dtype in (np.float64, np.int64, np.float16, np.uint8):
      tensors = resident_data.tensors({'weight': expected.astype(dtype)})
      self.assertEqual(tensors['weight'].dtype, tf.float32)
      self.assertAllEqual(tensors['weight'], expected)
    mask = resident_data.tensors({'weight': expected > 0})['weight']
    self.assertAllEqual(mask, expected > 0)


if __name__ == '__main__':
  absltest.main()
