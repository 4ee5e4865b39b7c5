"""Tests of launch.sweeps.space, and of what proposes values of it.

Covers: search.
"""

from __future__ import annotations

import collections
import pathlib

import numpy as np
from absl.testing import absltest, parameterized

from launch import programs
from launch.sweeps import search, space
from tests.launch import runs

_SPACE = """
learning_rate = {min = 1e-4, max = 1e-1, log = true}
model = ["mlp", "convnet"]
model_arg.dropout_rate = {min = 0.0, max = 0.3, step = 0.1}
metric_arg.top_k.k = [1, 5]
flip = [true, false]

[loss_arg]
gamma = {min = 1, max = 3}
sizes = [[16], [64, 32]]
"""


class _TestCase(parameterized.TestCase):

  def read(self, text):
    path = pathlib.Path(runs.scratch(self)) / 'space.toml'
    path.write_text(text)
    return space.read(str(path))

  def refused(self, text):
    with self.assertRaises(programs.UserError) as raised:
      self.read(text)
    return str(raised.exception)


class SpaceTest(_TestCase):

  def test_what_a_file_holds(self):
    found = self.read(_SPACE)
    self.assertEqual(
        [each.name for each in found.parameters],
        [
            'learning_rate',
            'model',
            'model_arg.dropout_rate',
            'metric_arg.top_k.k',
            'random_flip',
            'loss_arg.gamma',
            'loss_arg.sizes',
        ],
    )
    grids = {
        each.name: [each.at(i) for i in range(each.num_values)]
        for each in found.parameters[1:]
    }
    self.assertEqual(grids['model_arg.dropout_rate'], [0.0, 0.1, 0.2, 0.3])
    self.assertEqual(grids['loss_arg.gamma'], [1, 2, 3])
    with self.assertRaisesRegex(space.Mistake, 'learning_rate: a grid needs'):
      found.num_combinations()
    samples = list(found.samples())
    for name, values in grids.items():
      tried = [each[name] for each in samples]
      is_range = name in ('model_arg.dropout_rate', 'loss_arg.gamma')
      for value in (values[0], values[-1]) if is_range else values:
        self.assertIn(value, tried)

  def test_flags(self):
    self.assertEqual(
        space.flags_of({
            'model_arg.rate': 0.1,
            'model': 'mlp',
            'loss_arg.sizes': [64, 32],
            'metric_arg.top_k.k': 5,
            'random_flip': True,
        }),
        [
            '--model=mlp',
            '--random_flip=True',
            '--model_arg=rate=0.1',
            '--loss_arg=sizes=64,32',
            '--metric_arg=top_k.k=5',
        ],
    )

  def test_what_is_drawn_is_within_and_even(self):
    found = self.read(
        'learning_rate = {min = 1e-4, max = 1e-1, log = true}\n'
        'global_batch_size = {min = 1, max = 1000, log = true}\n'
        'num_epochs = {min = 1, max = 4}\n'
        'clip_global_norm = {min = 0, max = 1}\n'
    )
    drawn = [found.draw(3, number) for number in range(400)]
    rates = np.log10([each['learning_rate'] for each in drawn])
    sizes = [each['global_batch_size'] for each in drawn]
    epochs = collections.Counter(each['num_epochs'] for each in drawn)
    norms = [each['clip_global_norm'] for each in drawn]
    self.assertBetween(min(rates), -4, -3.9)
    self.assertBetween(max(rates), -1.1, -1)
    self.assertAlmostEqual(np.mean(rates), -2.5, delta=0.15)
    self.assertEqual({type(size) for size in sizes}, {int})
    self.assertBetween(np.median(sizes), 15, 45)
    self.assertEqual(min(sizes), 1)
    self.assertEqual(sorted(epochs), [1, 2, 3, 4])
    self.assertBetween(min(epochs.values()), 70, 100)
    # A flag of floats draws floats, however its ends are written.
    self.assertAlmostEqual(np.mean(norms), 0.5, delta=0.05)
    self.assertEqual(drawn[7], found.draw(3, 7))
    self.assertNotEqual(drawn[7], found.draw(4, 7))

  @parameterized.parameters(
      ('lerning_rate = [1]', 'did you mean learning_rate'),
      ('seed = [1, 2]', 'seed: the sweep sets it'),
      ('workdir = ["a"]', 'workdir: the sweep sets it'),
      ('monitor = ["loss"]', 'monitor: trials that differ in it are not'),
      ('learning_rate = 1', 'expected a list of values, or {min'),
      ('learning_rate = []', 'the list is empty'),
      ('learning_rate = [0.1, 0.1]', '0.1 is there twice'),
      ('learning_rate = [{a = 1}]', 'is not a value of a flag'),
      ('learning_rate = {min = 2, max = 1}', 'min = 2 is greater than max = 1'),
      ('learning_rate = {min = 1}', 'max is missing; expected'),
      ('learning_rate = {min = 1, max = nan}', 'max = nan'),
      ('learning_rate = {min = "a", max = 2}', "min = 'a'"),
      ('learning_rate = {min = 0, max = 1, log = true}', 'a min above 0'),
      ('learning_rate = {min = 1, max = 2, log = 3}', 'log = true takes'),
      ('learning_rate = {min = 1, max = 2, step = 0}', 'step = 0'),
      ('learning_rate = {min = 1, max = 2, setp = 1}', 'setp: a range has'),
      ('model_arg = [1]', 'expected model_arg.ARGUMENT'),
      ('model_arg.a.b = 3', 'model_arg.a.b: expected a list'),
      ('', 'it names no flag'),
      ('a b', 'line 1'),
  )
  def test_mistakes(self, text, message):
    said = self.refused(text)
    self.assertIn('--space=/', said)
    self.assertIn(message, said)
    self.assertNotIn('?.', said)

  def test_no_file(self):
    with self.assertRaisesRegex(programs.UserError, 'there is no such file'):
      space.read('/nowhere/space.toml')


