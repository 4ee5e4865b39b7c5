"""Tests of launch.parts: names to objects, and what is said of mistakes.

Covers: lookup.built_in, lookup.calls, lookup.own, several, sweeps.trials.
"""

from __future__ import annotations

import contextlib
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses, models, optimizers
from launch import parts, programs, several, tasks
from tests.launch import runs

_CODE = """
import sonnet as snt
import tensorflow as tf
from core import metrics, optimizers

number = 3


class Net(snt.Module):

  def __init__(self, num_classes, width=8):
    super().__init__()
    self.sizes = num_classes, width

  def __call__(self, inputs):
    return inputs


class Asks:

  def __init__(self, width, depth):
    pass


def no_module(num_classes):
  return num_classes


def fails(num_outputs):
  return {}['missing']


def asymmetric(labels, predictions, *, overshoot=3.0):
  return overshoot * (labels - predictions) ** 2


def mine(learning_rate, momentum=0.9):
  return optimizers.sgd(learning_rate, momentum)


def none(learning_rate):
  return None


def halved(learning_rate, num_steps):
  return lambda step: learning_rate * tf.where(step > num_steps // 2, 0.5, 1.0)


def negative(learning_rate, num_steps):
  return lambda step: -learning_rate


def cost(factor=2.0):
  return metrics.mean(lambda labels, predictions: predictions * factor)


def per_class(num_classes):
  return metrics.precision(num_classes, average='macro')


def no_metric():
  return 3


def hook(step, values, at=5):
  return 'enough' if step >= at else None


class Counts:

  def __init__(self, limit=2):
    self.limit = limit

  def __call__(self, step, values):
    return None


class Needs:

  def __init__(self, limit):
    pass


def reshapes():
  return tf.reshape(tf.zeros([3]), [2, 2])


@tf.function
def traced():
  raise ValueError('too bad')


def mean(labels, predictions):
  return tf.reduce_mean(predictions)


def nothing(labels, predictions):
  del labels


def ones(labels, predictions):
  return tf.ones_like(labels)
"""


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)).resolve()
    (self.root / 'my_parts.py').write_text(_CODE)
    self.enter_context(contextlib.chdir(self.root))
    # A module of an earlier test is another file's.
    self.addCleanup(runs.forget, 'my_parts')


class BuiltInTest(_TestCase):

  def test_a_name_of_core_needs_no_line_here(self):
    self.assertEqual(parts.names('model'), sorted(models.REGISTRY))
    self.assertContainsSubset(tasks.losses(), parts.names('loss'))
    self.assertContainsSubset(
        ['poisson', 'kl_divergence', 'hinge_loss'], parts.names('loss')
    )
    for name in ('mean', 'l2_penalty', 'compose', 'triplet_margin_loss'):
      self.assertIn(name, losses.__all__)
      self.assertNotIn(name, parts.names('loss'))
    self.assertContainsSubset(
        ['adafactor', 'adam', 'lamb', 'muon', 'sgd'], parts.names('optimizer')
    )
    self.assertNoCommonElements(
        ['chain', 'scale_by_adam', 'clip', 'masked'], parts.names('optimizer')
    )
    self.assertContainsSubset(
        ['accuracy', 'r2_score', 'roc_auc', 'precision'], parts.names('metric')
    )
    self.assertNoCommonElements(
        ['of', 'collection', 'Metric'], parts.names('metric')
    )

  @parameterized.parameters(*parts.names('metric'))
  def test_each_metric_is_made(self, name):
    parts.call('metric', name, {}, num_classes=3)

  @parameterized.parameters(*parts.names('optimizer'))
  def test_each_optimizer_goes_downhill(self, name):
    optimizer = parts.call('optimizer', name, {}, learning_rate=0.01)
    parameters = {'layer/w': tf.ones([4, 6]), 'layer/b': tf.ones([6])}
    state = optimizer.init(parameters)
    for _ in range(2):
      updates, state = optimizer.update(parameters, state, parameters)
    for update in updates.values():
      self.assertLess(np.max(update), 0)

  @parameterized.parameters('loss', 'optimizer', 'schedule', 'model')
  def test_unknown_name(self, kind):
    names = ', '.join(parts.names(kind))
    with self.assertRaisesRegex(
        programs.UserError, f'--{kind}=zzz: unknown; there are: {names}[.] One'
    ):
      parts.find(kind, 'zzz')
    with self.assertRaisesRegex(programs.UserError, 'did you mean adam or'):
      parts.find('optimizer', 'adma')

  @parameterized.parameters(
      ('optimizer', 'adam', {'b1': 'x'}, {'learning_rate': 0.1}),
      ('optimizer', 'adam', {'learning_rate': 1.0}, {'learning_rate': 0.1}),
      ('optimizer', 'sgd', {'momentum': -3.0}, {'learning_rate': 0.1}),
      (
          'schedule',
          'warmup_cosine',
          {'warmup_fraction': 2.0},
          {'learning_rate': 0.1, 'num_steps': 10},
      ),
      (
          'schedule',
          'exponential',
          {'end_factor': -1.0},
          {'learning_rate': 0.1, 'num_steps': 10},
      ),
      ('model', 'mlp', {'num_classes': 3}, {'num_classes': 3}),
  )
  def test_invalid_argument(self, kind, name, own, given):
    with self.assertRaisesRegex(programs.UserError, f'--{kind}'):
      parts.call(kind, name, own, **given)


