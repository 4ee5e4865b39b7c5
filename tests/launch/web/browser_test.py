"""Tests of how a browser is driven, without one."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import sys
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from launch import programs
from launch.web import browser
from tests.launch import runs

# Answers as the DevTools protocol does, with an event before each answer.
_CHROMIUM = """#!{python}
import json, os, sys
assert '--remote-debugging-pipe' in sys.argv
asked = b''
while part := os.read(3, 65536):
  asked += part
  while b'\\0' in asked:
    one, _, asked = asked.partition(b'\\0')
    one = json.loads(one)
    given = one['params'].get('expression', '')
    value = {{'ready': '20 of 20 equal'}}.get(given, 'completeobjectfile:')
    if given.startswith('compute('):
      value = json.loads(given[8:-1])
    result = {{
        'Browser.getVersion': {{'product': 'Chrome/1.2'}},
        'Target.createTarget': {{'targetId': 'a'}},
        'Target.attachToTarget': {{'sessionId': 'b'}},
        'Runtime.evaluate': {{'result': {{'value': value}}}},
    }}.get(one['method'], {{}})
    if given == 'wrong':
      result = {{'exceptionDetails': {{'text': 'No such name.'}}}}
    if given == 'end':
      sys.exit()
    answer = {{'id': one['id'], 'result': result}}
    for each in ({{'method': 'an.event'}}, answer):
      os.write(4, json.dumps(each).encode() + b'\\0')
"""


class PageTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))
    path = f'{self.folder}:{os.path.dirname(sys.executable)}:/bin:/usr/bin'
    self.enter_context(mock.patch.dict(os.environ, {'PATH': path}))
    names = mock.patch.object(browser, '_NAMES', ('chromium-of-test',))
    self.enter_context(names)

  def install(self, text):
    program = self.folder / 'chromium-of-test'
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

  def test_a_page(self):
    self.install(_CHROMIUM.format(python=sys.executable))
    page = browser.Page(str(self.folder))
    self.addCleanup(page.close)
    self.assertEqual(page.version, 'Chrome/1.2')
    self.assertEqual(page.result, '20 of 20 equal')
    inputs = {
        'image': np.arange(100_000, dtype=np.uint8).reshape([10, -1]),
        'count': np.array([2**40, -1]),
    }
    found = page(inputs)
    for name, value in inputs.items():
      np.testing.assert_array_equal(found[name], value)
      self.assertEqual(found[name].dtype, value.dtype)
    with self.assertRaisesRegex(programs.Failure, 'Chrome/1.2: No such name'):
      page.evaluate('wrong')
    with self.assertRaisesRegex(programs.Failure, 'ended, or did not answer'):
      page.evaluate('end')

  @parameterized.parameters('#!/bin/sh\nexit 1\n', '#!/bin/sh\nsleep 60\n')
  def test_what_does_not_start(self, text):
    self.install(text)
    with (
        mock.patch.object(browser, '_TIMEOUT_S', 1),
        self.assertRaisesRegex(programs.Failure, 'the browser ended'),
    ):
      browser.Page(str(self.folder))

  def test_none(self):
    self.assertIsNone(browser.installed())
    with self.assertRaisesRegex(programs.Failure, 'no Chromium is installed'):
      browser.Page(str(self.folder))

  def test_tensors(self):
    for dtype in ('uint8', 'int8', 'int32', 'int64', 'float32', 'bool'):
      array = np.array([[0, 1], [1, 0]], dtype)
      encoded = json.loads(json.dumps(browser.encoded({'x': array})))
      self.assertEqual(encoded['x']['type'], dtype)
      np.testing.assert_array_equal(browser.decoded(encoded)['x'], array)


if __name__ == '__main__':
  absltest.main()
