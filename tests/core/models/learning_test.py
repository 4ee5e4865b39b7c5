"""Every model of images learns: stripes of four directions, under noise.

Those of tables, texts and pixels learn in tests of their own.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import (
    loops,
    losses,
    metrics,
    models,
    objectives,
    optimizers,
    training,
)
from pipelines import preprocessing
from tests.core.models import cases

_SIZE = 8
_NUM_STEPS = 120
_BATCH_SIZE = 32


def _examples(num_batches):
  """Draws batches of images in [0, 1] whose stripes are of period 4."""
  generator = np.random.default_rng(0)
  y, x = np.mgrid[:_SIZE, :_SIZE]
  stripes = np.stack([x, y, x + y, x - y]) % 4 < 2
  labels = generator.integers(0, 4, [num_batches, _BATCH_SIZE])
  noise = generator.uniform(size=(*labels.shape, _SIZE, _SIZE))
  images = 0.5 * stripes[labels] + 0.5 * noise
  return {
      'image': images[..., np.newaxis].astype(np.float32),
      'label': labels,
      'weight': np.ones(labels.shape, np.float32),
  }


class LearningTest(parameterized.TestCase):

  @parameterized.parameters(*(
      name
      for name, model in models.REGISTRY.items()
      if model.task == 'image classification'
  ))
  @pytest.mark.medium
  def test_separates_stripes(self, name):
    tf.random.set_seed(0)
    wider = {
        'row_rnn': {'hidden_sizes': (16,)},
        'speednet': {'channels': (8, 12)},
        'vit': {'hidden_size': 16},
    }
    model = cases.create(name, **wider.get(name, {}))

    def inputs(batch):
      features = {
          name: preprocessing.FEATURES[name](batch['image'])
          for name in model.input_names
      }
      return features if len(features) > 1 else features[model.input_names[0]]

    examples = _examples(_NUM_STEPS + 20)
    objective = objectives.supervised(
        losses.softmax_cross_entropy, inputs=inputs
    )
    dataset = tf.data.Dataset.from_tensor_slices(examples)
    batch = next(iter(dataset))
    objective(model, batch, None, is_training=False)  # Makes the variables.
    optimizer = optimizers.adam(1e-2)
    state = training.TrainState(model, optimizer)
    metric = metrics.collection({'accuracy': metrics.accuracy()})
    train = loops.make_loop(
        training.make_train_step(objective, optimizer, metric)
    )
    evaluate = loops.make_loop(training.make_eval_step(objective, metric))
    zeros = training.zero_sums(metric, training.trace(objective, model, batch))
    iterator = iter(dataset)
    train(state, iterator, zeros, tf.constant(_NUM_STEPS))
    sums, _ = evaluate(state, iterator, zeros, tf.constant(20))
    values = training.summarize(metric, sums)
    self.assertEqual(float(sums['weight']), 20 * _BATCH_SIZE)
    self.assertGreater(float(values['accuracy']), 0.9)


if __name__ == '__main__':
  absltest.main()