class OwnTest(_TestCase):

  @parameterized.parameters(
      'my_parts:Net', 'my_parts.py:Net', './my_parts.py:Net'
  )
  def test_a_model_gets_what_its_signature_names(self, name):
    made = parts.call(
        'model',
        name,
        {'width': 5},
        num_classes=3,
        num_outputs=3,
        input_shape=(8, 8),
        vocabulary_sizes=(),
    )
    self.assertEqual(made.sizes, (3, 5))
    self.assertIs(type(made), parts.find('model', 'my_parts.py:Net'))

  def test_an_object_is_a_part(self):
    net = parts.find('model', 'my_parts:Net')
    self.assertIs(parts.find('model', net), net)
    self.assertEqual(parts.call('model', net, {}, num_classes=2).sizes, (2, 8))

  def test_a_loss(self):
    loss = parts.bind(
        'loss', 'my_parts:asymmetric', {'overshoot': 2}, label_smoothing=0.0
    )
    self.assertEqual(loss(tf.constant([3.0]), tf.constant([1.0])), [8.0])
    self.assertEqual(
        list(parts.known_arguments('loss', 'my_parts:asymmetric')),
        ['overshoot'],
    )

  def test_an_optimizer_and_a_schedule(self):
    schedule = parts.call(
        'schedule', 'my_parts:halved', {}, learning_rate=1.0, num_steps=10
    )
    self.assertEqual((schedule(1), schedule(9)), (1.0, 0.5))
    optimizer = parts.call(
        'optimizer', 'my_parts:mine', {'momentum': 0.5}, learning_rate=0.1
    )
    self.assertIsInstance(optimizer, optimizers.GradientTransformation)

  def test_several(self):
    named = several.named(
        'metric', ['accuracy', 'my_parts.py:cost'], {'cost.factor': 3.0}
    )
    self.assertEqual(
        [(each.name, each.arguments) for each in named],
        [('accuracy', {}), ('cost', {'factor': 3.0})],
    )
    with self.assertRaisesRegex(programs.UserError, 'two are called accuracy'):
      several.named('metric', ['accuracy', 'core.metrics:accuracy'], {})
    for name in ('loss', 'split'):  # Rows have other values of these names.
      part = lambda: None
      part.__name__ = name
      with self.assertRaisesRegex(programs.UserError, f'--metrics={name}: row'):
        several.named('metric', [part], {})
    for key in ('cots.factor', 'factor', 'cost'):
      with self.assertRaisesRegex(
          programs.UserError, f'--metric_arg={key}: expected NAME.ARGUMENT=VAL'
      ):
        several.named('metric', ['my_parts.py:cost'], {key: 3.0})

  def test_hooks(self):
    function, counts = several.hooks(
        ['my_parts:hook', 'my_parts:Counts'], {'hook.at': 7, 'Counts.limit': 4}
    )
    self.assertIsNone(function(6, {}))
    self.assertEqual(function(7, {}), 'enough')
    self.assertEqual(counts.limit, 4)
    with self.assertRaisesRegex(programs.UserError, '--hook_arg=step: no such'):
      several.hooks(['my_parts:hook'], {'hook.step': 7})

  def test_a_model_that_is_made_is_none_that_makes_one(self):
    with self.assertRaisesRegex(
        programs.UserError,
        '^--model=.*: expected what makes a model, such as its class, got one',
    ):
      parts.find('model', models.REGISTRY['mlp'](num_classes=3))

  @parameterized.parameters(
      (
          'model',
          'my_parts.py:Ned',
          'my_parts.py has no Ned; it has Net, .*did you mean .*Net',
      ),
      ('model', 'my_part.py:Net', 'no file my_part.py; did you mean my_parts'),
      ('model', 'my_part:Net', 'no module my_part; did you mean my_parts'),
      ('model', 'nowhere/my.py:Net', 'there is no file nowhere/my.py$'),
      ('model', 'my_parts:number', 'expected what can be called, got int'),
      (
          'model',
          'my_parts:Asks',
          'it needs width, which is not provided; it is offered num_classes',
      ),
      ('model', 'my_parts:no_module', 'expected a tf.Module.*, line 25'),
      ('model', 'my_parts:fails', r'KeyError: .*missing.*my_parts.py, line 30'),
      ('model', 'os:system', 'a module of Python itself'),
      ('optimizer', 'my_parts:none', 'optimizer|NoneType'),
      ('schedule', 'my_parts:negative', 'learning rate of step'),
      ('metric', 'my_parts:no_metric', 'makes a Metric, got a int.*, line 61'),
      ('metric', 'my_parts:reshapes', 'InvalidArg.*: Input.*4 [(].*, line 85'),
      ('metric', 'my_parts:traced', 'too bad [(].*, line 90'),
      ('schedule', 'my_parts:no_metric', 'a function of the step, got a int'),
      ('optimizer', 'my_parts:no_metric', 'expected a gradient transformation'),
      ('hook', 'my_parts:Needs', 'needs limit, .*--hook_arg=Needs.limit=VALUE'),
      ('loss', 'my_parts:Needs', 'it is a class; expected a function of'),
      ('loss', 'my_parts:no_metric', 'called as no_metric.labels, predictions'),
      ('augment', 'my_parts:no_metric', 'as no_metric.batch, seed., and takes'),
      (
          'metric',
          'my_parts:asymmetric',
          'it needs labels, .*or --metric_arg=asymmetric.labels=VALUE',
      ),
  )
  def test_a_mistake_is_one_line(self, kind, name, message):
    given = {
        'model': {'num_classes': 2, 'num_outputs': 2},
        'optimizer': {'learning_rate': 0.1},
        'schedule': {'learning_rate': 0.1, 'num_steps': 9},
    }.get(kind, {})
    flag = {'metric': 'metrics', 'hook': 'hooks'}.get(kind, kind)
    with self.assertRaisesRegex(
        programs.UserError, f'^--{flag}={name}: .*({message})'
    ) as caught:
      parts.call(kind, name, {}, **given)
    self.assertNotIn('\n', str(caught.exception))
    self.assertNotIn(str(runs.ROOT), str(caught.exception))

  @parameterized.parameters(
      ('mean', 'it returned one number; expected a loss per example'),
      ('nothing', 'it returned None; expected a loss per example'),
      ('ones', 'it returned int32; expected floating-point losses'),
  )
  def test_a_loss_that_returns_none(self, name, message):
    loss = parts.bind('loss', f'my_parts:{name}', {})
    with self.assertRaisesRegex(
        programs.UserError, f'^--loss=my_parts:{name}: {message}.*parts.py, lin'
    ):
      loss(tf.constant([1]), tf.constant([[1.0]]))

  def test_an_unknown_argument(self):
    with self.assertRaisesRegex(
        programs.UserError, '--model_arg=widht: no such argument; .*width=8'
    ):
      parts.call('model', 'my_parts:Net', {'widht': 3}, num_classes=2)
    with self.assertRaisesRegex(programs.UserError, 'like the default 8'):
      parts.call('model', 'my_parts:Net', {'width': 'big'}, num_classes=2)


if __name__ == '__main__':
  absltest.main()
