"""Tests of README and docs/ as texts: blocks, links, headings, flags."""

from __future__ import annotations

import pkgutil
import re

from absl.testing import absltest, parameterized

from launch import config
from launch.settings import options
from tests import docs_files

# Links to what the reference describes begin so.
_OBJECTS = ('core.', 'pipelines.', 'launch.')
_LANGUAGES = ('python', 'sh', 'text')
# What programs other than those of launch are given.
_OTHER_FLAGS = (
    'all',
    'medium',
    'file',
    'filename',
    'gpus',
    'logdir',
    'model_base_path',
    'model_name',
    'nodes',
    'ntasks',
    'rest_api_port',
    'signal',
    'tag',
    'time',
)
_LAUNCH_GUIDE = docs_files.ROOT / 'docs' / 'guide_launch.md'


class BlockTest(parameterized.TestCase):

  @parameterized.parameters(*docs_files.GUIDES, docs_files.README)
  def test_every_block_has_a_language_that_says_whether_it_runs(self, path):
    text = path.read_text()
    found = docs_files.blocks(path)
    self.assertEqual(2 * len(found), text.count('```'))
    for block in found:
      self.assertIn(block.language, _LANGUAGES, block.text)


class LinkTest(parameterized.TestCase):

  @parameterized.parameters(*docs_files.ALL)
  def test_links_lead_somewhere(self, path):
    for target in docs_files.links(path):
      if '://' in target:
        continue
      name, _, anchor = target.partition('#')
      if not name and anchor.startswith(_OBJECTS):
        pkgutil.resolve_name(anchor)
        continue
      other = (path.parent / name).resolve() if name else path
      self.assertTrue(other.exists(), f'{path.name}: {target}')
      if anchor:
        self.assertIn(anchor, docs_files.anchors(other), path.name)

  @parameterized.parameters(*docs_files.ALL)
  def test_headings_have_addresses_of_their_own(self, path):
    if path.name != 'CHANGELOG.md':
      found = docs_files.anchors(path)
      self.assertLen(set(found), len(found), found)


class FlagTest(absltest.TestCase):

  def _defined(self, program):
    text = (docs_files.ROOT / 'launch' / f'{program}.py').read_text()
    found = set(re.findall(r"DEFINE_\w+\(\s*'(\w+)'", text))
    for names in re.findall(r'config_lib\.define_flags\(([^)]*)\)', text):
      own = re.findall(r"'(\w+)'", names)
      found.update(own or options.declared(config.Config))
    return found

  def test_flags_that_are_named_exist(self):
    launch = docs_files.ROOT / 'launch'
    programs = [
        str(path.relative_to(launch).with_suffix(''))
        for path in launch.rglob('*.py')
    ]
    known = {'flagfile', 'help', *_OTHER_FLAGS}
    known = known.union(*map(self._defined, programs))
    for path in (docs_files.README, *docs_files.GUIDES):
      for flag in re.findall(r'(?<!\S)`?--(\w+)', path.read_text()):
        if flag.removeprefix('no') not in known:  # `--noFLAG` is False.
          self.assertIn(flag, known, path.name)

  def test_the_guide_names_every_flag_of_training(self):
    text = _LAUNCH_GUIDE.read_text()
    missing = {f for f in self._defined('train') if f'`--{f}`' not in text}
    self.assertEmpty(missing, 'Add them to the table of docs/guide_launch.md.')


if __name__ == '__main__':
  absltest.main()
