"""How Sphinx builds the documentation; `./docs.sh` starts it."""

import ast
import importlib
import inspect
import os
import pathlib
import sys
from typing import Any

import tensorflow as tf

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# Else Sonnet hides the names, the arguments and the docstrings of methods.
os.environ['SNT_MODULE_NAME_SCOPES'] = '0'

project = 'Quatrain'
author = 'The Quatrain authors'
root_doc = 'index'
exclude_patterns = ['_build']
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'sphinx-mathjax-offline',
]
html_theme = 'furo'
html_title = 'Quatrain'
html_copy_source = False

# A page's headings have the addresses that code hosts give them.
myst_heading_anchors = 4
myst_enable_extensions = ['dollarmath']

# `name` in a docstring links to what has that name, if anything has.
default_role = 'py:obj'
add_module_names = False
toc_object_entries_show_parents = 'hide'
autodoc_member_order = 'bysource'
autodoc_default_options = {
    'members': True,
    'undoc-members': True,
    'special-members': '__call__',
    # What our own bases define, but nothing of these.
    'inherited-members': 'Module, tuple, BaseException, Enum, int, dict',
}
autoclass_content = 'both'  # The arguments are those of __init__.
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [('Reference', 'notes_style')]


def public_names(path: pathlib.Path) -> list[str]:
  """Lists what a module defines at its top level without an underscore."""
  names: list[str] = []
  for node in ast.parse(path.read_text()).body:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
      names.append(node.name)
    elif isinstance(node, ast.AnnAssign):
      names.append(node.target.id)
    elif isinstance(node, ast.Assign):
      names += [target.id for target in node.targets if hasattr(target, 'id')]
  return [name for name in names if not name.startswith('_')]


# Sphinx leaves out a name that a module takes from another, such as
# `training.TrainState`, unless the module lists it in `__all__`.
for path in (*ROOT.glob('core/**/*.py'), *ROOT.glob('pipelines/**/*.py')):
  parts = path.relative_to(ROOT).with_suffix('').parts
  if parts[-1] != '__init__':
    module = importlib.import_module('.'.join(parts))
    module.__all__ = public_names(path)


def _skip(
    app: Any, what: str, name: str, member: Any, *args: Any
) -> bool | None:
  """Leaves out what a class has without a docstring: see its Attributes."""
  is_told = bool(getattr(member, '__doc__', None)) and callable(member)
  return True if what in ('class', 'exception') and not is_told else None


class _Plain(str):
  """An annotation, which is shown without quotes."""

  __repr__ = str.__str__


def _signature(
    app: Any, what: str, name: str, member: Any, *args: Any
) -> tuple[str, None] | None:
  """Returns the signature of a Sonnet module, which its metaclass hides."""
  if what != 'class' or not issubclass(member, tf.Module):
    return None
  parameters = [
      each.replace(annotation=_Plain(each.annotation))
      if isinstance(each.annotation, str)
      else each
      for each in inspect.signature(member.__init__).parameters.values()
  ]
  return str(inspect.Signature(parameters[1:])), None


def _mark_code(
    app: Any, what: str, name: str, member: Any, options: Any, lines: list[str]
) -> None:
  """Makes code of what stands four spaces further in than the text above."""
  marked: list[str] = []
  above, is_code = 0, False
  for before, line in zip(['', *lines], lines, strict=False):
    indent = len(line) - len(line.lstrip())
    if line and not is_code and not before and indent == above + 4:
      marked += [f'{" " * above}::', '']
      is_code = True
    elif line and indent <= above:
      is_code = False
    if line and not is_code:
      above = indent
    marked.append(line)
  lines[:] = marked


def setup(app: Any) -> None:
  """Connects what autodoc asks."""
  app.connect('autodoc-process-docstring', _mark_code, priority=400)
  app.connect('autodoc-process-signature', _signature)
  app.connect('autodoc-skip-member', _skip)
