"""Tests of report/: its figures, its page, its model card.

Covers: again, card, inspecting, subject, writing.
"""

from __future__ import annotations

import functools
import json
import pathlib
from unittest import mock

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized
from matplotlib import figure

import launch
from core import losses, objectives
from launch import programs, tasks, workdir
from launch.reporting import again, card, writing
from tests.launch import runs
from tests.launch.reporting import reading

_NAMES = ('<b>dark</b>', 'light & "bright"')
# What is poisoned: a label that is wrong, and a number that overflows.
_WRONG, _LARGE = 17, 5


def _images():
  """Dark images and light ones, with one wrong label in the test split."""
  generator = np.random.default_rng(0)
  label = np.arange(160) % 2
  image = (
      generator.integers(0, 100, [160, 8, 8, 1])
      + 120 * label[:, np.newaxis, np.newaxis, np.newaxis]
  )
  label[120 + _WRONG] = 1 - label[120 + _WRONG]
  whole = {'image': image.astype(np.uint8), 'label': label}
  bounds = {'train': (0, 120), 'test': (120, 160)}
  return {
      **{
          split: {name: array[a:b] for name, array in whole.items()}
          for split, (a, b) in bounds.items()
      },
      'class_names': _NAMES,
  }


def _numbers():
  """Points, one of which no model of float32 can multiply."""
  generator = np.random.default_rng(0)
  points = generator.normal(size=[60, 3]).astype(np.float32)
  label = (points[:, 0] > 0).astype(int)
  points[40 + _LARGE] = 3e38
  return {
      'train': {'points': points[:40], 'label': label[:40]},
      'test': {'points': points[40:], 'label': label[40:]},
  }


def _sequences():
  """Only examples to train on."""
  points = np.random.default_rng(0).normal(size=[50, 3]).astype(np.float32)
  return {'train': {'points': points, 'label': points[:, 0]}}


class Net(snt.Module):
  """A linear model, of weights that make a large number overflow."""

  def __init__(self, num_outputs: int):
    super().__init__()
    self._linear = snt.Linear(num_outputs, w_init=snt.initializers.Constant(4))

  def __call__(self, points: tf.Tensor) -> tf.Tensor:
    return self._linear(points)


class Unsure(tasks.Inspection):
  """Shows what a model is the least sure of."""

  title = 'Worst of mine'
  kept = ('sure',)

  def columns(self, batch, evaluation):
    sure = tf.reduce_max(tf.nn.softmax(evaluation.predictions), axis=-1)
    return {'score': -sure, 'sure': sure, 'loss': evaluation.values}

  def sections(self, kept):
    mean = float(kept['test']['sure'].mean())
    return [tasks.Section('My section', 'One.\n\nTwo.', ('mean',), [[mean]])]


class Own(tasks.Task):
  """A task with a report that knows nothing of pages."""

  def report(self, values):
    drawn = figure.Figure()
    drawn.subplots().plot([1, 2])
    return tasks.Report(
        f'my loss is <{values["loss"]:.3f}>',
        {},
        {
            'my_plot.png': drawn,
            'vector.svg': lambda: drawn,
            'print.pdf': lambda: drawn,
        },
    )


def own(spec):
  """Makes it."""
  del spec
  return Own(
      model=Net(2),
      objective=objectives.supervised(
          losses.softmax_cross_entropy, inputs='points'
      ),
  )


def unsure(spec):
  """Makes it with an inspection."""
  made = own(spec)
  made.inspection = Unsure()
  return made


def _run(directory, **changes):
  return launch.run(
      config=launch.Config(**{
          'workdir': directory,
          'global_batch_size': 20,
          'num_epochs': 1,
          'jit_compile': 'off',
          'strategy': 'one_device',
          'validation_split': 'none',
          **changes,
      })
  )


@functools.cache
def _page():
  return reading.read(runs.finished() / 'report' / 'index.html')


