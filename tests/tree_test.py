"""The rules that every file of the tree keeps."""

from __future__ import annotations

import ast
import functools
import graphlib
import pathlib
import re

import pytest
from absl.testing import absltest, parameterized

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_MOST_LINES = 400
_PACKAGES = ('core', 'pipelines', 'launch')
# What each package may not import.
_FORBIDDEN = {
    'core': ('pipelines', 'launch', 'tests', 'absl', 'quatrain'),
    'pipelines': ('core', 'launch', 'tests', 'absl.flags', 'quatrain'),
    'launch': ('tests', 'quatrain'),
}
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _sources(*packages: str) -> list[str]:
  return sorted(
      str(path.relative_to(_ROOT))
      for package in packages
      for path in (_ROOT / package).rglob('*.py')
  )


def _parse(source: str) -> ast.Module:
  return ast.parse((_ROOT / source).read_text())


def _absolute_imports(tree: ast.Module) -> list[str]:
  """Lists the modules, and the names in them, that are imported."""
  names = []
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names += [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
      names += [f'{node.module}.{alias.name}' for alias in node.names]
  return names


def _public(body: list[ast.stmt], kinds: type | tuple[type, ...]) -> list:
  return [
      node
      for node in body
      if isinstance(node, kinds) and not node.name.startswith('_')
  ]


def _arguments(function: ast.FunctionDef) -> list[str]:
  args = function.args
  names = [*args.posonlyargs, *args.args, *args.kwonlyargs]
  names += [each for each in (args.vararg, args.kwarg) if each]
  return [each.arg for each in names if each.arg not in ('self', 'cls')]


def _returns(function: ast.FunctionDef) -> bool:
  return bool(function.returns) and ast.unparse(function.returns) != 'None'


def _exported(source: str) -> set[str] | None:
  """Returns what its package exports of a module; None: it is public itself."""
  path = pathlib.Path(source)
  if path.parent.name in _PACKAGES or path.name == '__init__.py':
    return None
  return {
      alias.name
      for node in _parse(str(path.parent / '__init__.py')).body
      if isinstance(node, ast.ImportFrom) and node.module == path.stem
      for alias in node.names
  }


def _covered(directory: pathlib.Path) -> set[str]:
  """Collects the modules that tests of a directory say they cover."""
  names = set()
  package = directory.with_name(f'{directory.name}_test.py')
  for test in (*directory.glob('*_test.py'), package):
    if not test.exists():
      continue
    docstring = ast.get_docstring(ast.parse(test.read_text())) or ''
    match = re.search(r'(?s)Covers: (.+?)\.(?=\s|$)', docstring)
    names |= set(re.split(r',\s+', match[1])) if match else set()
  return names


@functools.cache
def _covered_by(library: str) -> set[str]:
  """Collects what all tests of a library say they cover."""
  folders = {path.parent for path in (_ROOT / 'tests' / library).rglob('*.py')}
  return set().union(*map(_covered, folders))


def _module_of(name: str) -> str | None:
  """Returns the file of a module, or of the module that holds a name."""
  for stem in (name, name.rpartition('.')[0]):
    path = stem.replace('.', '/')
    for source in (f'{path}.py', f'{path}/__init__.py'):
      if stem and (_ROOT / source).is_file():
        return source
  return None


def _imported(source: str) -> set[str]:
  """Collects the files of the tree that a file imports."""
  tree, package = _parse(source), pathlib.Path(source).parts[:-1]
  names = _absolute_imports(tree)
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom) and node.level:
      base = package[: len(package) - node.level + 1]
      module = '.'.join([*base, *filter(None, [node.module])])
      names += [f'{module}.{alias.name}' for alias in node.names]
  return {found for found in map(_module_of, names) if found} - {source}


