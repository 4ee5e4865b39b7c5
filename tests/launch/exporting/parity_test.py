"""Tests of how exports are compared with their model.

Covers: formats, report.
"""

from __future__ import annotations

import types

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import metrics, objectives
from launch import config as config_lib
from launch import finished_run, programs, tasks
from launch.evaluating import evaluation
from launch.exporting import formats as export_formats
from launch.exporting import parity
from launch.exporting import report as export_report
from tests import virtual_devices
from tests.launch import runs
from tests.launch.exporting import small_runs


class ReferenceTest(parameterized.TestCase):

  @parameterized.named_parameters(*small_runs.TASKS)
  def test_metrics_of_columns_are_those_of_an_evaluation(
      self, inputs, label, changes
  ):
    run = small_runs.run_of(inputs, label, **changes)
    reference = parity.Reference(run, 'test', list(inputs))
    evaluator = evaluation.Evaluator(
        run.experiment, run.dataset, virtual_devices.mirrored(1)
    )
    scored = evaluator.run(run, 'test').values
    found = reference._values(reference.columns)
    del scored['loss']
    self.assertCountEqual(found, scored)
    for name, value in scored.items():
      self.assertAlmostEqual(found[name], value, places=4, msg=name)
    self.assertEqual(reference.num_examples, 7)

  def test_how_far_int8_may_be_off(self):
    for name, metric, is_score in (
        ('table', 'accuracy', True),
        ('labels', 'macro_f1', True),
        ('quantiles', 'mae', False),
        ('masks', 'mean_iou', True),
    ):
      [case] = [each for each in small_runs.TASKS if each[0] == name]
      run = small_runs.run_of(*case[1:3], **case[3])
      reference = parity.Reference(run, 'test', list(case[1]))
      self.assertEqual(reference.metric, metric)
      self.assertAlmostEqual(
          reference.limit,
          0.005 * (1 if is_score else reference.value),
          msg=name,
      )

  def test_batches_of_any_size(self):
    place = config_lib.Config(workdir=str(runs.finished()))
    run = finished_run.load(place, None, virtual_devices.mirrored(1))
    reference = parity.Reference(run, 'test', ['image'])
    for size in (1, 32, 100):
      image = reference.some(size)['image']
      self.assertLen(image, size)
      np.testing.assert_array_equal(
          image[-1], reference.inputs[0]['image'][(size - 1) % runs.NUM_TEST]
      )
    self.assertCountEqual(reference.milliseconds(reference.model), ['1', '32'])


class PredictionsTest(absltest.TestCase):

  def test_a_task_of_ones_own(self):
    """Its columns are told apart from nests, unless it overrides `predict`."""

    def objective(model, batch, seed, is_training):
      del seed, is_training
      found = {'a': model * batch['x'], 'b': (batch['x'], 2 * batch['x'])}
      return objectives.Evaluation(batch['x'], found)

    class Own(tasks.Task):

      def predict(self, batch):
        return {'twice': 2 * batch['x']}

    options = dict(
        model=3.0,
        objective=objective,
        train_metric=metrics.collection({'accuracy': metrics.accuracy()}),
    )
    batch = {'x': tf.constant([1.0, 2.0])}
    like = objective(3.0, batch, None, False).predictions
    task = tasks.Task(**options)
    columns = task.predict(batch)
    found = task.predictions(columns, like)
    tf.nest.assert_same_structure(found, like)
    tf.nest.map_structure(np.testing.assert_array_equal, found, like)
    self.assertIsNone(Own(**options).predictions(columns, like))


class ParityTest(parameterized.TestCase):

  def _compared(self, reference, candidate):
    return parity._parity(
        {'y': np.asarray(reference)}, {'y': np.asarray(candidate)}
    )

  def test_floats_are_relative_to_the_largest(self):
    found = self._compared([1000.0, 0.0], [1000.0, 1.0])
    self.assertEqual(found['max_difference'], 1e-3)
    found = self._compared([0.5, 0.0], [0.5, 0.25])
    self.assertEqual(found['max_difference'], 0.25)

  def test_whole_numbers_are_the_same_or_not(self):
    found = self._compared([1, 2, 3], [1, 2, 4])
    self.assertEqual(
        (found['max_difference'], found['num_disagreements']), (1.0, 1)
    )

  def test_nan_is_far_off(self):
    found = self._compared([1.0, 0.0], [1.0, np.nan])
    self.assertFalse(
        export_report._is_within(found, types.SimpleNamespace(), 1e-4, None)
    )

  def test_refuses(self):
    with self.assertRaisesRegex(programs.Failure, r'shape \[3\], and \[2\]'):
      self._compared([1.0, 0.0], [1.0, 0.0, 0.0])
    with self.assertRaisesRegex(programs.UserError, 'no output has numbers'):
      parity._parity({'y': np.zeros(2)}, {'z': np.zeros(2)})


class FormatsTest(absltest.TestCase):

  def test_forms_of_images_and_of_others(self):
    image = tf.TensorSpec([None, 8, 8, 3], tf.uint8)
    row = tf.TensorSpec([None, 4], tf.float32)
    formats = export_formats.FORMATS
    for signature, module, expected in (
        ({'image': image}, 'a classifier', ['uint8', 'float32', 'PNG']),
        ({'image': image}, None, ['image', 'PNG']),
        ({'image': image, 'row': row}, None, ['image, row']),
        ({'row': row}, None, ['row']),
    ):
      described = tasks.Export(signature, lambda inputs: inputs, module)
      kinds = formats['saved_model'].kinds(described)
      self.assertEqual(list(kinds), expected)
      self.assertLen(formats['onnx'].kinds(described), 1)

  def test_images_as_files(self):
    image = tf.TensorSpec([None, 8, 8, 3], tf.uint8)
    described = tasks.Export({'image': image}, lambda inputs: inputs)
    kinds = export_formats.FORMATS['saved_model'].kinds(described)
    pixels = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape([2, 8, 8, 3])
    [files] = kinds['PNG']({'image': pixels}).values()
    for contents, expected in zip(files, pixels, strict=True):
      np.testing.assert_array_equal(tf.io.decode_png(contents), expected)


if __name__ == '__main__':
  absltest.main()
