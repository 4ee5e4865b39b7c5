"""Tests of what makes the reference pages out of docstrings."""

from __future__ import annotations

import contextlib
import importlib
import io
import pathlib
import pkgutil
import shutil
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

import core
import pipelines
from tests import docs_files, docs_pages, docs_text

_DOCSTRING = r"""Scales by a factor: see `mean` and ``mean``.

With :math:`a \, b` and `a title
<https://example.org/a_b>`_, 2 * 3 < 7:

.. math::
  \left\{ a \right\}
  + b

- one,
  and more
- two

===== ======
name  number
===== ======
a b   1
===== ======

    code(1)

Args:
  first: ``[batch_size,
    num_classes]``, of `other.mean`.
  **rest: Others.

Example:
  >>> 1 + 1
  2

Raises:
  ValueError: If `first` is wrong.
"""
_MARKDOWN = r"""Scales by a factor: see [`mean`](#mean) and `mean`.

With $a \thinspace b$ and [a title](https://example.org/a_b), 2 \* 3 \< 7:

$$
\left\lbrace a \right\rbrace + b
$$

- one, and more
- two

| name | number |
|---|---|
| a b | 1 |

```text
code(1)
```

**Arguments**

- `first`: `[batch_size, num_classes]`, of [`other.mean`](other.md#mean).
- `**rest`: Others.

**Raises**

- `ValueError`: If `first` is wrong.

**Example**

```pycon
>>> 1 + 1
2
```
"""
_NEW_LOSS = '''

def a_new_loss(labels, predictions, *, weight: float = 1.0):
  """Computes something new.

  Args:
    weight: A factor.
  """
'''


def _check() -> tuple[int, str]:
  out = io.StringIO()
  with contextlib.redirect_stdout(out):
    code = docs_pages.main([])
  return code, out.getvalue()


class TextTest(absltest.TestCase):

  def test_a_docstring(self):
    links = {'losses.mean': 'losses.md#mean', 'other.mean': 'other.md#mean'}
    renderer = docs_text.Renderer(_DOCSTRING, links, 'losses.md', 'losses')
    self.assertEqual('\n'.join(renderer.all()), _MARKDOWN)
    self.assertEqual(
        renderer.line(), 'Scales by a factor: see `mean` and `mean`.'
    )

  def test_addresses(self):
    self.assertEqual(docs_text.anchor('export.Parity'), 'exportparity')
    self.assertEqual(docs_text.anchor('Save and go on'), 'save-and-go-on')


class PagesTest(parameterized.TestCase):

  def test_the_pages_are_those_of_the_docstrings(self):
    code, shown = _check()
    self.assertEqual(code, 0, shown)

  @parameterized.parameters(
      *[m.name for m in pkgutil.iter_modules(core.__path__, 'core.')],
      *[m.name for m in pkgutil.iter_modules(pipelines.__path__, 'pipelines.')],
  )
  def test_every_public_name_is_on_a_page(self, name):
    if f'{name.replace(".", "/")}.py' in docs_pages.INTERNAL:
      return
    module = importlib.import_module(name)
    package, _, stem = name.rpartition('.')
    is_page = hasattr(module, '__path__')
    page = stem if is_page else 'training' if package == 'core' else package
    if name == 'pipelines.sources':  # A package without a page of its own.
      page = package
    anchors = docs_files.anchors(docs_files.ROOT / 'docs' / f'{page}.md')
    public = getattr(module, '__all__', None) or [
        key
        for key, value in vars(module).items()
        if key[0] != '_' and getattr(value, '__module__', None) == name
    ]
    self.assertNotEmpty(public)
    for key in public:
      heading = key if is_page else f'{stem}.{key}'
      self.assertIn(docs_text.anchor(heading), anchors)

  def test_a_new_loss_appears_by_itself_and_a_check_asks_for_it(self):
    root = pathlib.Path(tempfile.mkdtemp())
    self.addCleanup(shutil.rmtree, root)
    for folder in ('core', 'pipelines', 'docs'):
      shutil.copytree(docs_files.ROOT / folder, root / folder)
    losses = root / 'core' / 'losses'
    with open(losses / 'margins.py', 'a') as file:
      file.write(_NEW_LOSS)
    source = (losses / '__init__.py').read_text()
    source = source.replace('.margins import ', '.margins import a_new_loss, ')
    source = source.replace('__all__ = [', "__all__ = [\n    'a_new_loss',")
    (losses / '__init__.py').write_text(source)
    with mock.patch.multiple(docs_pages, ROOT=root, DOCS=root / 'docs'):
      code, shown = _check()
      self.assertEqual(code, 1)
      self.assertIn('+### a_new_loss', shown)
      self.assertIn(docs_pages.COMMAND, shown)
      self.assertEqual(docs_pages.main(['--write']), 0)
      self.assertEqual(_check(), (0, ''))
    page = (root / 'docs' / 'losses.md').read_text()
    self.assertIn('| [`a_new_loss`](#a_new_loss) | Computes something', page)
    self.assertIn(
        'a_new_loss(labels, predictions, *, weight: float = 1.0)\n```\n\n'
        'Computes something new.\n\n**Arguments**\n\n- `weight`: A factor.\n',
        page,
    )
    index = (root / 'docs' / 'README.md').read_text()
    self.assertIn('[`a_new_loss`](losses.md#a_new_loss)', index)


if __name__ == '__main__':
  absltest.main()