class SearchTest(_TestCase):

  def make(self, method, text, num_trials=None, seed=0):
    folder = runs.scratch(self)
    return search.make(method, self.read(text), num_trials, seed, folder)

  def test_grid(self):
    text = 'num_epochs = {min = 1, max = 2}\nmodel = ["a", "b", "c"]'
    found = self.make('grid', text)
    self.assertEqual(
        [tuple(found.ask(i).values()) for i in range(found.num_trials)],
        [(1, 'a'), (1, 'b'), (1, 'c'), (2, 'a'), (2, 'b'), (2, 'c')],
    )
    self.assertEqual(self.make('grid', text, 4).num_trials, 4)
    self.assertEqual(self.make('grid', text, 40).num_trials, 6)
    huge = 'num_epochs = {min = 1, max = 1000000000000}'
    self.assertEqual(self.make('grid', huge, 3).ask(2), {'num_epochs': 3})
    for method, wrong, message in (
        ('grid', huge, '1,000,000,000,000 trials'),
        ('grid', 'learning_rate = {min = 0, max = 1}', 'a grid needs'),
        ('random', text, '--num_trials is missing'),
        ('optuna', text, '--num_trials is missing'),
    ):
      with self.assertRaisesRegex(programs.UserError, message):
        self.make(method, wrong)

  def test_random_trials_are_the_same_however_many(self):
    few, more = (self.make('random', _SPACE, n, seed=5) for n in (3, 9))
    self.assertEqual(*([s.ask(i) for i in range(3)] for s in (few, more)))

  def test_optuna_learns_and_goes_on_after_a_kill(self):
    """Half of the trials are told; one is asked for, by halves."""
    text = (
        'learning_rate = {min = 1e-5, max = 1, log = true}\n'
        'model = ["mlp", "convnet"]\n'
        'num_epochs = {min = 1, max = 20}\n'
    )
    found = self.read(text)

    def value(values):  # The best are at 1e-2, and convnets.
      distance = abs(np.log10(values['learning_rate']) + 2)
      return distance + (values['model'] == 'mlp')

    def go(folder, first, last):
      searched = search.make('optuna', found, 40, 1, folder)
      asked = []
      for number in range(first, last):
        asked.append(searched.ask(number))
        searched.tell(number, None if number == 3 else value(asked[-1]))
      return searched, asked

    _, whole = go(runs.scratch(self), 0, 40)
    self.assertEqual({type(each['num_epochs']) for each in whole}, {int})
    late = np.mean([value(each) for each in whole[20:]])
    self.assertLess(late, 1.3)  # Of random values 1.8.
    folder = runs.scratch(self)
    killed, first = go(folder, 0, 20)
    study = killed._opened()
    trial = study.ask()  # A part of its values alone was drawn.
    killed._suggest(trial, found.parameters[0])
    _, again = go(folder, 0, 40)  # Those told before stay as they were told.
    self.assertEqual(first, whole[:20])
    self.assertEqual(again[:20], whole[:20])
    self.assertLen(study.trials, 40)
    self.assertEqual(study.trials[3].state.name, 'FAIL')


if __name__ == '__main__':
  absltest.main()
