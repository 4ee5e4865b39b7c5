"""Tests of launch.evaluating.evaluation: every example once, on any replicas.

Covers: culprits.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import training
from launch import experiment as experiment_lib
from launch import programs, reading
from launch.evaluating import evaluation
from tests import virtual_devices
from tests.launch import runs

_SIZES = {
    'train': runs.NUM_TRAIN,
    'validation': runs.NUM_VALIDATION,
    'test': runs.NUM_TEST,
}


def _make(num_replicas, **changes):
  config = runs.config(**changes)
  dataset = runs.dataset(config)
  data = reading.describe_data(config, dataset)
  experiment = experiment_lib.Experiment(config, data, 1)
  strategy = virtual_devices.mirrored(num_replicas)
  with strategy.scope():
    experiment.build()
    state = training.TrainState(experiment.model, experiment.optimizer)
  return state, dataset, evaluation.Evaluator(experiment, dataset, strategy)


class EvaluatorTest(parameterized.TestCase):

  @parameterized.parameters((1, 12), (2, 25), (3, 12), (3, 100))
  def test_every_example_once(self, num_replicas, batch_size):
    """Also where the replicas do not divide the batch they trained with."""
    state, dataset, evaluator = _make(
        num_replicas, global_batch_size=batch_size
    )
    for split, size in _SIZES.items():
      scored = evaluator.run(state, split)
      self.assertEqual((scored.split, scored.num_examples), (split, size))
      arrays = dataset.split(split).arrays
      images = tf.constant(arrays['image'], tf.float32) / 255
      logits = state.model(images, is_training=False)
      labels = arrays['label']
      confusion = np.zeros([4, 4], int)
      np.add.at(confusion, (labels, np.argmax(logits, -1)), 1)
      self.assertEqual(
          scored.report.values['confusion_matrix'], confusion.tolist()
      )
      self.assertAlmostEqual(
          scored.values['accuracy'], np.trace(confusion) / size, places=6
      )
      losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
      self.assertAlmostEqual(
          scored.values['loss'], float(np.mean(losses)), places=5
      )
    again = evaluator.run(state, 'test')
    self.assertEqual(again.to_json(), evaluator.run(state, 'test').to_json())
    self.assertEqual(evaluator.num_traces, 1)

  def test_a_loss_that_is_not_finite(self):
    """The loop ends there: what it has counted is not the split."""
    state, _, evaluator = _make(1)
    state.parameters['output/linear/b'].assign([np.nan, 0, 0, 0])
    with self.assertRaisesRegex(
        programs.Failure, r'batch 1 of 6 of the test split is not finite\.$'
    ):
      evaluator.run(state, 'test')


class ScalarsTest(absltest.TestCase):

  def test_scalars_and_vectors_are_told_apart(self):
    values = {
        'accuracy': tf.constant(0.5, tf.float64),
        'recall': tf.constant([0.25, 1.0]),
        'confusion_matrix': tf.zeros([2, 2]),
    }
    self.assertEqual(evaluation.scalars(values), {'accuracy': 0.5})


if __name__ == '__main__':
  absltest.main()