class PageTest(parameterized.TestCase):

  def test_it_has_what_the_run_came_to(self):
    result = runs.result(runs.finished())
    text = _page().text
    for part in (
        'complete, 40 steps',
        'classification',
        'mlp',
        'tiny_shapes',
        '240 train, 25 validation, 61 test',
        result['weights_sha256'],
        f'{result["test_accuracy"]:.4f}',
        '1 replica(s) on 1 worker(s)',
        f'{result["last_validation"]["loss"]:.4f}',
        'tensorflow',
        'python -m launch.train',
        '--num_epochs=2',
        '--workdir=runs/again',
        'launch.reproduce',
        'of the last start',
        'validation',
        'peak memory, host',
        'There are none among the 61 examples of test.',
    ):
      self.assertIn(part, text)
    for title in (
        'Summary',
        'Curves',
        'Confusion',
        'By class',
        'Reliability',
        'Most confident mistakes',
        'Where the time went',
        'Train it again',
    ):
      self.assertEqual(text.count(f'{title} '), 2, title)  # And its link.
    for name, row in result['test']['per_class'].items():
      shown = ' '.join(f'{value:.4f}' for value in row.values())
      self.assertIn(f'{name} {shown}'.replace('0.0000', '0'), text)

  def test_its_mistakes_are_those_of_the_predictions(self):
    run = f'{runs.scratch(self)}/run'
    output = f'{run}/test.jsonl'
    for ended in (
        runs.train(run, num_steps=3, ema_decay=0.9),
        runs.call('predict', f'--workdir={run}', f'--output={output}'),
    ):
      self.assertEqual(ended.code, 0, ended)
    lines = pathlib.Path(output).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    wrong = [row for row in rows if row['prediction'] != row['label']]
    wrong.sort(key=lambda row: -row['probability'])
    self.assertNotEmpty(wrong)
    found = reading.read(f'{run}/report/index.html')
    self.assertEqual(
        reading.indices(found), [row['index'] for row in wrong[:24]]
    )
    self.assertIn(
        f'index {wrong[0]["index"]} label {wrong[0]["label"]} '
        f'prediction {wrong[0]["prediction"]} '
        f'probability {wrong[0]["probability"]:.4g}',
        found.text,
    )
    self.assertEqual(found.tags.count('figure'), len(wrong[:24]))

  def test_the_seconds_add_up(self):
    result = runs.result(runs.finished())
    self.assertLess(sum(result['seconds_in'].values()), result['seconds'])
    for name in ('start', 'first_call', 'steps', 'validation', 'saving'):
      self.assertGreater(result['seconds_in'][name], 0)
    self.assertGreater(result['machine']['peak_memory_bytes']['host'], 1e8)
    self.assertNotEmpty(result['machine']['devices'][0])

  def test_a_wrong_label_is_named(self):
    result = _run(
        f'{runs.scratch(self)}/run',
        dataset=f'{__name__}:_images',
        model='mlp',
        model_arg={'hidden_sizes': (16,)},
        num_epochs=8,
        learning_rate=0.01,
    )
    self.assertEqual(result.values['test_accuracy'], 39 / 40)
    found = reading.read(f'{result.workdir}/report/index.html')
    self.assertEqual(reading.indices(found), [_WRONG])
    is_light = 1 - _WRONG % 2  # As it is labelled.
    self.assertIn(
        f'index {_WRONG} label {_NAMES[is_light]} '
        f'prediction {_NAMES[1 - is_light]} probability',
        found.text,
    )
    self.assertIn('No temperature is fitted', found.text)
    self.assertNotIn('b', found.tags[: found.tags.index('figure')])
    text = pathlib.Path(result.workdir, 'report', 'model_card.md').read_text()
    self.assertNotIn('<b>', text)

  def test_what_is_not_finite_is_named(self):
    directory = f'{runs.scratch(self)}/run'
    changes = dict(dataset=f'{__name__}:_numbers', model=f'{__name__}:Net')
    with self.assertRaisesRegex(
        programs.Failure, f'test split is not finite: that of example {_LARGE}.'
    ):
      _run(directory, **changes)
    self.assertFalse(pathlib.Path(directory, 'report').exists())
    again.write(workdir.Workdir(directory), launch.Config())
    found = reading.read(f'{directory}/report/index.html')
    self.assertEqual(reading.indices(found)[0], _LARGE)
    self.assertRegex(found.raw, rf'<tr><td>{_LARGE}</td>.*<td>nan</td>')
    self.assertIn('1 examples have outputs that are not finite', found.text)
    self.assertIn('not complete: step 2 of 2', found.text)

  def test_a_task_of_ones_own(self):
    workdir = f'{runs.scratch(self)}/$gr\u00fcn \U0001f408'
    result = _run(
        workdir,
        dataset=f'{__name__}:_images_as_points',
        task=f'{__name__}:own',
    )
    found = reading.read(f'{result.workdir}/report/index.html')
    loss = f'my loss is <{result.values["test_loss"]:.3f}>'
    reproduce = f"python -m launch.reproduce '{workdir}'"
    card_text = pathlib.Path(workdir, 'report', 'model_card.md').read_text()
    self.assertIn("- Model: the task's own, ", card_text)
    self.assertIn(f"run = launch.load('{workdir}')\n", card_text)
    self.assertIn(f'- name: "{workdir}"\n', card_text)
    for part in (
        loss,
        reproduce,
        'Examples with the largest loss',
        'My plot',
        'Vector',
        'print.pdf is in the same folder',
    ):
      self.assertIn(part, found.text)
    self.assertLen(reading.indices(found), 10)
    self.assertLen([n for n in found.named if 'svg+xml' in n], 1)

  def test_an_inspection_of_ones_own(self):
    result = _run(
        f'{runs.scratch(self)}/run',
        dataset=f'{__name__}:_images_as_points',
        task=f'{__name__}:unsure',
    )
    found = reading.read(f'{result.workdir}/report/index.html')
    points = _images_as_points()['test']['points']
    logits = launch.load(result.workdir).model(points).numpy()
    sure = 1 / (1 + np.exp(-np.abs(logits[:, 0] - logits[:, 1])))
    self.assertEqual(
        reading.indices(found), np.argsort(sure, kind='stable').tolist()
    )
    self.assertIn(f'My section One. Two. mean {sure.mean():.4f}', found.text)

  def test_nothing_but_examples_to_train_on(self):
    result = _run(
        f'{runs.scratch(self)}/run',
        dataset=f'{__name__}:_sequences',
        test_split='none',
    )
    found = reading.read(f'{result.workdir}/report/index.html')
    self.assertIn('Nothing was scored', found.text)
    self.assertEqual(reading.indices(found), [])
    text = pathlib.Path(result.workdir, 'report', 'model_card.md').read_text()
    self.assertNotIn('model-index', text)

  def test_a_report_that_fails_says_why_and_loses_no_run(self):
    workdir = f'{runs.scratch(self)}/run'
    with mock.patch.object(
        writing.run_page, 'text', side_effect=ValueError('no\npage')
    ):
      ended = runs.train(workdir, num_epochs=1)
    self.assertEqual(ended.code, 0)
    self.assertIn('report/ is not complete: no', ended.out)
    self.assertGreater(runs.result(workdir)['seconds'], 0)


