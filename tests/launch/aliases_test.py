"""Tests of launch.aliases: one module under the names of wheel and checkout."""

from __future__ import annotations

import importlib
import pathlib
import sys

from absl.testing import absltest, parameterized

import launch
from core import losses
from launch import about, parts
from tests.launch import runs

_CODE = """
import quatrain.core.losses.regression
from quatrain import launch
from quatrain.core import losses, metrics
from quatrain.pipelines.sources import csv_files


def mine(labels, predictions):
  return losses.huber_loss(labels, predictions)
"""


class AliasesTest(parameterized.TestCase):

  @parameterized.parameters(
      'core',
      'core.losses',
      'core.losses.regression',
      'core.metrics',
      'pipelines.sources.csv_files',
      'launch',
      'launch.tasks',
      'launch.config',
  )
  def test_both_names_are_of_one_module(self, name):
    module = importlib.import_module(f'quatrain.{name}')
    self.assertIs(module, importlib.import_module(name))
    self.assertEqual(module.__name__, name)
    self.assertEqual(module.__spec__.name, name)

  def test_the_package_that_holds_them_has_a_version(self):
    self.assertEqual(
        importlib.import_module('quatrain').__version__, about.version()
    )

  def test_a_file_of_parts_may_have_the_names_of_the_wheel(self):
    path = pathlib.Path(runs.scratch(self)) / 'parts_of_both.py'
    path.write_text(_CODE)
    module = sys.modules[parts.find('loss', f'{path}:mine').__module__]
    self.assertIs(module.losses, losses)
    self.assertIs(module.launch, launch)
    files = [
        each.__file__
        for name, each in list(sys.modules.items())
        if name.partition('.')[0] in ('core', 'pipelines', 'launch', 'quatrain')
        and getattr(each, '__file__', None)
    ]
    loaded = {
        id(each)
        for name, each in list(sys.modules.items())
        if getattr(each, '__file__', None) in files
    }
    self.assertLen(loaded, len(set(files)))

  @parameterized.parameters('quatrain.cores', 'quatrain.core.none')
  def test_other_names_are_not_found(self, name):
    with self.assertRaises(ModuleNotFoundError) as context:
      importlib.import_module(name)
    self.assertEqual(context.exception.name, name)


if __name__ == '__main__':
  absltest.main()
