"""Tests of the documentation's site: what its pages are, and that it builds."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import tempfile

import pytest
import tensorflow as tf
from absl.testing import absltest

from core import layers
from tests import docs_files

_DOCS = docs_files.ROOT / 'docs'
# Modules that a user has no call for: helpers of their package.
_INTERNAL = {
    'core.belonging',
    'core.checkpoint_contents',
    'core.checkpoint_errors',
    'core.checkpoint_files',
    'core.checkpoint_manifests',
    'core.checks',
    'core.deprecation',
    'core.hidden_variables',
    'core.measuring',
    'core.micro_batches',
    'core.rows',
    'core.scratch',
    'core.tracing',
    'core.train_state',
    'core.updating',
    'pipelines.archives',
    'pipelines.decoding',
    'pipelines.diagnosis',
    'pipelines.errors',
    'pipelines.examples',  # Former names.
    'pipelines.files',
    'pipelines.image_files',
    'pipelines.images',
    'pipelines.labels',
    'pipelines.manifests',
    'pipelines.parts',
    'pipelines.preparation',
    'pipelines.records',
    'pipelines.stores',
}
_MODULE = re.compile(r'^\.\. automodule:: (\S+)', re.MULTILINE)
_NETWORK = re.compile(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//')


def _modules() -> set[str]:
  """Lists the modules of both packages; a package stands for those in it."""
  paths = [
      path
      for package in ('core', 'pipelines')
      for path in (
          *(docs_files.ROOT / package).glob('*.py'),
          *(docs_files.ROOT / package).glob('*/__init__.py'),
      )
      if path.parent.name != package or path.stem != '__init__'
  ]
  names = (
      path.relative_to(docs_files.ROOT).with_suffix('').as_posix()
      for path in paths
  )
  return {n.removesuffix('/__init__').replace('/', '.') for n in names}


class SiteTest(absltest.TestCase):

  def test_every_module_is_on_one_page_or_is_internal(self):
    told = [
        name
        for path in sorted((_DOCS / 'reference').glob('*.rst'))
        for name in _MODULE.findall(path.read_text())
    ]
    self.assertLen(set(told), len(told))
    listed = {n for n in told if not n.startswith(('core.models.', 'launch.'))}
    self.assertEqual(listed | _INTERNAL, _modules())
    self.assertEmpty(listed & _INTERNAL)

  @pytest.mark.slow
  def test_it_builds_without_a_warning_and_needs_no_network(self):
    folder = tempfile.TemporaryDirectory()
    self.enter_context(folder)
    ended = subprocess.run(
        [
            sys.executable,
            '-m',
            'sphinx',
            '--quiet',
            '--fail-on-warning',
            '--keep-going',
            _DOCS,
            folder.name,
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    self.assertEqual(ended.returncode, 0, ended.stderr)
    site = pathlib.Path(folder.name)
    words = (site / 'searchindex.js').read_text()
    self.assertIn('softmax_cross_entropy', words)
    losses = (site / 'reference' / 'losses.html').read_text()
    for name in ('softmax_cross_entropy', 'dice_loss', 'mean'):
      self.assertIn(f'id="core.losses.{name}"', losses)
    # Sonnet hides the arguments and the methods of modules.
    page = (site / 'reference' / 'layers.html').read_text()
    modules = [
        name
        for name, value in vars(layers).items()
        if isinstance(value, type) and issubclass(value, tf.Module)
    ]
    self.assertGreater(len(modules), 10)
    for name in modules:
      self.assertIn(f'id="core.layers.{name}.__call__"', page)
    text = re.sub('<[^>]*>', '', page)
    self.assertIn('class Dropout(rate: float, name: str', text)
    for page in site.rglob('*.html'):
      self.assertIsNone(_NETWORK.search(page.read_text()), page.name)


if __name__ == '__main__':
  absltest.main()