class TreeTest(parameterized.TestCase):

  def test_no_file_imports_itself_by_way_of_others(self):
    imports = {source: _imported(source) for source in _sources(*_PACKAGES)}
    graphlib.TopologicalSorter(imports).prepare()  # Raises CycleError.

  @parameterized.parameters(*_sources(*_PACKAGES, 'tests'))
  def test_a_file_is_short(self, source):
    lines = (_ROOT / source).read_text().splitlines()
    self.assertLessEqual(len(lines), _MOST_LINES)
    for number, line in enumerate(lines, 1):
      if 'http' not in line:
        self.assertLessEqual(len(line), 80, f'{source}:{number}')

  @parameterized.parameters(*_sources(*_PACKAGES))
  def test_imports(self, source):
    package = source.split('/', 1)[0]
    tree = _parse(source)
    for name in _absolute_imports(tree):
      for forbidden in _FORBIDDEN[package]:
        self.assertFalse(
            f'{name}.'.startswith(f'{forbidden}.'), f'imports {name}'
        )
      if package != 'launch':
        self.assertFalse(
            f'{name}.'.startswith(f'{package}.'),
            f'{name}: imports inside a package are relative',
        )

  @parameterized.parameters(*_sources('tests'))
  def test_marks_of_pytest_are_of_each_case(self, source):
    """Above a decorator that makes several tests a mark would be lost."""
    for node in ast.walk(_parse(source)):
      if isinstance(node, _FUNCTION):
        names = [ast.unparse(each) for each in node.decorator_list]
        is_mark = [name.startswith('pytest.mark.') for name in names]
        is_maker = [name.startswith('parameterized.') for name in names]
        if any(is_mark) and any(is_maker):
          self.assertGreater(
              is_mark.index(True), is_maker.index(True), node.name
          )

  @parameterized.parameters(*_sources('core', 'pipelines'))
  def test_a_library_prints_nothing_and_is_finished(self, source):
    for node in ast.walk(_parse(source)):
      if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        self.assertNotEqual(node.func.id, 'print', f'line {node.lineno}')
      self.assertNotIsInstance(node, ast.Pass)
    self.assertNotRegex((_ROOT / source).read_text(), r'\b(TODO|FIXME|XXX)\b')

  @parameterized.parameters(*_sources(*_PACKAGES))
  @pytest.mark.medium
  def test_a_module_has_a_test(self, source):
    """`core/x.py` has `tests/core/x_test.py`; so has a package with code.

    A test of several modules of a package names them in its docstring, as in
    "Covers: accumulation, finiteness."; a test in another folder of the same
    library names it by the package as well, as in "Covers: files.locks."
    """
    path = pathlib.Path(source)
    if path.name == '__init__.py':
      if not any(isinstance(n, _FUNCTION) for n in _parse(source).body):
        return
      path = path.parent
    test = _ROOT / 'tests' / path.parent / f'{path.stem}_test.py'
    self.assertTrue(
        test.exists()
        or path.stem in _covered(test.parent)
        or f'{path.parent.name}.{path.stem}' in _covered_by(path.parts[0]),
        f'{source}: there is no {test.name}, and no test next to it covers it',
    )

  @parameterized.parameters(*_sources('tests'))
  def test_a_test_tests_something(self, source):
    if not source.endswith('_test.py'):
      return
    methods = [
        node.name
        for node in ast.walk(_parse(source))
        if isinstance(node, ast.FunctionDef)
    ]
    self.assertTrue(any(name.startswith('test_') for name in methods))
    self.assertIn('absltest.main()', (_ROOT / source).read_text())

  @parameterized.parameters(*_sources('core', 'pipelines'))
  def test_public_names_say_what_they_take_and_return(self, source):
    tree = _parse(source)
    exported = _exported(source)
    missing = [] if ast.get_docstring(tree) else ['the module has no docstring']
    for node in _public(tree.body, (*_FUNCTION, ast.ClassDef)):
      if not ast.get_docstring(node):
        missing.append(f'{node.name} has no docstring')
      if isinstance(node, ast.ClassDef):
        missing += [
            f'{node.name}.{method.name} has no docstring'
            for method in _public(node.body, _FUNCTION)
            if not ast.get_docstring(method)
        ]
      elif exported is None or node.name in exported:
        text = ast.get_docstring(node) or ''
        if _arguments(node) and 'Args:' not in text:
          missing.append(f'{node.name} has no Args:')
        if _returns(node) and not re.search('(Returns|Yields):', text):
          missing.append(f'{node.name} has no Returns:')
    self.assertEmpty(missing)


if __name__ == '__main__':
  absltest.main()
