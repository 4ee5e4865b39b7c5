"""Tests of launch.compare."""

from __future__ import annotations

import json
import pathlib
import re
import shutil

import numpy as np
import pytest
from absl.testing import absltest, parameterized
from scipy import stats

from tests import small_datasets
from tests.launch import runs
from tests.launch.real import sets

_A = (0.81, 0.80, 0.82, 0.81, 0.79)
_B = (0.84, 0.83, 0.86, 0.83, 0.83)


class CompareTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def group(self, name, accuracies, first_seed=0, config=(), **more):
    """Makes runs of what one run left, with other numbers."""
    for seed, accuracy in enumerate(accuracies, first_seed):
      path = shutil.copytree(runs.finished(), self.root / f'{name}_{seed}')
      self.edit(
          path / 'config.json',
          lambda values, seed=seed: values['config'].update(
              {'seed': seed, **dict(config)}
          ),
      )
      self.edit(
          path / 'result.json',
          lambda values, accuracy=accuracy: (
              values.update({'test_accuracy': accuracy, **more})
          ),
      )

  def edit(self, path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))

  def compare(self, *flags, code=0, runs_='A_*', with_='B_*'):
    ended = runs.call(
        'compare',
        f'--runs={self.root}/{runs_}',
        f'--with={self.root}/{with_}',
        *flags,
    )
    self.assertEqual(ended.code, code, ended)
    return (ended.err if code else ended.out).replace(f'{self.root}/', '')

  def test_shown_in_pairs(self):
    self.group('A', _A)
    self.group('B', _B, config={'learning_rate': 0.5, 'keep_checkpoints': 9})
    out = self.compare().splitlines()
    expected = stats.ttest_rel(_B, _A)
    low, high = expected.confidence_interval(0.95)
    self.assertEqual(
        out,
        [
            'they differ in --learning_rate: 0.003 and 0.5',
            'they differ in --keep_checkpoints: 3 and 9',
            'A_*: test_accuracy 0.8060 [0.7918, 0.8202] over 5 runs',
            'B_*: test_accuracy 0.8380 [0.8218, 0.8542] over 5 runs',
            (
                f'B_* is better than A_* by 0.0320 [{low:.4f}, {high:.4f}], p ='
                f' {expected.pvalue:.2g} (paired t test over equal seeds)'
            ),
        ],
    )
    # The other way round, and where less is better.
    swapped = self.compare(runs_='B_*', with_='A_*').splitlines()
    self.assertEqual(swapped[-1], out[-1])
    for path in self.root.glob('*/result.json'):
      self.edit(
          path,
          lambda values: values.update(
              monitor='rmse', direction='min', test_rmse=values['test_accuracy']
          ),
      )
    self.assertIn('A_* is better than B_* by 0.0320', self.compare())
    self.assertIn(
        'B_* is better',
        self.compare('--metric=test_accuracy'),
    )
    self.assertIn('A_* is better', self.compare('--metric=test_rmse'))

  def test_other_seeds(self):
    self.group('A', _A)
    self.group('B', _B[:4], first_seed=3)
    out = self.compare()
    self.assertIn('they differ in no flag', out)
    p = stats.ttest_ind(_B[:4], _A, equal_var=False).pvalue
    self.assertIn(f"p = {p:.2g} (Welch's t test)", out)

  def test_not_shown(self):
    self.group('A', _A)
    self.group('B', [0.80, 0.82, 0.81, 0.83, 0.78])
    last = self.compare().splitlines()[-2:]
    self.assertRegex(
        last[0],
        r'^no difference shown: B_\* is ahead by 0\.0020 \[-0\.\d+, 0\.\d+\], '
        r'p = 0\.\d+ \(paired',
    )
    [least] = re.findall(
        r'at least ([\d.]+) would have been shown with 80 %', last[1]
    )
    gaps = np.subtract([0.80, 0.82, 0.81, 0.83, 0.78], _A)
    power = stats.nct.sf(
        stats.t.ppf(0.975, 4), 4, float(least) / stats.sem(gaps)
    )
    self.assertBetween(power, 0.75, 0.85)

  def test_runs_of_a_group_that_differ(self):
    self.group('A', _A[:2])
    self.group(
        'A_more', _A[2:4], first_seed=2, config={'clip_global_norm': 1.0}
    )
    self.group('B', _B[:4])
    self.assertStartsWith(
        self.compare(), 'note: runs of A_* differ in --clip_global_norm\n'
    )

  def test_equal_to_the_bit(self):
    self.group('A', _A)
    self.group('B', _A)
    self.assertIn('is ahead by 0.0000, p = 1 (sign-flip', self.compare())

  @parameterized.parameters(
      (lambda self: shutil.rmtree(self.root / 'B_1'), '1 run(s) of seed(s) 0'),
      (
          lambda self: [shutil.rmtree(self.root / f'B_{i}') for i in (0, 1)],
          'there is no such run',
      ),
      (
          lambda self: (self.root / 'B_1' / 'result.json').unlink(),
          'the run is not complete',
      ),
      (lambda self: (self.root / 'B_2').mkdir(), 'B_2'),
      (
          lambda self: (self.root / 'B_2').symlink_to(self.root / 'A_0'),
          'seed(s) 0, 1; expected two or more, each with its own seed',
      ),
      (
          lambda self: self.edit(
              self.root / 'B_1' / 'config.json',
              lambda values: values['config'].update(task='multi_label'),
          ),
          'differ in their tasks',
      ),
      (
          lambda self: self.edit(
              self.root / 'B_1' / 'config.json',
              lambda values: values['data']['fingerprint'].update(test='ab'),
          ),
          'differ in the examples of test',
      ),
      (
          lambda self: self.edit(
              self.root / 'B_1' / 'config.json',
              lambda values: values['data']['spec']['features']['label'].update(
                  class_names=[
                      f'other {i}'
                      for i in range(
                          len(
                              values['data']['spec']['features']['label'][
                                  'class_names'
                              ]
                          )
                      )
                  ]
              ),
          ),
          'differ in what they predict',
      ),
      (
          lambda self: self.edit(
              self.root / 'B_1' / 'result.json',
              lambda values: values.update(monitor='loss'),
          ),
          '--metric is missing: the runs are judged by accuracy and loss',
      ),
  )
  def test_mistakes(self, change, message):
    self.group('A', _A[:2])
    self.group('B', _B[:2])
    change(self)
    err = self.compare(code=2)
    self.assertIn(message, err)
    self.assertEqual(err.count('\n'), 1, err)

  def test_more_mistakes(self):
    self.group('A', _A[:3])
    err = self.compare(code=2, with_='A_[12]')
    self.assertIn('is in both groups', err)
    self.group('B', _B[:2])
    err = self.compare('--metric=test_acuracy', code=2)
    self.assertIn('not all runs have it; they have ', err)
    self.assertIn('test_accuracy', err)
    self.assertIn('train_seconds', err)
    self.assertIn('no such run', runs.call('compare', '--runs=/nowhere').err)
    self.assertIn('--with is missing', self.compare('--with=', code=2))


