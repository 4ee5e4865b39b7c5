"""Tests of the losses that compare the examples of a batch."""

from __future__ import annotations

import numpy as np
import optax
import scipy.special
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import distribution, losses
from tests import virtual_devices

_GENERATOR = np.random.default_rng(0)
_FIRST, _SECOND = _GENERATOR.normal(size=(2, 6, 4))
_LABELS = np.array([5, 5, 9, 2, 9, 5])


def _log_softmax_of_others(embeddings, temperature):
  units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
  logits = units @ units.T / temperature
  np.fill_diagonal(logits, -np.inf)
  return scipy.special.log_softmax(logits, axis=1)


class InBatchTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 0.5)
  def test_nt_xent_by_its_equation(self, temperature):
    log_p = _log_softmax_of_others(
        np.concatenate([_FIRST, _SECOND]), temperature
    )
    expected = [-(log_p[i, i + 6] + log_p[i + 6, i]) / 2 for i in range(6)]
    actual = losses.nt_xent(_FIRST, _SECOND, temperature=temperature)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)
    reference = optax.losses.ntxent(
        np.concatenate([_FIRST, _SECOND]).astype(np.float32),
        np.tile(np.arange(6), 2),
        temperature,
    )
    np.testing.assert_allclose(losses.mean(actual), reference, rtol=1e-4)

  def test_supervised_contrastive_by_its_equation(self):
    log_p = _log_softmax_of_others(_FIRST, 0.2)
    expected = []
    for i, label in enumerate(_LABELS):
      mates = [j for j in range(6) if j != i and _LABELS[j] == label]
      expected.append(-np.mean(log_p[i, mates]) if mates else 0.0)
    np.testing.assert_allclose(
        losses.supervised_contrastive(_LABELS, _FIRST, temperature=0.2),
        expected,
        rtol=1e-9,
    )
    self.assertEqual(expected[3], 0.0)

  @parameterized.parameters(0.0, 1.0, 5.0)
  def test_batch_hard_triplet_by_its_equation(self, margin):
    distances = np.linalg.norm(_FIRST[:, None] - _FIRST[None], axis=-1)
    expected = []
    for i, label in enumerate(_LABELS):
      mates = [j for j in range(6) if j != i and _LABELS[j] == label]
      strangers = [j for j in range(6) if _LABELS[j] != label]
      hardest = margin + max(distances[i, mates], default=-np.inf)
      expected.append(max(0.0, hardest - min(distances[i, strangers])))
    np.testing.assert_allclose(
        losses.batch_hard_triplet(_LABELS, _FIRST, margin=margin),
        expected,
        rtol=1e-6,
        atol=1e-9,
    )

  def test_no_negative_no_triplet(self):
    values = losses.batch_hard_triplet(np.zeros(6, np.int32), _FIRST)
    np.testing.assert_array_equal(values, np.zeros(6))

  @parameterized.parameters(
      (losses.nt_xent, _FIRST),
      (losses.supervised_contrastive, _LABELS),
      (losses.batch_hard_triplet, _LABELS),
  )
  def test_weights_leave_examples_out(self, loss, first):
    kept = np.array([True, True, True, False, True, False])
    masked = loss(first, _SECOND, weights=kept).numpy()
    np.testing.assert_allclose(
        masked[kept], loss(first[kept], _SECOND[kept]), rtol=1e-9
    )
    np.testing.assert_array_equal(masked[~kept], [0, 0])
    np.testing.assert_array_equal(
        loss(first, _SECOND, weights=2.0 * kept), masked
    )
    none = loss(first, _SECOND, weights=np.zeros(6))
    np.testing.assert_array_equal(none, np.zeros(6))

  @parameterized.parameters(((6, 3),), ((4, 0, 5),))
  def test_gathered_over_replicas_is_one_batch(self, sizes):
    """Examples are found again by where they are, not by what they are.

    Some are equal, on one replica and on two. That a replica has only padding
    is tried with the conformance table.
    """
    generator = np.random.default_rng(3)
    first, second, distinct = generator.normal(size=(3, 9, 4))
    first[[2, 8]], second[[2, 8]] = first[0], second[0]
    labels = np.array([5, 5, 9, 0, 0, 5, 2, 9, -1])
    weights = np.array([1, 0.5, 1, 0, 0, 0, 2, 1, 1])

    def everything(labels, first, second, distinct, weights):
      results = {}
      for loss, given, embeddings in (
          (losses.nt_xent, first, second),
          (losses.supervised_contrastive, labels, second),
          (losses.batch_hard_triplet, labels, distinct),
      ):
        with tf.GradientTape() as tape:
          tape.watch((first, embeddings))
          values = loss(
              given, embeddings, weights=weights, gather=distribution.all_gather
          )
          total = losses.total(values, weights)
        gradients = tape.gradient(
            total, (first, embeddings), unconnected_gradients='zero'
        )
        results[loss.__name__] = values, *gradients
      return results

    arrays = labels, first, second, distinct, weights
    expected = everything(*map(tf.constant, arrays))
    strategy = virtual_devices.mirrored(len(sizes))
    ends = np.cumsum(sizes)[:-1]
    parts = [
        strategy.experimental_distribute_values_from_function(
            lambda context, x=array: tf.constant(
                np.split(x, ends)[context.replica_id_in_sync_group]
            )
        )
        for array in arrays
    ]
    actual = tf.function(lambda *x: strategy.run(everything, x))(*parts)
    for name, results in expected.items():
      for some, others in zip(actual[name], results, strict=True):
        some = np.concatenate(strategy.experimental_local_results(some))
        np.testing.assert_allclose(some, others, 1e-9, 1e-12, err_msg=name)
      self.assertGreater(np.abs(results[2]).max(), 0.01, name)

  def test_what_is_gathered_has_to_fit(self):
    for gather in (lambda x: x[:, :1], lambda x: x[: len(x.shape)]):
      with self.assertRaisesRegex(ValueError, 'gather: expected shape'):
        losses.nt_xent(_FIRST, _SECOND, gather=gather)

  @parameterized.parameters(
      (losses.nt_xent, _FIRST, 'first', 'temperature'),
      (losses.supervised_contrastive, _LABELS, 'labels', 'temperature'),
      (losses.batch_hard_triplet, _LABELS, 'labels', 'margin'),
  )
  def test_bad_calls(self, loss, first, argument, option):
    with self.assertRaisesRegex(ValueError, option):
      loss(first, _SECOND, **{option: -1.0})
    with self.assertRaisesRegex(ValueError, argument):
      loss(first[:2], _SECOND)
    with self.assertRaisesRegex(ValueError, 'weights'):
      loss(first, _SECOND, weights=np.ones([6, 1]))
    with self.assertRaisesRegex(ValueError, 'embeddings|second'):
      loss(first[0:1].ravel(), _SECOND[0])
    with self.assertRaisesRegex(TypeError, argument):
      loss(_LABELS if first is _FIRST else _LABELS * 1.0, _SECOND)


if __name__ == '__main__':
  absltest.main()
