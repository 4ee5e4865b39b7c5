"""Tests of the page; in a browser where one is installed."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest

from core import export as export_lib
from launch import programs
from launch.exporting import writing as exporting
from launch.web import browser, page, runtime
from tests.launch import runs
from tests.launch.exporting import small_runs

_NO_RUNTIME = {name: b'nothing' for name in runtime.FILES}


def _export(run, output, files, work=exporting.export):
  return small_runs.export(run, output, ['web'], work, runtime=files)


class PageTest(absltest.TestCase):
  """Without a browser."""

  def setUp(self):
    super().setUp()
    self.output = pathlib.Path(runs.scratch(self)) / 'exports'
    self.enter_context(
        mock.patch.object(browser, 'installed', return_value=None)
    )

  def test_is_written_and_said_not_to_be_verified_in_a_browser(self):
    run = small_runs.load()
    code, out = _export(run, self.output, _NO_RUNTIME)
    self.assertEqual(code, 0, out)
    self.assertIn('not verified in a browser', out)
    [row] = json.loads((self.output / 'parity.json').read_text())['exports']
    self.assertStartsWith(row['runtime'], 'no browser, onnxruntime')
    self.assertLess(row['max_difference'], 1e-5)
    folder = self.output / 'web'
    self.assertCountEqual(os.listdir(folder), page.CONTENTS)
    model = export_lib.onnx_function(page.model_of(str(folder)))
    text = (folder / 'examples.js').read_text()
    told = json.loads(text.removeprefix('const EXAMPLES = ').rstrip(';\n'))
    inputs = browser.decoded(told['inputs'])
    self.assertLen(inputs['image'], 20)
    np.testing.assert_allclose(
        model(inputs)['probabilities'],
        browser.decoded(told['outputs'])['probabilities'],
        atol=1e-6,
    )
    self.assertEqual(told['classes'], list(run.experiment.task._names))
    # Nothing is fetched from elsewhere.
    html = (folder / 'index.html').read_text()
    self.assertNotIn('http', html)
    self.assertEqual(html.count('src='), 3)

  def test_a_page_is_replaced_and_nothing_else(self):
    run = small_runs.load()
    for _ in range(2):
      self.assertEqual(_export(run, self.output, _NO_RUNTIME)[0], 0)
    (self.output / 'web' / 'letters').write_text('')
    with self.assertRaisesRegex(programs.UserError, 'something other than'):
      _export(run, self.output, _NO_RUNTIME)

  def test_other_inputs_than_an_image(self):
    examples = page.examples_of(
        'a table',
        {'numbers': np.zeros([30, 3], np.float32)},
        {'prediction': np.zeros([30], np.float32)},
        (),
        1e-4,
    )
    self.assertIsNone(examples['image'])
    self.assertEqual((examples['size'], examples['classes']), (20, []))


def _real_runtime():
  """Returns the files of onnxruntime-web, or skips the test."""
  if browser.installed() is None:
    raise absltest.SkipTest('no Chromium is installed')
  try:
    return runtime.files()
  except programs.UserError as error:
    raise absltest.SkipTest(str(error)) from None


class BrowserTest(absltest.TestCase):
  """In a real browser."""

  def setUp(self):
    super().setUp()
    self.files = _real_runtime()
    self.output = pathlib.Path(runs.scratch(self)) / 'exports'

  @pytest.mark.slow
  def test_the_page_computes_what_python_does(self):
    run = small_runs.load()
    code, out = _export(run, self.output, self.files)
    self.assertEqual(code, 0, out)
    self.assertRegex(out, 'web/index.html: 20 of 20 equal, largest difference')
    [row] = json.loads((self.output / 'parity.json').read_text())['exports']
    self.assertRegex(row['runtime'], 'Chrom')
    self.assertEqual(row['num_examples'], runs.NUM_TEST)
    self.assertLess(row['max_difference'], 1e-5)
    self._assert_pictures_are_read(run)
    self._assert_a_weight_is_found(run)

  def _assert_pictures_are_read(self, run):
    """Drops a test image, as a file, onto the page."""
    images = run.dataset.split('test').arrays['image'][:3]
    shown = browser.Page(str(self.output / 'web'))
    self.addCleanup(shown.close)
    for image in images:
      contents = base64.b64encode(tf.io.encode_png(image).numpy()).decode()
      found = browser.decoded(
          shown.evaluate(
              f"predict(new Blob([toBytes('{contents}')], {{type:"
              " 'image/png'}))"
          )
      )
      expected = run.experiment.task.predict({'image': image[np.newaxis]})
      np.testing.assert_allclose(
          found['probabilities'], expected['probabilities'], atol=1e-6
      )
      text = shown.evaluate("document.getElementById('scores').innerText")
      self.assertIn(f'{expected["probability"].numpy()[0]:.4f}', text)
    with self.assertRaisesRegex(programs.Failure, 'could not be decoded'):
      shown.evaluate("predict(new Blob(['no picture']))")

  def _assert_a_weight_is_found(self, run):
    path = self.output / 'web' / 'model.js'
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'model.onnx').write_bytes(page.model_of(str(path.parent)))
    small_runs.change_a_weight(folder / 'model.onnx')
    changed = base64.b64encode((folder / 'model.onnx').read_bytes()).decode()
    path.write_text(f"const MODEL = '{changed}';\n")
    for is_known in (True, False):
      code, out = _export(run, self.output, {}, exporting.verify)
      self.assertEqual(code, 1)
      self.assertEqual('NO, changed' in out, is_known, out)
      self.assertNotIn('20 of 20', out)
      (self.output / 'parity.json').unlink(missing_ok=True)

  @pytest.mark.slow
  def test_every_task(self):
    for name, inputs, label, changes in small_runs.TASKS:
      with self.subTest(name):
        run = small_runs.run_of(inputs, label, **changes)
        code, out = _export(run, self.output, self.files)
        self.assertEqual(code, 0, out)
        self.assertRegex(out, '7 of 7 equal')
        shutil.rmtree(self.output)


if __name__ == '__main__':
  absltest.main()