@absltest.skipIf(
    small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
)
class FashionMnistTest(absltest.TestCase):

  @pytest.mark.slow
  def test_equal_recipes_are_not_told_apart_and_others_are(self):
    """Five seeds each, of 200 steps."""
    root = pathlib.Path(runs.scratch(self))
    for name, first in (('mlp', 0), ('mlp_again', 5), ('convnet', 0)):
      for seed in range(first, first + 5):
        ended = runs.train(
            root / f'{name}.{seed}',
            data=str(sets.folder() / 'data'),
            archives_dir=small_datasets.FASHION_MNIST_DIR,
            dataset='fashion_mnist',
            validation_examples=None,
            model=name.partition('_')[0],
            model_arg={},
            learning_rate=0.001,
            global_batch_size=128,
            num_steps=200,
            seed=seed,
            checkpoint_every_steps=None,
        )
        self.assertEqual(ended.code, 0, ended)

    def compare(*names):
      ended = runs.call(
          'compare',
          *(
              f'--{flag}={root}/{name}.*'
              for flag, name in zip(('runs', 'with'), names)
          ),
      )
      self.assertEqual(ended.code, 0, ended)
      return ended.out

    same = compare('mlp', 'mlp_again')
    self.assertIn('they differ in no flag', same)
    self.assertIn('no difference shown', same)
    other = compare('mlp', 'convnet')
    self.assertIn('they differ in --model: mlp and convnet', other)
    self.assertRegex(other, r'/convnet\.\* is better than .*/mlp\.\* by 0\.\d+')


if __name__ == '__main__':
  absltest.main()
