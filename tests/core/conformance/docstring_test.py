"""Docstrings are whole: shapes, errors, a reference, an example.

That the examples run is a test of its own, `tests.core.doctest_test`.
"""

from __future__ import annotations

import ast
import inspect

from absl.testing import absltest, parameterized

from tests.core.conformance import public

_OF_TENSORS = ('augmentation', 'layers', 'losses', 'models')
_NO_SHAPES = (
    'augmentation.flip_shift_views',
    'augmentation.flip_views',
    'layers.Residual',
    'layers.activation',
    'layers.scaled_variance',
)


def _docstring(member):
  """Joins the docstring of a function, or of a class and its methods.

  Those of methods are read in the source, since Sonnet's modules wrap methods
  into functions without. Layers may inherit from a class of the same package.
  """
  if inspect.isfunction(member):
    return inspect.getdoc(member)
  documented = []
  for each in member.__mro__:
    if each is member or each.__module__.startswith('core.layers.'):
      [tree] = ast.parse(inspect.getsource(each)).body
      documented.append(tree)
      documented += [x for x in tree.body if isinstance(x, ast.FunctionDef)]
  return '\n'.join(ast.get_docstring(node) or '' for node in documented)


class DocstringTest(parameterized.TestCase):

  @parameterized.named_parameters(
      (name.replace('.', '_'), name) for name in public.MEMBERS
  )
  def test_is_whole(self, name):
    member = public.MEMBERS[name]
    docstring = _docstring(member)
    parts = ['Returns:', 'Raises:', 'Reference:', 'Example:\n', '>>> ']
    if inspect.signature(member).parameters:
      parts.append('Args:')
    if name.split('.')[0] in _OF_TENSORS and name not in _NO_SHAPES:
      parts.append('[batch_size' if 'batch_size' in docstring else '``[')
    missing = {part for part in parts if part not in docstring}
    excused = {part for part, who in public.NONE_NEEDED.items() if name in who}
    self.assertEqual(missing, excused)

  def test_who_is_excused_is_public(self):
    for names in public.NONE_NEEDED.values():
      self.assertContainsSubset(names, public.MEMBERS)


if __name__ == '__main__':
  absltest.main()
