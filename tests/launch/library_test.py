"""Tests of launch.library, and of data that a run has not seen.

Covers: evaluating.unseen.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import shutil

import numpy as np
from absl.testing import absltest, parameterized

import launch
from launch import programs
from pipelines import datasets
from tests.launch import houses, runs


@functools.cache
def _houses():
  return launch.load(houses.finished())


class LoadTest(absltest.TestCase):

  def test_a_run(self):
    run = launch.load(runs.finished())
    loss = 'softmax_cross_entropy'  # What the run chose.
    self.assertEqual(run.config.to_json(), runs.config(loss=loss).to_json())
    self.assertEqual(run.step, 40)
    images = np.random.default_rng(0).integers(0, 256, [300, 8, 8, 3])
    columns = run.predict(images)
    self.assertEqual(columns['prediction'].shape, (300,))
    logits = run.model(images.astype(np.float32) / 255, is_training=False)
    np.testing.assert_array_equal(columns['class'], np.argmax(logits, 1))
    np.testing.assert_array_equal(
        columns['prediction'], [str(i) for i in np.argmax(logits, 1)]
    )
    scaled = run.predict({'image': images / 255})
    np.testing.assert_allclose(
        scaled['probabilities'], columns['probabilities'], atol=1e-6
    )

  def test_a_checkpoint(self):
    path = f'{runs.finished()}/checkpoints/ckpt-20'
    self.assertEqual(launch.load(runs.finished(), path).step, 20)

  def test_a_part_that_only_the_program_has_is_given(self):
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    shutil.copytree(runs.finished(), workdir)
    config = workdir / 'config.json'
    told = json.loads(config.read_text())
    told['config']['model'] = '__main__:Net'  # Of `python -c`: without a file.
    config.write_text(json.dumps(told))
    with self.assertRaisesRegex(programs.UserError, '__main__:Net is not rec'):
      launch.load(workdir)
    self.assertEqual(launch.load(workdir, model='mlp').step, 40)

  def test_no_run(self):
    with self.assertRaisesRegex(programs.UserError, 'there is no run'):
      launch.load(runs.scratch(self))

  def test_no_such_name(self):
    with self.assertRaisesRegex(AttributeError, "no attribute 'lode'"):
      _ = launch.lode


class PredictTest(parameterized.TestCase):

  def test_raw_examples_are_arrays(self):
    raw = [
        {'rooms': 3, 'area': 120.5, 'kind': 'flat'},
        {'rooms': 1, 'area': 40, 'kind': 'hut'},
    ]
    kinds = _houses()._run.experiment.data.spec['categories'].vocabularies[0]
    arrays = {
        'numbers': [[3, 120.5], [1, 40]],
        'categories': [[kinds.index('flat')], [kinds.index('hut')]],
    }
    raw, arrays = _houses().predict(raw), _houses().predict(arrays)
    np.testing.assert_array_equal(raw['prediction'], arrays['prediction'])
    self.assertGreater(raw['prediction'][0], raw['prediction'][1] + 50_000)

  @parameterized.parameters(
      ({'numbers': [[1.0, 2.0]]}, "there is no 'categories'"),
      ({'numbers': [1.0, 2.0], 'categories': [[0]]}, r'numbers is \[2\]; exp'),
      ({'numbers': [[1.0, 2.0]], 'categories': [[0.5]]}, 'int32 does not hold'),
      (
          {'numbers': [[1.0, 2.0]], 'categories': [[0], [1]]},
          '1 of numbers, 2 of categories',
      ),
      ([[1.0, 2.0]], 'or a mapping of numbers, categories to arrays'),
      ([{'rooms': 1, 'kind': 'flat'}], "no column 'area'"),
  )
  def test_what_does_not_fit(self, inputs, message):
    with self.assertRaisesRegex(ValueError, message):
      _houses().predict(inputs)


class EvaluateTest(parameterized.TestCase):

  def write(self, rows, columns=houses.COLUMNS):
    path = houses.folder() / f'{self.id().split(".")[-1]}.csv'
    return f'csv:{houses.write(path, rows, columns)}?label=price'

  def test_its_own_data(self):
    scored = _houses().evaluate()
    self.assertEqual(
        scored.values, runs.result(houses.finished())['test']['values']
    )

  def test_data_that_it_has_not_seen(self):
    # Another order, and a kind that is missing: categories go by their names.
    rows = houses.rows(('hut', 'flat'), seed=5)
    scored = _houses().evaluate(self.write(rows), 'all')
    self.assertEqual(scored.num_examples, houses.NUM_ROWS)
    predicted = _houses().predict(
        [dict(zip(houses.COLUMNS, row, strict=True)) for row in rows]
    )['prediction']
    errors = predicted - np.array([row[-1] for row in rows])
    np.testing.assert_allclose(
        scored.values['rmse'], np.sqrt(np.mean(errors**2)), rtol=1e-4
    )

  def test_a_data_set(self):
    spec = _houses()._run.experiment.data.spec
    arrays = {
        'numbers': np.array([[3.0, 120.0]] * 4, np.float32),
        'categories': np.zeros([4, 1], np.int32),
        'label': np.full([4], 200_000, np.float32),
    }
    dataset = datasets.of_arrays('mine', {'train': arrays}, spec)
    scored = _houses().evaluate(dataset, 'train')
    self.assertEqual(scored.num_examples, 4)
    [error] = set(np.abs(_houses().predict(arrays)['prediction'] - 200_000))
    self.assertAlmostEqual(scored.values['mae'], error, delta=1)

  def test_what_does_not_fit(self):
    rows = [row[1:] for row in houses.rows()]
    with self.assertRaisesRegex(ValueError, "no column 'rooms', which was tr"):
      _houses().evaluate(self.write(rows, houses.COLUMNS[1:]), 'all')
    spec = _houses()._run.experiment.data.spec
    other = type(spec)({
        **spec,
        'numbers': dataclasses.replace(spec['numbers'], columns=('a', 'b')),
    })
    arrays = {n: np.zeros([2, *f.shape], f.dtype) for n, f in spec.items()}
    dataset = datasets.of_arrays('other', {'train': arrays}, other)
    with self.assertRaisesRegex(
        programs.UserError, 'columns of numbers: a, b, and the run was .* area'
    ):
      _houses().evaluate(dataset, 'train')
    del arrays['categories']
    other = type(spec)({n: f for n, f in spec.items() if n != 'categories'})
    dataset = datasets.of_arrays('other', {'train': arrays}, other)
    with self.assertRaisesRegex(programs.UserError, "no 'categories', which"):
      _houses().evaluate(dataset, 'train')
    with self.assertRaisesRegex(programs.UserError, '--split=all: it is for'):
      _houses().evaluate(split='all')

  def test_classes_go_by_their_names(self):
    run = launch.load(runs.finished())
    data = run._run.dataset
    arrays = dict(data.split('test').arrays)
    names = tuple(reversed(data.spec['label'].class_names))
    feature = data.spec['label']
    turned = type(data.spec)(
        {**data.spec, 'label': type(feature)('class', (), 'int64', names)}
    )
    arrays['label'] = len(names) - 1 - arrays['label']
    dataset = datasets.of_arrays('turned', {'train': arrays}, turned)
    self.assertEqual(
        run.evaluate(dataset, 'train').values, run.evaluate().values
    )
    other = type(data.spec)(
        {**data.spec, 'label': type(feature)('class', (), 'int64', ('x', '1'))}
    )
    arrays['label'] *= 0
    dataset = datasets.of_arrays('other', {'train': arrays}, other)
    with self.assertRaisesRegex(
        programs.UserError, 'class names of label: x, 1, and the run was'
    ):
      run.evaluate(dataset, 'train')


if __name__ == '__main__':
  absltest.main()
