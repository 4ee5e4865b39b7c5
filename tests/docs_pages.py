"""Makes the reference pages of docs/ from the docstrings, or checks them.

  python -m tests.docs_pages --write

Without --write nothing is written: the differences are shown, and the exit code
is 1 if there are any. A page is a package of `core`; one page holds the modules
beside them, one those of `pipelines`, and docs/README.md is the table of
everything. A name appears by being public: in a package's `__all__`, or without
a leading underscore. Sources are read, not imported.
"""

from __future__ import annotations

import ast
import difflib
import functools
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests import docs_files, docs_text

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / 'docs'
COMMAND = 'python -m tests.docs_pages --write'
# Helpers of the packages themselves, which a user has no call for.
INTERNAL = (
    'core/belonging.py',
    'core/checkpoint_contents.py',
    'core/checkpoint_errors.py',
    'core/checkpoint_files.py',
    'core/checkpoint_manifests.py',
    'core/checks.py',
    'core/hidden_variables.py',
    'core/measuring.py',
    'core/micro_batches.py',
    'core/rows.py',
    'core/scratch.py',
    'core/tracing.py',
    'core/train_state.py',
    'core/updating.py',
    'pipelines/archives.py',
    'pipelines/decoding.py',
    'pipelines/diagnosis.py',
    'pipelines/errors.py',
    'pipelines/files.py',
    'pipelines/image_files.py',
    'pipelines/images.py',
    'pipelines/labels.py',
    'pipelines/manifests.py',
    'pipelines/parts.py',
    'pipelines/preparation.py',
    'pipelines/records.py',
    'pipelines/stores.py',
)
# Written by tests/benchmarks/report.py and tests/faults, where somebody ran
# them: title and text by name.
MEASURED = {
    'export_formats.md': (
        'Exports of every model', 'how far each is from its model, by format'
    ),
    'performance.md': (
        'Performance', 'how fast training is, beside its peers on the same work'
    ),
    'performance_avx2.md': ('Performance', 'the same on a CPU with AVX2 alone'),
    'performance_floor.md': (
        'Performance', 'what of a step is products and convolutions'
    ),
    'reliability.md': (
        'Reliability', 'what was done to runs, and how many bits were lost'
    ),
}
_NOTE = f'<!-- Made from the docstrings by `{COMMAND}`. -->\n'


class Module(NamedTuple):
  """A source file: its text, its docstring and what it defines."""

  path: pathlib.Path
  lines: list[str]
  doc: str
  nodes: dict[str, ast.AST]


class Member(NamedTuple):
  """A public name: as users write it, as its page heads it, and its source."""

  name: str
  heading: str
  module: Module
  node: ast.AST


class Page(NamedTuple):
  """A page: its file's stem, the module it is about, its members in order."""

  stem: str
  about: str
  title: str
  members: list[Member]


@functools.cache
def load(path: pathlib.Path) -> Module:
  """Parses a file; imported names map to the import that brings them."""
  text = path.read_text()
  tree = ast.parse(text)
  nodes: dict[str, ast.AST] = {}
  for node in tree.body:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
      nodes[node.name] = node
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
      targets = node.targets if isinstance(node, ast.Assign) else [node.target]
      nodes.update({t.id: node for t in targets if isinstance(t, ast.Name)})
    elif isinstance(node, ast.ImportFrom) and node.level:
      nodes.update({alias.asname or alias.name: node for alias in node.names})
  return Module(path, text.splitlines(), ast.get_docstring(tree) or '', nodes)


def resolve(module: Module, name: str) -> tuple[Module, ast.AST]:
  """Follows imports and assignments of names to the definition."""
  node = module.nodes[name]
  if isinstance(node, ast.ImportFrom):
    return resolve(_imported(module, node, node.module), _original(node, name))
  value = getattr(node, 'value', None)
  if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
    source = module.nodes.get(value.value.id)
    if isinstance(source, ast.ImportFrom):
      stem = _original(source, value.value.id)
      return resolve(_imported(module, source, stem), value.attr)
  return module, node


