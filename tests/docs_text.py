"""Turns docstrings and signatures into Markdown, for the pages of docs/."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping

_SECTIONS = {
    'Args': 'Arguments',
    'Attributes': 'Attributes',
    'Yields': 'Yields',
    'Returns': 'Returns',
    'Raises': 'Raises',
    'Reference': 'Reference',
    'Example': 'Example',
}
_SECTION = re.compile(rf'^({"|".join(_SECTIONS)}):$', re.MULTILINE)
_ITEM = re.compile(r'^(\*{0,2}[\w, ]+): ')
_INLINE = re.compile(
    r'``(?P<code>.+?)``'
    r'|:math:`(?P<math>.+?)`'
    r'|`(?:(?P<text>[^`<]+?) )?<(?P<url>[^`>]+)>`_+'
    r'|`(?P<name>[^`]+)`'
    r'|(?P<bare>https?://[^\s)>]*[\w/])'
)
# Markdown takes a backslash before punctuation for its own escape.
_TEX = {
    r'\,': r'\thinspace ', r'\;': r'\thickspace ', r'\!': r'\negthinspace ',
    r'\{': r'\lbrace ', r'\}': r'\rbrace ', r'\|': r'\Vert ', r'\\': r'\cr ',
}


def anchor(heading: str) -> str:
  """Returns the address of a heading on its page, as code hosts make it."""
  text = re.sub(r'[^\w\- ]', '', heading.lower())
  return text.replace(' ', '-')


class Renderer:
  """Renders one docstring.

  A name in single backquotes becomes a link if a page has it: as it is, or
  within the module of the docstring.
  """

  def __init__(
      self, text: str, links: Mapping[str, str], current: str, scope: str
  ):
    """Keeps a docstring, the addresses by name, the page and the module."""
    self._text = text.strip('\n')
    self._links = links
    self._current = current
    self._scope = scope

  def line(self) -> str:
    """Returns the docstring's first paragraph as one line, without links."""
    first = self._text.split('\n\n')[0]
    return re.sub(r'(?<!!)\[([^\]]+)\]\([^)]+\)', r'\1', self._inline(first))

  def all(self) -> Iterator[str]:
    """Yields the Markdown of the text and of each section."""
    text, *rest = _SECTION.split(self._text)
    yield from self._blocks(text)
    sections = list(zip(rest[::2], rest[1::2]))
    sections.sort(key=lambda section: list(_SECTIONS).index(section[0]))
    for name, body in sections:
      yield f'**{_SECTIONS[name]}**\n'
      body = textwrap.dedent(body.strip('\n'))
      if name == 'Example':
        language = 'pycon' if body.startswith('>>>') else 'text'
        yield f'```{language}\n{body.rstrip()}\n```\n'
      elif name in ('Args', 'Attributes', 'Raises'):
        yield '\n'.join(self._items(body)) + '\n'
      else:
        yield from self._blocks(body)

  def _items(self, body: str) -> Iterator[str]:
    for item in re.split(r'\n(?=\S)', body.strip()):
      match = _ITEM.match(item)
      if not match:
        yield f'- {self._inline(item)}'
      else:
        yield f'- `{match[1]}`: {self._inline(item[match.end():])}'

  def _blocks(self, text: str) -> Iterator[str]:
    # A directive's body may be set off by an empty line, and hold some.
    text = re.sub(r'(\.\. math::)\n\n', r'\1\n', text)
    for block in re.split(r'\n\s*\n', text.strip('\n')):
      head, _, formula = block.partition('.. math::')
      if formula:
        if head.strip():
          yield self._inline(head) + '\n'
        yield f'$$\n{_tex(formula)}\n$$\n'
      elif block.startswith(' '):
        code = textwrap.dedent(block)
        yield f'```text\n{code.rstrip()}\n```\n'
      elif block.startswith('- '):
        items = re.split(r'\n(?=- )', block)
        yield '\n'.join(f'- {self._inline(item[2:])}' for item in items) + '\n'
      elif re.match(r'=+( +=+)+$', block.split('\n')[0]):
        yield '\n'.join(self._table(block.split('\n'))) + '\n'
      elif block.strip():
        yield self._inline(block) + '\n'

  def _table(self, lines: list[str]) -> Iterator[str]:
    columns = [match.span() for match in re.finditer('=+', lines[0])]
    # The last column may be wider than its rule.
    columns[-1] = (columns[-1][0], None)
    for index, line in enumerate(lines[1:-1]):
      cells = [self._inline(line[start:end]) for start, end in columns]
      is_rule = index == 1
      yield '|---' * len(cells) + '|' if is_rule else f'| {" | ".join(cells)} |'

  def _inline(self, text: str) -> str:
    text, result, end = ' '.join(text.split()), '', 0
    for match in _INLINE.finditer(text):
      result += _plain(text[end : match.start()]) + self._token(match)
      end = match.end()
    return result + _plain(text[end:])

  def _token(self, match: re.Match[str]) -> str:
    if match['code']:
      return f'`{match["code"]}`'
    if match['math']:
      return f'${_tex(match["math"])}$'
    if match['url']:
      title = _plain(match['text'] or match['url'])
      return f'[{title}]({match["url"]})'
    if match['bare']:
      return f'<{match["bare"]}>'
    name = match['name']
    for known in (name, f'{self._scope}.{name}'):
      if known in self._links:
        return f'[`{name}`]({self._links[known].removeprefix(self._current)})'
    return f'`{name}`'


