"""Tests of launch/recipes: each is a run that the program takes."""

from __future__ import annotations

import dataclasses
import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from core import precision
from launch import data as data_lib
from launch import experiment as experiment_lib
from launch import training_program
from pipelines import spec as spec_lib
from tests.launch import runs

_RECIPES = sorted((runs.ROOT / 'launch' / 'recipes').glob('*.flags'))
# Arguments that leave little of each model that a recipe has.
_SMALL = {
    'convnet': ('channels=4', 'hidden_size=8'),
    'mlp': ('hidden_sizes=8',),
    'resnet': ('blocks_per_stage=1', 'channels=4', 'width=1'),
    'speednet': ('channels=4,6',),
}


class RecipesTest(parameterized.TestCase):

  def test_there_are_some(self):
    self.assertContainsSubset(
        ['fashion_mnist_convnet', 'fashion_mnist_mlp'],
        [path.stem for path in _RECIPES],
    )

  @parameterized.named_parameters((path.stem, path) for path in _RECIPES)
  def test_starts_when_its_model_and_data_are_small(self, path):
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    with mock.patch.object(training_program, 'run', return_value=0) as run:
      runs.call('train', f'--flagfile={path}')
    [config] = run.call_args.args
    ended = runs.call(
        'train',
        f'--flagfile={path}',
        f'--workdir={workdir}',
        f'--data_dir={runs.data_dir()}',
        '--dataset=tiny_shapes',
        f'--validation_examples={runs.NUM_VALIDATION}',
        f'--global_batch_size={runs.BATCH_SIZE}',
        '--num_steps=2',
        *(f'--model_arg={argument}' for argument in _SMALL[config.model]),
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(runs.result(workdir)['num_steps'], 2)
    self.assertLess(runs.result(workdir)['num_parameters'], 20_000)

  @parameterized.named_parameters((path.stem, path) for path in _RECIPES)
  def test_flags_and_names(self, path):
    with mock.patch.object(training_program, 'run', return_value=0) as run:
      ended = runs.call('train', f'--flagfile={path}')
    self.assertEqual((ended.code, ended.err), (0, ''))
    [config] = run.call_args.args
    self.assertEqual(config.workdir, f'runs/{path.stem}')
    shape = (32, 32, 3) if 'cifar' in config.dataset else (28, 28, 1)
    data = data_lib.DataSpec(
        spec_lib.of_images(shape, '0123456789'), {'train': 55_000}
    )
    # As the program does, once it knows its devices.
    config = dataclasses.replace(
        config, precision=precision.choose(config.precision)
    )
    experiment_lib.check_names(config)
    experiment_lib.Experiment(config, data, 55_000 // config.global_batch_size)

  @parameterized.named_parameters((path.stem, path) for path in _RECIPES)
  def test_header(self, path):
    """The command, the machine, and what was seen or that nothing was.

    What was seen is the time, and the accuracy over seeds. Where nothing was
    there is the command to measure it, and what is expected on whose word.
    """
    lines = path.read_text().splitlines()
    size = next(i for i, line in enumerate(lines) if not line.startswith('#'))
    header = '\n'.join(lines[:size])
    self.assertIn(
        f'python -m launch.train --flagfile=launch/recipes/{path.name}', header
    )
    self.assertRegex(header, r'(?i)\b(cores?|CPU|GPU)')
    if '\n# Not measured yet, ' in header:
      self.assertNotIn('Measured on', header)
      self.assertIn('Not measured yet, as no GPU was available.', header)
      self.assertRegex(header, r'for seed in 0( \d)+;')
      self.assertIn(f'recipe={path.stem};', header)
      self.assertRegex(header, r'# Expected: about 0\.\d{3}(.|\n)*https://')
    else:
      self.assertIn('\n# Measured on ', header)
      self.assertRegex(header, r'(?i)\d (s|seconds|min|minutes|h|hours)\b')
      self.assertRegex(header, r'0\.\d{3}.*seeds|seeds(.|\n)*0\.\d{3}')
    for line in lines:
      self.assertLessEqual(len(line), 80, line)


if __name__ == '__main__':
  absltest.main()
