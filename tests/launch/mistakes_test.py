"""A mistake in a part of the user's is found before the first step.

One line names the part and its line, and nothing is written.
"""

from __future__ import annotations

import contextlib
import pathlib
import re

from absl.testing import absltest, parameterized

from tests.launch import runs

_CODE = """
import sonnet as snt
import tensorflow as tf
from core import losses, metrics, objectives, optimizers
from launch import tasks


class Net(snt.Module):

  def __init__(self, num_classes):
    super().__init__()
    self.output = snt.Linear(num_classes)

  def __call__(self, images):
    return self.output(snt.flatten(tf.cast(images, tf.float32)))


class OnlyTrains(Net):

  def __call__(self, images, is_training):
    return super().__call__(images) if is_training else {}['here']


class OnlyEvaluates(Net):

  def __call__(self, images, is_training):
    return {}['here'] if is_training else super().__call__(images)


class TakesNothing(Net):

  def __call__(self):
    return {}['not called']


class Untrained(Net):

  def __init__(self, num_classes):
    super().__init__(num_classes)
    self.output = tf.Variable(tf.zeros([192, num_classes]), trainable=False)

  def __call__(self, images):
    return snt.flatten(tf.cast(images, tf.float32)) @ self.output


class NotFinite(Net):

  def __call__(self, images):
    return super().__call__(images) / 0.0


def only_eager(labels, predictions):
  loss = losses.softmax_cross_entropy(labels, predictions)
  return loss if tf.executing_eagerly() else {}['here']


def mean(labels, predictions):
  return tf.reduce_mean(losses.softmax_cross_entropy(labels, predictions))


def measures():
  return metrics.Metric(lambda *_: {}['here'], tf.identity)


def computes():
  return metrics.Metric(metrics.accuracy().measure, lambda sums: {}['here'])


def branches(learning_rate, num_steps):
  return lambda step: learning_rate if step < 10 else 0.0  # Here.


def updates(learning_rate):
  sgd = optimizers.sgd(learning_rate)
  return optimizers.create(sgd.init, lambda *args: {}['here'])


def augments(batch, seed):
  return batch if tf.executing_eagerly() else {}['here']


def fewer(batch, seed):
  return {name: value[:1] for name, value in batch.items()}


def gathers(batch, seed):
  positions = tf.range(tf.shape(batch['image'])[0]) + 1
  return {**batch, 'image': tf.gather(batch['image'], positions)}  # Here.


class Reports(tasks.Task):

  def report(self, values):
    return {}['here']


def reports(spec):
  return Reports(
      model=Net(4),
      objective=objectives.supervised(losses.softmax_cross_entropy))


def monitors(spec):
  return tasks.Task(
      model=Net(4),
      objective=objectives.supervised(losses.softmax_cross_entropy),
      monitor='recall',
      direction='max')


def load():
  return {}['here']


def opens():
  return open('no/such/file.csv').read()  # Here.


def unlabelled():
  return {'numbers': [[1.0, 2.0]] * 90}


def task(spec):
  return tasks.Task(
      model=OnlyEvaluates(10),
      objective=objectives.supervised(losses.softmax_cross_entropy))


class Needs:

  def __init__(self, limit):
    self.limit = limit

  def __call__(self, step, values):
    return None


class Starts:

  def __init__(self):
    self.limit = {}['here']

  def __call__(self, step, values):
    return None


class Backwards(Starts):

  def __init__(self):
    pass

  def next(self, step):
    return step - 1


class Text(Backwards):

  def init(self):
    return 'text'
"""


class MistakesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)).resolve()
    (self.root / 'faulty.py').write_text(_CODE)
    self.enter_context(contextlib.chdir(self.root))
    self.addCleanup(runs.forget, 'faulty')

  def train(self, **changes):
    ended = runs.train('run', **{'model_arg': {}, **changes})
    self.assertEqual(ended.err.count('\n'), 1, ended.err)
    for path in re.findall(r'/\S+[.]py\b', ended.err):
      self.assertEqual(path, str(self.root / 'faulty.py'))
    return ended

  @parameterized.parameters(
      ('model', 'OnlyTrains', "KeyError: 'here'"),
      ('model', 'OnlyEvaluates', "KeyError: 'here'"),
      ('model', 'TakesNothing', 'TypeError: .*takes 1 positional argument'),
      ('model', 'Untrained', 'it has no trainable variables'),
      ('loss', 'only_eager', "KeyError: 'here'"),
      ('loss', 'mean', 'it returned one number; expected a loss per example'),
      ('loss', 'Needs', 'it is a class; expected a function of'),
      ('metrics', 'measures', "KeyError: 'here'"),
      ('metrics', 'computes', "KeyError: 'here'"),
      ('metrics', 'load', "KeyError: 'here'"),
      ('metrics', 'Needs', 'needs limit, .*--metric_arg=Needs.limit=VALUE'),
      ('schedule', 'branches', 'OperatorNotAllowedInGraphError: '),
      ('optimizer', 'updates', "KeyError: 'here'"),
      ('augment', 'augments', "KeyError: 'here'"),
      ('augment', 'fewer', 'expected as many examples as in the batch'),
      ('augment', 'load', r'it is called as load\(batch, seed\)'),
      ('dataset', 'load', "KeyError: 'here'"),
      ('dataset', 'opens', 'FileNotFoundError: no/such/file.csv: '),
      ('task', 'task', "KeyError: 'here'"),
      ('hooks', 'Needs', 'needs limit, .*--hook_arg=Needs.limit=VALUE'),
      ('hooks', 'Starts', "KeyError: 'here'"),
      ('hooks', 'Backwards', 'next.0. returned -1, which is past'),
      ('hooks', 'Text', "init.. has 'text': expected numbers"),
  )
  def test_is_found_first(self, flag, name, message):
    part = f'faulty.py:{name}'
    several = flag in ('hooks', 'metrics')
    changes = {flag: (part,) if several else part}
    if flag == 'task':
      changes['model'] = None
    ended = self.train(**changes)
    self.assertEqual(ended.code, 2)
    self.assertRegex(ended.err, rf'--{flag}\b.*\b{name}\b.*{message}')
    place = re.search(r'faulty[.]py, line (\d+)', ended.err)
    if 'Error: ' in message and name != 'TakesNothing':
      line = _CODE.splitlines()[int(place[1]) - 1]
      self.assertRegex(line, "'here'|Here")
    self.assertFalse(pathlib.Path('run').exists())

  @parameterized.parameters(
      ('augment', 'gathers', r'= 12 is not in \[0, 12\)'),
      ('task', 'reports', "KeyError: 'here'"),
  )
  def test_that_is_found_later_is_one_line_too(self, flag, name, message):
    model = {'model': None} if flag == 'task' else {'model': 'faulty.py:Net'}
    ended = self.train(
        **{flag: f'faulty.py:{name}'}, **model, num_epochs=1, jit_compile='off'
    )
    self.assertEqual(ended.code, 1)
    place = re.search(r'faulty[.]py, line (\d+)', ended.err)
    self.assertRegex(ended.err, f'{message} .*faulty[.]py, line')
    self.assertRegex(_CODE.splitlines()[int(place[1]) - 1], "'here'|Here")

  def test_a_task_that_monitors_what_is_not_measured(self):
    ended = self.train(task='faulty.py:monitors', model=None)
    self.assertEqual(ended.code, 2)
    self.assertIn("--monitor=recall: the task's own, but no metric", ended.err)
    self.assertFalse(pathlib.Path('run').exists())

  def test_data_without_a_label(self):
    ended = self.train(dataset='faulty.py:unlabelled')
    self.assertEqual(ended.code, 2)
    self.assertRegex(
        ended.err, '--task: the data set has no label, only numbers; name its '
    )

  def test_fresh_weights_that_are_not_finite_get_no_advice_on_the_rate(self):
    ended = self.train(model='faulty.py:NotFinite')
    self.assertEqual(ended.code, 1)
    self.assertRegex(
        ended.err,
        'loss of step 1 is not finite; .*There is no checkpoint yet; no weight '
        'had changed yet, so look at the model',
    )
    self.assertNotIn('smaller', ended.err)


if __name__ == '__main__':
  absltest.main()
