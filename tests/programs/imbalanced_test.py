"""Keras's imbalanced classification, against scikit-learn's regression.

https://keras.io/examples/structured_data/imbalanced_classification/, on tumours
of which one in eight is malignant: class weights, metrics of the rare class,
and numbers that are normalised by the training split.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from absl.testing import absltest
from sklearn import datasets, linear_model, pipeline, preprocessing
from sklearn import metrics as sklearn_metrics

from core import (
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    resident,
    schedules,
    training,
)

_METRIC = metrics.collection({
    'auc': metrics.roc_auc(),
    'average_precision': metrics.average_precision(),
    'precision': metrics.binary_precision(),
    'recall': metrics.binary_recall(),
})


def _tumours():
  """Returns a training split, with weights, and a test split without."""
  x, is_benign = datasets.load_breast_cancer(return_X_y=True)
  malignant, benign = (np.flatnonzero(is_benign == kind) for kind in (0, 1))
  rows = np.concatenate([benign, malignant[: len(benign) // 7]])
  rows = np.random.default_rng(0).permutation(rows)
  x, y = x[rows].astype('float32'), 1 - is_benign[rows].astype('int32')
  train, test = (
      {'numbers': x[part], 'label': y[part]}
      for part in (slice(250), slice(250, None))
  )
  weight = np.where(train['label'] == 1, 7.0, 1.0).astype('float32')
  return {**train, 'weight': weight}, test


def _fit(train, hidden_sizes, penalty_scale, batch_size, num_epochs):
  """Trains in one call; returns the state and the objective."""
  tf.random.set_seed(0)
  num_batches = -(-len(train['label']) // batch_size)
  schedule = schedules.cosine_decay(0.05, num_epochs * num_batches)
  optimizer = optimizers.adam(schedule)
  model = models.create('tabular', 1, hidden_sizes=hidden_sizes)
  model.build(train['numbers'].shape)
  model.initialize(train['numbers'])
  state = training.TrainState(model, optimizer)
  objective = objectives.supervised(
      losses.sigmoid_binary_cross_entropy,
      inputs='numbers',
      labels=lambda batch: batch['label'][:, tf.newaxis],
      penalty=lambda model: losses.l2_penalty(
          [v for v in model.trainable_variables if v.shape.rank == 2],
          scale=penalty_scale,
      ),
  )
  metric = metrics.collection({'accuracy': metrics.binary_accuracy()})
  loop = resident.make_train_loop(state, objective, optimizer, metric, train)
  generator = np.random.default_rng(0)
  rows = [
      resident.batched(generator.permutation(len(train['label'])), batch_size)
      for _ in range(num_epochs)
  ]
  loop(tf.concat(rows, axis=0), epoch=0)
  return state, objective


class ImbalancedTest(absltest.TestCase):

  def test_one_layer_is_logistic_regression(self):
    train, test = _tumours()
    theirs = pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        linear_model.LogisticRegression(C=0.1, tol=1e-8),
    )
    y, weight = train['label'], train['weight']
    theirs.fit(train['numbers'], y, logisticregression__sample_weight=weight)
    # With 1 / (2 C) for the penalty they sum what we average.
    scale = 1 / (2 * 0.1 * weight.sum())
    state, _ = _fit(train, (), scale, batch_size=250, num_epochs=1000)
    logits = state.model(test['numbers'], is_training=False)[:, 0]
    expected = theirs.decision_function(test['numbers'])
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)

  def test_a_network_finds_the_few_and_is_measured_exactly(self):
    train, test = _tumours()
    state, objective = _fit(train, (16,), 1e-4, batch_size=64, num_epochs=30)
    evaluate = resident.make_eval_loop(
        state, objective, _METRIC, test, global_batch_size=64
    )
    sums, _ = evaluate()
    self.assertEqual(sums['weight'], len(test['label']))
    values = training.summarize(_METRIC, sums)
    self.assertGreater(values['average_precision'], 0.8)

    y, logits = test['label'], state.model(test['numbers'], False).numpy()[:, 0]
    expected = {
        'auc': sklearn_metrics.roc_auc_score(y, logits),
        'average_precision': sklearn_metrics.average_precision_score(y, logits),
        'precision': sklearn_metrics.precision_score(y, logits > 0),
        'recall': sklearn_metrics.recall_score(y, logits > 0),
    }
    for name, value in expected.items():
      np.testing.assert_allclose(values[name], value, atol=1e-3, err_msg=name)


if __name__ == '__main__':
  absltest.main()