def _images_as_points():
  points = np.random.default_rng(0).normal(size=[50, 3]).astype(np.float32)
  label = (points[:, 0] > 0).astype(int)
  return {
      'train': {'points': points[:40], 'label': label[:40]},
      'test': {'points': points[40:], 'label': label[40:]},
  }


class CardTest(absltest.TestCase):

  def test_it_has_every_number_of_the_result(self):
    path = runs.finished() / 'report' / 'model_card.md'
    text = path.read_text()
    numbers = []

    def collect(value):
      if isinstance(value, dict):
        for each in value.values():
          collect(each)
      elif isinstance(value, list | int | float):
        numbers.append(json.dumps(value))

    result = runs.result(runs.finished())
    collect(result)
    self.assertGreater(len(numbers), 50)
    for number in numbers:
      self.assertIn(number, text)
    front = text.split('---\n')[1]
    self.assertIn('pipeline_tag: image-classification\n', front)
    value = result['test_accuracy']
    self.assertIn(f'- {{type: "accuracy", value: {value}}}\n', front)
    for line in front.splitlines():
      self.assertRegex(line, r'^ *(- )?[\w-]+: |^ *- \{|^[\w -]+:$')

  def test_names_do_not_end_what_they_are_in(self):
    self.assertEqual(card._line('a|b\n<c>`'), 'a\\|b \\<c\\>\\`')
    self.assertNotIn('```\n```', '\n'.join(card._code('a```b', 'sh')))


if __name__ == '__main__':
  absltest.main()
