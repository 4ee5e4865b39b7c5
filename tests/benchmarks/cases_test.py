"""Tests of the cases, the data, and who takes part in what."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import sys
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from core import models, processor, schedules, variables
from pipelines import sources
from tests.benchmarks import (
    cases,
    data,
    environments,
    lineup,
    protocol,
    results_test,
)

_CONTENDERS = environments.ROOT / 'tests' / 'benchmarks' / 'contenders'


class CasesTest(parameterized.TestCase):

  def test_the_cycle_is_that_of_the_library(self):
    case = dataclasses.replace(
        cases.CASES['mlp_b32'], schedule='onecycle', learning_rate=0.4
    )
    schedule = schedules.cosine_onecycle(37, 0.4)
    np.testing.assert_allclose(
        cases.learning_rates(case, 37),
        [float(schedule(step)) for step in range(37)],
        rtol=1e-5,
    )
    constant = dataclasses.replace(case, schedule='constant')
    self.assertEqual(cases.learning_rates(constant, 2), [0.4, 0.4])

  def test_the_residual_network_is_the_library_s(self):
    # Filters, norms (scale and offset), shortcuts and the dense layer.
    shape, count = 1, 0
    for kind, *sizes in cases.CASES['resnet_b128'].layers:
      if kind == 'stem':
        count += 9 * shape * sizes[0]
        shape = sizes[0]
      elif kind == 'block':
        filters = sizes[0]
        count += 2 * shape + 2 * filters + 9 * filters * (shape + filters)
        count += shape * filters if shape != filters else 0
        shape = filters
      elif kind == 'norm':
        count += 2 * shape
      elif kind == 'dense':
        count += (shape + 1) * sizes[0]
    model = models.create('resnet', cases.NUM_CLASSES)
    model.build([None, *cases.IMAGE_SHAPE])
    parameters = variables.trainable(model).values()
    self.assertEqual(count, sum(v.shape.num_elements() for v in parameters))
    self.assertEqual(count, 174_778)

  @parameterized.parameters(*cases.CASES)
  def test_warm_up_leaves_epochs_to_time(self, name):
    case = cases.CASES[name]
    self.assertGreaterEqual(case.num_epochs - case.num_warmup_epochs, 3)
    self.assertEqual(case.layers[-1], ('dense', cases.NUM_CLASSES))
    self.assertEqual(case.has_norms, name.startswith('resnet'))
    self.assertEqual(case.has_convolutions, not name.startswith('mlp'))


class LineupTest(parameterized.TestCase):

  @parameterized.parameters(*lineup.CONTENDERS)
  def test_a_contender_is_there_and_has_its_variant(self, name):
    contender = lineup.CONTENDERS[name]
    text = (_CONTENDERS / f'{contender.module}.py').read_text()
    if contender.variant != 'default':
      self.assertIn(f'- `{contender.variant}`:', text)
    found = environments.groups(
        (environments.ROOT / 'requirements-benchmark.txt').read_text()
    )
    self.assertIn(contender.environment, found)
    self.assertIn(f'{contender.environment}-gpu', found)

  def test_who_is_hopeless_is_told_why(self):
    cnn, mlp = cases.CASES['cnn_b128'], cases.CASES['mlp_b128']
    refusal = lineup.refusal
    self.assertRegex(refusal('flax_scan', cnn, 'float32', False), 'on a CPU')
    self.assertIsNone(refusal('flax_scan', cnn, 'float32', True))
    self.assertIsNone(refusal('flax_scan', mlp, 'float32', False))
    self.assertIsNotNone(refusal('sonnet_step', mlp, 'bfloat16', False))
    self.assertIsNone(refusal('quatrain', cnn, 'bfloat16', False))
    race = cases.CASES['cpu_recipe']
    self.assertIsNotNone(refusal('products', race, 'float32', False))

  def test_what_trains_nothing_is_no_peer(self):
    floor, ours, peer = (
        lineup.CONTENDERS[name] for name in ('products', 'quatrain', 'pytorch')
    )
    self.assertEqual((floor.is_ours, floor.is_peer), (False, False))
    self.assertEqual((ours.is_ours, ours.is_peer), (True, False))
    self.assertEqual((peer.is_ours, peer.is_peer), (False, True))

  @parameterized.product(
      precision=('float32', 'bfloat16'),
      has=(False, True),
      has_gpu=(False, True),
  )
  def test_the_recipe_races_in_its_own_precision(self, precision, has, has_gpu):
    race = cases.CASES['cpu_recipe']
    with mock.patch.object(processor, 'multiplies_in', return_value=has):
      refusal = lineup.refusal('quatrain_recipe', race, precision, has_gpu)
    chosen = 'bfloat16' if has or has_gpu else 'float32'
    self.assertEqual(refusal is None, precision == chosen)

  def test_groups_of_requirements(self):
    text = '# A file.\n\n# [a]  Words.\n-r b.txt\n\n# [a-gpu]\nc>=1\nd==2+cpu\n'
    self.assertEqual(
        environments.groups(text),
        {'a': ['-r', 'b.txt'], 'a-gpu': ['c>=1', 'd==2+cpu']},
    )

  def test_a_python_that_is_named_is_taken(self):
    folder = results_test.scratch(self)
    found = environments.python('jax', {'jax': '/x/python'}, folder)
    self.assertEqual(found, '/x/python')


class DataTest(absltest.TestCase):

  def test_a_missing_set_is_one_line(self):
    arguments = ['', f'--folder={results_test.scratch(self)}']
    missing = ValueError('dataset: it cannot be read')
    with (
        mock.patch.object(sys, 'argv', arguments),
        mock.patch.object(data, 'fashion_mnist', side_effect=missing),
        contextlib.redirect_stderr(io.StringIO()) as written,
        self.assertRaises(SystemExit) as ended,
    ):
      data.main()
    self.assertEqual(ended.exception.code, 2)
    self.assertEqual(written.getvalue(), 'dataset: it cannot be read\n')

  def test_archives_are_found_where_tests_put_them(self):
    opened = []

    def open_dataset(*arguments, **options):
      opened.append(options['archives_dir'])
      raise ValueError

    folder = pathlib.Path(results_test.scratch(self))
    with (
        mock.patch.object(sources, 'open_dataset', open_dataset),
        mock.patch.object(data, '_UNPACKED', folder),
        mock.patch.dict(os.environ, QUATRAIN_ARCHIVES_DIR='/named'),
    ):
      for _ in range(2):
        with self.assertRaises(ValueError):
          data.fashion_mnist(None)
        os.environ.pop('QUATRAIN_ARCHIVES_DIR', None)
      folder.rmdir()
      with self.assertRaises(ValueError):
        data.fashion_mnist(None)
      folder.mkdir()  # The clean-up expects it.
    self.assertEqual(opened, ['/named', str(folder), None])

  def test_drawn_images_show_their_class(self):
    split = data.synthetic(30, seed=0)
    self.assertEqual(split.images.dtype, np.uint8)
    rows = split.images.astype(int).sum((2, 3)).argmax(1)
    np.testing.assert_array_equal(rows, 2 * split.labels + 4)
    self.assertAlmostEqual(
        float(split.scaled().max()), split.images.max() / 255, places=6
    )

  def test_memory_is_read(self):
    self.assertBetween(protocol.peak_rss_gb(), 0.01, 100)


if __name__ == '__main__':
  absltest.main()
