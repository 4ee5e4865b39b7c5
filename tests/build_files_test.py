"""Tests of the BUILD files, and of what writes them."""

from __future__ import annotations

import contextlib
import io
import pathlib
import tempfile

from absl.testing import absltest

from tests import build_files

_FILES = {
    'core/__init__.py': '',
    'core/checks.py': 'import tensorflow as tf\n',
    'core/losses/__init__.py': 'from .margins import hinge, squared\n',
    'core/losses/margins.py': 'from .. import checks\nfrom . import numerics\n',
    'core/losses/numerics.py': 'import random\nfrom collections import abc\n',
    'tests/cases.py': 'from core.losses import hinge\n',
    'tests/core/losses/margins_test.py': (
        'import pytest\nimport core.checks\n'
        'from core import losses\nfrom tests import cases\n'
        '@pytest.mark.slow\ndef test_it():\n  from core.losses import margins\n'
    ),
}

_LOSSES = """load("@rules_python//python:defs.bzl", "py_library")

package(default_visibility = ["//visibility:public"])

py_library(
    name = "losses",
    srcs = ["__init__.py"],
    deps = [":margins"],
)

py_library(
    name = "margins",
    srcs = ["margins.py"],
    deps = [
        ":numerics",
        "//core:checks",
    ],
)

py_library(
    name = "numerics",
    srcs = ["numerics.py"],
)
"""

_TEST = """
py_test(
    name = "margins_test",
    size = "large",
    srcs = ["margins_test.py"],
    tags = ["slow"],
    deps = [
        "//core:checks",
        "//core/losses",
        "//core/losses:margins",
        "//tests:cases",
    ],
)
"""

_CASES = """
py_library(
    name = "cases",
    testonly = True,
    srcs = ["cases.py"],
    deps = ["//core/losses"],
)
"""


class BuildFilesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory())
    )
    for name, text in _FILES.items():
      self.add(name, text)

  def add(self, name: str, text: str) -> None:
    (self.root / name).parent.mkdir(parents=True, exist_ok=True)
    (self.root / name).write_text(text)

  def test_targets_and_what_they_depend_on(self):
    files = build_files.build_files(self.root)
    self.assertEndsWith(files['core/losses/BUILD'], f'\n\n{_LOSSES}')
    self.assertEndsWith(files['tests/core/losses/BUILD'], _TEST)
    self.assertEndsWith(files['tests/BUILD'], _CASES)

  def test_written_files_differ_in_nothing(self):
    self.assertIn('+    name = "margins",', build_files.differences(self.root))
    build_files.write(self.root)
    self.assertEqual(build_files.differences(self.root), '')

  def test_a_new_import_and_a_forgotten_file_are_differences(self):
    build_files.write(self.root)
    self.add('core/losses/numerics.py', 'from .. import checks\n')
    self.assertIn('+    deps = ["//core:checks"]', build_files.differences(
        self.root))
    self.add('core/losses/numerics.py', '')
    self.add('core/metrics/BUILD', 'py_library(\n')
    self.assertIn('-py_library(', build_files.differences(self.root))
    build_files.write(self.root)
    self.assertEqual(build_files.differences(self.root), '')

  def test_imports_in_a_circle_are_refused(self):
    self.add('core/checks.py', 'from .losses import margins\n')
    with self.assertRaisesRegex(ValueError, 'circle: .*core/checks.py'):
      build_files.build_files(self.root)

  def test_two_targets_of_one_name_are_refused(self):
    self.add('core/losses/losses.py', '')
    with self.assertRaisesRegex(ValueError, 'name of its folder'):
      build_files.build_files(self.root)

  def test_the_repository(self):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
      code = build_files.main([])
    self.assertEqual(code, 0, output.getvalue())

  def test_tables_name_what_there_is(self):
    sources = build_files.dependencies()
    named = [
        *build_files.DATA,
        *build_files.COMPUTED_IMPORTS,
        *build_files.CHECKOUT_TESTS,
    ]
    self.assertEmpty(set(named) - sources.keys())


if __name__ == '__main__':
  absltest.main()