def _original(node: ast.ImportFrom, name: str) -> str:
  return next(a.name for a in node.names if (a.asname or a.name) == name)


def _imported(module: Module, node: ast.ImportFrom, name: str | None) -> Module:
  path = module.path.parents[node.level - 1] / (name or '').replace('.', '/')
  path = path / '__init__' if path.is_dir() else path
  return load(path.with_suffix('.py'))


def public(module: Module) -> list[str]:
  """Lists the public names: `__all__`, or what is defined without a `_`."""
  if '__all__' in module.nodes:
    return list(ast.literal_eval(module.nodes['__all__'].value))
  return [
      name
      for name, node in module.nodes.items()
      if not name.startswith('_') and not isinstance(node, ast.ImportFrom)
  ]


def package_page(folder: pathlib.Path) -> Page:
  """Makes the page of a package: by `__all__`, else with its modules' names."""
  module = load(folder / '__init__.py')
  names = public(module)
  members = []
  for name in names:
    full = f'{folder.name}.{name}'
    # Addresses know no capitals: `Collection` would be `collection`.
    is_taken = name != name.lower() and name.lower() in names
    heading = full if is_taken else name
    members.append(Member(full, heading, *resolve(module, name)))
  if '__all__' not in module.nodes:
    known = {id(member.node) for member in members}
    members += [
        member
        for member in _of_modules(folder, folder.name + '.')
        if id(member.node) not in known
    ]
  # What is defined in one file stands together, in the order of the files.
  members.sort(key=lambda member: _group_key(module, member))
  title = folder.name.capitalize()
  return Page(folder.name, f'core.{folder.name}', title, members)


def _group_key(package: Module, member: Member) -> tuple[bool, str]:
  return member.module is not package, member.module.path.stem


def _of_modules(folder: pathlib.Path, prefix: str = '') -> list[Member]:
  """Lists the public members of a folder's modules."""
  paths = [
      path
      for path in sorted(folder.glob('*.py'))
      if path.stem != '__init__'
      and path.relative_to(ROOT).as_posix() not in INTERNAL
  ]
  return [
      Member(
          f'{prefix}{path.stem}.{name}',
          f'{path.stem}.{name}',
          *resolve(load(path), name),
      )
      for path in paths
      for name in public(load(path))
  ]


def pages() -> list[Page]:
  """Lists all pages of the reference."""
  packages = sorted((ROOT / 'core').glob('*/__init__.py'))
  training = _of_modules(ROOT / 'core')
  # The steps first: who reads on needs them to see what the rest is for.
  first = ('training', 'objectives', 'distribution', 'checkpoints')
  order = [*first, *sorted({m.name.split('.')[0] for m in training})]
  training.sort(key=lambda member: order.index(member.name.split('.')[0]))
  pipelines = [
      *_of_modules(ROOT / 'pipelines'),
      *package_page(ROOT / 'pipelines' / 'sources').members,
  ]
  return [
      *(package_page(path.parent) for path in packages),
      Page('training', 'core', 'Training', training),
      Page('pipelines', 'pipelines', 'Pipelines', pipelines),
  ]


def addresses(all_pages: list[Page]) -> dict[str, str]:
  """Maps each member's name to its address."""
  result = {}
  for page in all_pages:
    for member in page.members:
      anchor = docs_text.anchor(member.heading)
      result[member.name] = f'{page.stem}.md#{anchor}'
  return result


