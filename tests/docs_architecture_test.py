"""Tests that docs/architecture.md names what there is."""

from __future__ import annotations

import ast
import re
from xml.etree import ElementTree

from absl.testing import absltest

from tests import docs_files

_PAGE = docs_files.ROOT / 'docs' / 'architecture.md'
_DRAWING = docs_files.ROOT / 'docs' / 'architecture.svg'


class ArchitectureTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.text = _PAGE.read_text()

  def test_each_function_is_in_its_file(self):
    found = re.findall(r'^\| `(\S+\.py)` \| `(\w+)` \|', self.text, re.M)
    self.assertBetween(len(found), 8, 12)
    for path, name in found:
      tree = ast.parse((docs_files.ROOT / path).read_text())
      self.assertIn(
          name, [getattr(node, 'name', '') for node in tree.body], path
      )

  def test_each_folder_is_there_and_none_is_missing(self):
    _, _, table = self.text.partition('## The folders')
    found = re.findall(r'`([\w/]+)/`', table)
    for folder in found:
      self.assertTrue((docs_files.ROOT / folder).is_dir(), folder)
    packages = [
        path.relative_to(docs_files.ROOT)
        for name in ('*/__init__.py', 'launch/*/__init__.py')
        for path in docs_files.ROOT.glob(name)
    ]
    self.assertNotEmpty(packages)
    for path in packages:
      self.assertIn(str(path.parent), found)

  def test_the_drawing_is_small_and_shows_what_the_page_names(self):
    self.assertIn('(architecture.svg)', self.text)
    drawing = _DRAWING.read_text()
    self.assertLess(drawing.count('\n'), 150)
    self.assertIn('prefers-color-scheme: dark', drawing)
    words = ' '.join(ElementTree.fromstring(drawing).itertext())
    for name in (
        'TFDS',
        'Dataset',
        'batch',
        'objective',
        'gradients',
        'all-reduce',
        'optimizer',
        'TrainState',
        'checkpoints',
        'hooks',
        'loop',
        'metrics',
    ):
      self.assertIn(name, words)


if __name__ == '__main__':
  absltest.main()
