"""Tests of launch.lookup.imports.

Covers: code_files.
"""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import sys

from absl.testing import absltest, parameterized

from launch.lookup import code_files, imports
from tests.launch import runs

_NAMES = ('mine_a', 'mine_b', 'mine_pkg', 'mine_pkg.inner', 'mine_pkg.other')


class ImportsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self)).resolve()
    self.enter_context(contextlib.chdir(self.root))
    self.addCleanup(runs.forget, *_NAMES)
    path = list(sys.path)
    self.addCleanup(lambda: sys.path.__setitem__(slice(None), path))

  def write(self, name, text):
    path = self.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

  def test_once_whatever_it_is_called(self):
    path = self.write('mine_a.py', 'items = []')
    module = imports.module_of('mine_a')
    for name in ('mine_a.py', './mine_a.py', str(path), 'mine_a'):
      self.assertIs(imports.module_of(name), module)
    self.assertEqual(module.__name__, 'mine_a')

  def test_a_file_of_a_package_has_its_dotted_name(self):
    self.write('mine_pkg/__init__.py', '')
    self.write('mine_pkg/other.py', 'x = 1')
    self.write('mine_pkg/inner.py', 'from . import other\nfrom .other import x')
    module = imports.module_of('mine_pkg/inner.py')
    self.assertEqual(module.__name__, 'mine_pkg.inner')
    self.assertIs(imports.module_of('mine_pkg.inner'), module)
    self.assertEqual(
        set(code_files.sources(module)),
        {'mine_pkg', 'mine_pkg.inner', 'mine_pkg.other'},
    )

  def test_a_name_that_another_module_has(self):
    import numpy

    self.write('numpy.py', 'mine = True')
    module = imports.module_of('numpy.py')
    self.assertTrue(module.mine)
    self.assertIs(sys.modules['numpy'], numpy)
    self.assertIs(imports.module_of('./numpy.py'), module)
    self.assertLen(code_files.sources(module), 1)

  def test_one_of_ours_is_the_one_that_is_loaded(self):
    for name in ('launch.lookup.imports', imports.__file__):
      self.assertIs(imports.module_of(name), imports)
    self.assertEmpty(code_files.sources(imports))

  def test_the_folder_stays_on_the_path_for_neighbours_alone(self):
    folder = self.root / 'alone'
    alone = self.write('alone/mine_a.py', 'import os, numpy')
    self.assertEqual(
        list(code_files.sources(imports.module_of(str(alone)))), ['mine_a']
    )
    self.assertNotIn(str(folder), sys.path)
    runs.forget('mine_a')
    self.write('two/mine_b.py', 'x = 2')
    two = self.write(
        'two/mine_a.py', 'def late():\n  import mine_b\n  return mine_b.x'
    )
    module = imports.module_of(str(two))
    self.assertEqual(module.late(), 2)
    self.assertEqual(sys.path[-1], str(self.root / 'two'))
    self.assertEqual(set(code_files.sources(module)), {'mine_a', 'mine_b'})

  def test_an_edited_file_is_read_again(self):
    path = self.write('mine_a.py', 'import mine_b\ny = 1 + mine_b.x')
    other = self.write('mine_b.py', 'x = 1')
    module = imports.module_of('mine_a')
    for text in ('x = 2', 'x = 3'):
      other.write_text(text)
      self.assertIs(imports.module_of('mine_a.py'), module)
      self.assertEqual(module.y, 1 + int(text[-1]))
      self.assertEqual(
          imports.digest(other), hashlib.sha256(text.encode()).hexdigest()
      )
    path.write_text('y = ')
    with self.assertRaisesRegex(imports.Mistake, 'mine_a.py, line 1: Syntax'):
      imports.module_of('mine_a')
    self.assertFalse((self.root / '__pycache__').exists())

  @parameterized.parameters(
      ('x = 1\nimport nowhere_at_all', 'line 2: ModuleNotFoundError: No mo'),
      ('x = 1\n\nx = 1 / 0', 'line 3: ZeroDivisionError: division by zero'),
      ('def f(:\n  pass', 'line 1: SyntaxError'),
      ('import sys\nsys.exit(3)', 'line 2: SystemExit: 3'),
      ('import mine_b', 'mine_b.py, line 2: NameError'),
  )
  def test_an_error_has_file_and_line(self, text, message):
    self.write('mine_a.py', text)
    self.write('mine_b.py', 'import os\nos = unknown')
    for name in ('mine_a', 'mine_a.py'):
      with self.assertRaisesRegex(imports.Mistake, message) as caught:
        imports.module_of(name)
      self.assertIn('mine_', str(caught.exception))
      self.assertNotIn('\n', str(caught.exception))
    self.assertNotIn('mine_a', sys.modules)


if __name__ == '__main__':
  absltest.main()
