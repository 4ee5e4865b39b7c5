"""Runs the examples in the docstrings of core and of pipelines."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import types

from absl.testing import absltest, parameterized

import core
import pipelines

_FEWEST_EXAMPLES = 100


def _modules(package: types.ModuleType) -> list[str]:
  found = pkgutil.walk_packages(package.__path__, f'{package.__name__}.')
  return [package.__name__, *(module.name for module in found)]


class DoctestTest(parameterized.TestCase):

  @parameterized.parameters(*_modules(core), *_modules(pipelines))
  def test_examples(self, name):
    report = []
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(module):
      runner.run(test, out=report.append)
    results = runner.summarize(verbose=False)
    self.assertEqual(results.failed, 0, ''.join(report))

  def test_examples_are_found(self):
    """Counts by the sources, so that it does not depend on other tests."""
    found = sum(
        len(test.examples)
        for name in _modules(core) + _modules(pipelines)
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    self.assertGreater(found, _FEWEST_EXAMPLES)


if __name__ == '__main__':
  absltest.main()
