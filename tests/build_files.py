"""Writes and checks the BUILD files: a library or a test for each module.

  python -m tests.build_files           # Checks: exit code 1 where they differ.
  python -m tests.build_files --write   # Writes them, as buildifier would.

A target depends on what its file imports, and on nothing else. What can not be
read off the imports stands in the tables below.
"""

from __future__ import annotations

import ast
import difflib
import graphlib
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_PACKAGES = ('core', 'pipelines', 'launch', 'tests')

# Files beside the modules, by folder: the name of a group, and its patterns.
FILE_GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    'launch': {'recipes': ('recipes/**',)},
    'launch/cluster': {'scripts': ('*.sbatch',)},
    'launch/web': {'html': ('*.html',)},
    'tests/launch': {'golden': ('golden/**',)},
}
# Files that a target reads.
DATA: dict[str, tuple[str, ...]] = {
    'launch/train.py': ('//launch:recipes',),
    'launch/web/page.py': ('//launch/web:html',),
    'tests/benchmarks/environments.py': ('//:requirements-benchmark.txt',),
    'tests/launch/cluster/sbatch_test.py': ('//launch/cluster:scripts',),
    'tests/launch/golden_test.py': ('//tests/launch:golden',),
    'tests/readme.py': ('//:README.md',),
    'tests/wheel_test.py': (
        '//:pyproject.toml', '//:requirements-test.txt', '//:requirements.txt',
        '//:setup.py',
    ),
}
# Packages whose modules a file imports by names that it computes.
COMPUTED_IMPORTS: dict[str, tuple[str, ...]] = {
    'tests/core/doctest_test.py': ('core', 'pipelines'),
    'tests/faults/processes.py': ('launch',),
    'tests/launch/runs.py': ('launch',),
}
# Tests of the checkout itself: run by name only, since Bazel shows them a part.
CHECKOUT_TESTS = (
    'tests/benchmarks/driver_test.py',
    'tests/build_files_test.py',
    'tests/docs_architecture_test.py',
    'tests/docs_guides_test.py',
    'tests/docs_pages_test.py',
    'tests/docs_test.py',
    'tests/docs_tutorial_test.py',
    'tests/run_sh_test.py',
    'tests/tree_test.py',
    'tests/wheel_test.py',
)

_HEADER = """# Written by `python -m tests.build_files --write`; do not edit.
# Packages from requirements.txt come with the Python that runs the targets.
"""

Value = str | bool | list[str]


def _imported(path: pathlib.Path, root: pathlib.Path) -> Iterator[str]:
  """Yields the dotted names that a file imports, the most specific first."""
  package = path.relative_to(root).parts[:-1]
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) - node.level + 1] if node.level else ()
      module = '.'.join([*base, *(node.module or '').split('.')]).strip('.')
      yield from (f'{module}.{alias.name}' for alias in node.names)


def _source_of(name: str, root: pathlib.Path) -> str | None:
  """Returns the file of a module, or of the module that holds a name."""
  parts = name.split('.')
  for length in (len(parts), len(parts) - 1):
    path = '/'.join(parts[:length])
    for source in (f'{path}.py', f'{path}/__init__.py'):
      if length and (root / source).is_file():
        return source
  return None


def _label(source: str) -> str:
  """Returns the label of a source; a folder's `__init__` has its name."""
  folder, _, name = source.rpartition('/')
  stem = name.removesuffix('.py')
  return f'//{folder}:{folder.split("/")[-1] if stem == "__init__" else stem}'


def _short(label: str, folder: str) -> str:
  """Writes a label as buildifier does in the BUILD file of a folder."""
  package, _, name = label.partition(':')
  if package == f'//{folder}':
    return f':{name}'
  return package if package.split('/')[-1] == name else label


def _sorted(labels: Iterable[str], folder: str) -> list[str]:
  short = {_short(label, folder) for label in labels}
  return sorted(short, key=lambda label: (label[0] != ':', label.split(':')))


def _rule(kind: str, attributes: Mapping[str, Value]) -> str:
  lines = [f'{kind}(']
  for name, value in attributes.items():
    if isinstance(value, list):
      quoted = [f'"{item}"' for item in value]
      if len(quoted) == 1:
        lines.append(f'    {name} = [{quoted[0]}],')
      elif quoted:
        lines.append(f'    {name} = [')
        lines += [f'        {item},' for item in quoted]
        lines.append('    ],')
    else:
      text = str(value) if isinstance(value, bool) else f'"{value}"'
      lines.append(f'    {name} = {text},')
  return '\n'.join([*lines, ')\n'])


def _group(name: str, patterns: Iterable[str]) -> str:
  inner = ', '.join(f'"{pattern}"' for pattern in patterns)
  return f'filegroup(\n    name = "{name}",\n    srcs = glob([{inner}]),\n)\n'