def _plain(text: str) -> str:
  return re.sub(r'([*<$]|\](?=\())', r'\\\1', text)


def _tex(text: str) -> str:
  text = re.sub(r'\\[,;!{}|\\]', lambda match: _TEX[match[0]], text)
  return ' '.join(text.split())


def summary(node: ast.AST, lines: list[str]) -> str:
  """Returns one line about a definition, in a docstring's markup."""
  text, _ = next(documents(node, lines))
  if text:
    return text.split('\n\n')[0]
  value = getattr(node, 'value', None)
  if isinstance(value, ast.Dict):
    return 'By name: ' + ', '.join(f'``{ast.unparse(k)}``' for k in value.keys)
  code = _segment(value, '\n'.join(lines))
  return f'``{code}``' if code else ''


def documents(node: ast.AST, lines: list[str]) -> Iterator[tuple[str, str]]:
  """Yields docstring and signature of a definition, then of its methods.

  Args:
    node: A function, a class or an assignment at the top of a module.
    lines: The module's source.
  """
  source = '\n'.join(lines)
  if isinstance(node, ast.FunctionDef):
    yield ast.get_docstring(node) or '', _call(node.name, node, source)
  elif isinstance(node, ast.ClassDef):
    yield from _class(node, source)
  else:
    yield _comment(node, lines), ast.get_source_segment(source, node) or ''


def _class(node: ast.ClassDef, source: str) -> Iterator[tuple[str, str]]:
  methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
  made = [method for method in methods if method.name == '__init__']
  text = ast.get_docstring(node) or ''
  bases = [ast.unparse(base) for base in node.bases]
  fields = [
      f'{n.target.id}: {_segment(n.annotation, source)}'
      f'{_default(n.value, source)}'
      for n in node.body
      if isinstance(n, ast.AnnAssign) and not n.target.id.startswith('_')
  ]
  if made:
    signature = _call(node.name, made[0], source).partition(') ->')[0]
    signature = signature if signature.endswith(')') else signature + ')'
    # The class says what it is, its constructor what it takes.
    sections = _SECTION.search(ast.get_docstring(made[0]) or '')
    if sections:
      text += '\n\n' + sections.string[sections.start() :]
  elif 'NamedTuple' in bases or node.decorator_list:
    signature = _layout(node.name, fields)
  else:
    signature = f'class {_layout(node.name, bases)}'
  yield text, signature
  for method in methods:
    text = ast.get_docstring(method)
    if text and (method.name == '__call__' or method.name[0] != '_'):
      name = f'{node.name}.{method.name}'
      name = f'{node.name}(...)' if method.name == '__call__' else name
      is_property = any(
          ast.unparse(d).endswith('property') for d in method.decorator_list
      )
      yield text, name if is_property else _call(name, method, source)


def _call(name: str, node: ast.FunctionDef, source: str) -> str:
  """Writes a signature, on one line if it fits."""

  def one(argument: ast.arg, default: ast.expr | None = None) -> str:
    kind = _segment(argument.annotation, source)
    typed = f'{argument.arg}: {kind}' if kind else argument.arg
    return typed + _default(default, source)

  args = node.args
  positional = [*args.posonlyargs, *args.args]
  defaults = [None] * (len(positional) - len(args.defaults)) + args.defaults
  parts = [one(a, d) for a, d in zip(positional, defaults)]
  if parts and positional[0].arg in ('self', 'cls'):
    parts = parts[1:]
  if args.vararg:
    parts.append('*' + one(args.vararg))
  elif args.kwonlyargs:
    parts.append('*')
  parts += [one(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults)]
  if args.kwarg:
    parts.append('**' + one(args.kwarg))
  returns = _segment(node.returns, source)
  return _layout(name, parts, f' -> {returns}' if returns else '')


def _segment(node: ast.AST | None, source: str) -> str:
  text = ast.get_source_segment(source, node) if node else None
  return ' '.join((text or '').split())


def _default(value: ast.expr | None, source: str) -> str:
  return f' = {_segment(value, source)}' if value else ''


def _layout(name: str, parts: list[str], end: str = '') -> str:
  line = f'{name}({", ".join(parts)}){end}'
  if len(line) <= 80:
    return line
  return f'{name}(\n' + ''.join(f'    {part},\n' for part in parts) + f'){end}'


def _comment(node: ast.AST, lines: list[str]) -> str:
  """Returns what is said about an assignment, beside, above or below it."""
  _, mark, beside = lines[node.lineno - 1].partition('  # ')
  if mark:
    return beside
  first = last = node.lineno - 1
  while first and lines[first - 1].startswith('#'):
    first -= 1
  above = ' '.join(line.lstrip('# ') for line in lines[first:last])
  below = lines[node.end_lineno] if node.end_lineno < len(lines) else ''
  return above or (inspect.cleandoc(below.strip('"')) if '"""' in below else '')