def write_page(page: Page, links: Mapping[str, str]) -> str:
  """Writes a page: the table, then each member."""

  def render(text: str, scope: str) -> docs_text.Renderer:
    return docs_text.Renderer(text, links, f'{page.stem}.md', scope)

  about = load(_file_of(page.about))
  parts = [_NOTE, f'# {page.title}\n', *render(about.doc, page.stem).all()]
  parts.append(
      _import_note(page) + ' The examples take `import tensorflow as tf` for '
      'granted.\n'
  )
  parts.append(_table(page.members, links, f'{page.stem}.md'))
  group = None
  for member in page.members:
    scope = member.name.rpartition('.')[0]
    if member.module.path != group:
      group = member.module.path
      if member.module is not about:
        title, _, rest = member.module.doc.partition('\n')
        parts += [f'## {title.rstrip(".")}\n', *render(rest, scope).all()]
    parts.append(f'### {member.heading}\n')
    documents = docs_text.documents(member.node, member.module.lines)
    for text, signature in documents:
      if signature:
        parts.append(f'```text\n{signature}\n```\n')
      parts += render(text, scope).all()
  return '\n'.join(parts)


def _file_of(name: str) -> pathlib.Path:
  return ROOT.joinpath(*name.split('.')) / '__init__.py'


def _import_note(page: Page) -> str:
  package, _, name = page.about.rpartition('.')
  package = package or page.about
  name = name if '.' in page.about else page.members[0].name.split('.')[0]
  return (
      f'`from {package} import {name}` in a checkout, '
      f'`from quatrain.{package} import {name}` where the wheel is installed.'
  )


def _table(members: list[Member], links: Mapping[str, str], page: str) -> str:
  rows = ['| name | |', '|---|---|']
  for member in sorted(members, key=lambda m: m.heading.lower()):
    address = links[member.name].removeprefix(page)
    text = docs_text.summary(member.node, member.module.lines)
    scope = member.name.rpartition('.')[0]
    line = docs_text.Renderer(text, links, page, scope).line()
    line = line.replace('|', r'\|')
    rows.append(f'| [`{member.heading}`]({address}) | {line} |')
  return '\n'.join(rows) + '\n'


def write_index(all_pages: list[Page], links: Mapping[str, str]) -> str:
  """Writes docs/README.md: tutorial, guides, and the table of everything."""
  parts = [_NOTE, '# Documentation\n']
  for path in sorted(
      docs_files.GUIDES, key=lambda path: 'tutorial' not in path.name
  ):
    title, text = path.read_text().split('\n\n')[:2]
    text = ' '.join(text.split())
    parts.append(f'- [{title.removeprefix("# ")}]({path.name}): {text}')
  parts += [
      f'- [{title}]({name}): {text}.'
      for name, (title, text) in MEASURED.items()
      if (DOCS / name).exists()
  ]
  parts.append('\nThe reference, made from the docstrings:\n')
  for page in all_pages:
    parts += [
        f'## {page.title}\n',
        f'[{page.stem}.md]({page.stem}.md): '
        f'{load(_file_of(page.about)).doc.splitlines()[0]}\n',
        _table(page.members, links, 'README.md'),
    ]
  return '\n'.join(parts)


def build() -> dict[str, str]:
  """Returns the text of every page by the name of its file."""
  all_pages = pages()
  links = addresses(all_pages)
  files = {f'{page.stem}.md': write_page(page, links) for page in all_pages}
  return {**files, 'README.md': write_index(all_pages, links)}


def differences() -> Iterator[str]:
  """Compares the files with what they should be; yields lines of a diff."""
  wanted = build()
  guides = {path.name for path in docs_files.GUIDES}
  found = {path.name for path in DOCS.glob('*.md')}
  for name in sorted(found - wanted.keys()):
    if name not in guides and name not in MEASURED:
      yield f'docs/{name}: of no package any more; delete it.'
  for name, text in wanted.items():
    path = DOCS / name
    old = path.read_text() if path.exists() else ''
    yield from difflib.unified_diff(
        old.splitlines(), text.splitlines(), f'docs/{name}', 'docstrings',
        lineterm='', n=1,
    )


def main(args: list[str]) -> int:
  """Writes the pages, or checks them; returns the exit code."""
  if args == ['--write']:
    DOCS.mkdir(exist_ok=True)
    for name, text in build().items():
      (DOCS / name).write_text(text)
    return 0
  lines = list(differences())
  if lines:
    print('\n'.join([*lines, f'docs/ is out of date; run: {COMMAND}']))
  return 1 if lines or args else 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