def dependencies(root: pathlib.Path = _ROOT) -> dict[str, set[str]]:
  """Returns the files that each file of the packages imports.

  Args:
    root: The folder of the packages.

  Returns:
    Paths from `root` with slashes, by path.

  Raises:
    ValueError: If files import each other in a circle, or two targets of a
      folder would have one name.
  """
  sources = sorted(
      path.relative_to(root).as_posix()
      for package in _PACKAGES
      for path in (root / package).rglob('*.py')
  )
  if len({_label(source) for source in sources}) < len(sources):
    raise ValueError('A module has the name of its folder: rename it.')
  computed = {
      source: [s for s in sources if s.split('/')[0] in packages]
      for source, packages in COMPUTED_IMPORTS.items()
  }
  imports = {}
  for source in sources:
    found = {_source_of(name, root) for name in _imported(root / source, root)}
    found.update(computed.get(source, ()))
    imports[source] = {each for each in found - {source} if each}
  try:
    graphlib.TopologicalSorter(imports).prepare()
  except graphlib.CycleError as error:
    circle = ' < '.join(error.args[1])
    raise ValueError(f'Imports in a circle: {circle}') from None
  return imports


def _target(source: str, imports: set[str], root: pathlib.Path) -> str:
  folder = source.rpartition('/')[0]
  is_test = source.endswith('_test.py')
  is_slow = is_test and 'pytest.mark.slow' in (root / source).read_text()
  attributes: dict[str, Value] = {'name': _label(source).partition(':')[2]}
  if is_slow:
    attributes['size'] = 'large'
  if folder.startswith('tests') and not is_test:
    attributes['testonly'] = True
  attributes['srcs'] = [source.rpartition('/')[2]]
  attributes['data'] = _sorted(DATA.get(source, ()), folder)
  tags = ['manual'] * (source in CHECKOUT_TESTS) + ['slow'] * is_slow
  attributes['tags'] = tags
  attributes['deps'] = _sorted(map(_label, imports), folder)
  return _rule('py_test' if is_test else 'py_library', attributes)


def build_files(root: pathlib.Path = _ROOT) -> dict[str, str]:
  """Returns what the BUILD files should hold.

  Args:
    root: The folder of the packages.

  Returns:
    The text of each BUILD file, by its path from `root` with slashes.
  """
  imports = dependencies(root)
  folders: dict[str, list[str]] = {}
  for source in imports:
    folders.setdefault(source.rpartition('/')[0], []).append(source)
  files = {}
  for folder, sources in sorted(folders.items()):
    groups = FILE_GROUPS.get(folder, {})
    rules = [_group(name, patterns) for name, patterns in groups.items()]
    rules += [_target(source, imports[source], root) for source in sources]
    kinds = sorted({rule.split('(')[0] for rule in rules} - {'filegroup'})
    loads = ', '.join(f'"{kind}"' for kind in kinds)
    files[f'{folder}/BUILD'] = '\n'.join([
        _HEADER,
        f'load("@rules_python//python:defs.bzl", {loads})\n',
        'package(default_visibility = ["//visibility:public"])\n',
        *rules,
    ])
  exported = {label for labels in DATA.values() for label in labels}
  names = sorted(label[3:] for label in exported if label.startswith('//:'))
  quoted = ''.join(f'    "{name}",\n' for name in names)
  files['BUILD'] = f'{_HEADER}\nexports_files([\n{quoted}])\n'
  return files


def _present(root: pathlib.Path) -> dict[str, str]:
  """Returns the BUILD files that there are, but for Bazel 4's stand-ins."""
  paths = [path for name in _PACKAGES for path in (root / name).rglob('BUILD')]
  return {
      path.relative_to(root).as_posix(): path.read_text()
      for path in [*paths, root / 'BUILD']
      if path.is_file() and 'bazel4' not in path.parts
  }


def differences(root: pathlib.Path = _ROOT) -> str:
  """Returns how the BUILD files differ from what they should be, as a diff.

  Args:
    root: The folder of the packages.

  Returns:
    A unified diff; empty if the files are right.
  """
  expected = build_files(root)
  present = _present(root)
  return ''.join(
      line
      for name in sorted(expected.keys() | present.keys())
      for line in difflib.unified_diff(
          present.get(name, '').splitlines(keepends=True),
          expected.get(name, '').splitlines(keepends=True),
          name,
          f'{name} (right)',
      )
  )


def write(root: pathlib.Path = _ROOT) -> None:
  """Writes the BUILD files.

  Args:
    root: The folder of the packages.
  """
  files = build_files(root)
  for name in _present(root).keys() - files.keys():
    (root / name).unlink()
  for name, text in files.items():
    (root / name).write_text(text)


def main(arguments: list[str]) -> int:
  """Checks or writes the BUILD files of this checkout.

  Args:
    arguments: Of the command line; `--write` or none.

  Returns:
    The exit code.
  """
  try:
    if arguments == ['--write']:
      write()
    difference = differences()
  except ValueError as error:
    difference = f'{error}\n'
  if difference:
    print(difference, end='')
    print('Mend this with: python -m tests.build_files --write')
  return int(bool(difference))


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
