"""Tests of connectionist temporal classification."""

from __future__ import annotations

import itertools

import numpy as np
import optax
import scipy.special
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses

_LOGITS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
_LABELS = np.array([[1, 2, 1], [2, 2, 0], [1, 0, 0], [0, 0, 0]])
_LABEL_LENGTHS = np.array([3, 2, 1, 0])
_LOGIT_LENGTHS = np.array([5, 3, 4, 2])


def _by_all_paths(label, logits, blank):
  log_p = scipy.special.log_softmax(logits, axis=1)
  scores = []
  for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
    collapsed = [k for k, _ in itertools.groupby(path) if k != blank]
    if collapsed == list(label):
      scores.append(sum(log_p[t, k] for t, k in enumerate(path)))
  return -scipy.special.logsumexp(scores)


class CtcTest(parameterized.TestCase):

  @parameterized.parameters(0, 2)
  def test_equals_the_sum_over_all_paths(self, blank):
    labels = {0: _LABELS, 2: np.where(_LABELS == 2, 0, _LABELS)}[blank]
    actual = losses.ctc_loss(
        labels,
        _LOGITS,
        label_lengths=_LABEL_LENGTHS,
        logit_lengths=_LOGIT_LENGTHS,
        blank_index=blank,
    )
    expected = [
        _by_all_paths(label[:length], logits[:frames], blank)
        for label, logits, length, frames in zip(
            labels, _LOGITS, _LABEL_LENGTHS, _LOGIT_LENGTHS, strict=True
        )
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

  def test_full_lengths_by_default_equal_optax(self):
    labels = np.array([[1, 2, 1], [2, 2, 1], [1, 2, 2], [2, 1, 2]])
    np.testing.assert_allclose(
        losses.ctc_loss(labels, _LOGITS),
        optax.losses.ctc_loss(
            _LOGITS, np.zeros([4, 5]), labels, np.zeros([4, 3])
        ),
        rtol=1e-5,
    )

  def test_what_is_beyond_the_lengths_is_not_read(self):
    lengths = {
        'label_lengths': _LABEL_LENGTHS,
        'logit_lengths': _LOGIT_LENGTHS,
    }
    labels, logits = _LABELS.copy(), _LOGITS.copy()
    labels[np.arange(3) >= _LABEL_LENGTHS[:, None]] = -7
    logits[np.arange(5) >= _LOGIT_LENGTHS[:, None]] = 1e4
    np.testing.assert_allclose(
        losses.ctc_loss(labels, logits, **lengths),
        losses.ctc_loss(_LABELS, _LOGITS, **lengths),
        rtol=1e-5,
    )

  def test_what_can_not_be_is_nan_in_a_graph(self):
    values = tf.function(losses.ctc_loss)(
        [[1, 2], [2, 2], [1, 2], [1, 2]],
        _LOGITS,
        label_lengths=[2, 2, 3, 2],
        logit_lengths=[2, 2, 5, 9],
    )
    np.testing.assert_array_equal(np.isnan(values), [0, 1, 1, 1])

  def test_bad_calls(self):
    labels = np.array([[1, 2]] * 4)
    with self.assertRaisesRegex(ValueError, 'label_lengths: .* frames'):
      losses.ctc_loss([[2, 2]] * 4, _LOGITS[:, :2])
    with self.assertRaisesRegex(ValueError, 'labels: .* blank 2'):
      losses.ctc_loss(labels, _LOGITS, blank_index=2)
    with self.assertRaisesRegex(ValueError, 'blank_index'):
      losses.ctc_loss(labels, _LOGITS, blank_index=3)
    with self.assertRaisesRegex(ValueError, 'labels'):
      losses.ctc_loss(labels[:2], _LOGITS)
    with self.assertRaisesRegex(ValueError, 'logits'):
      losses.ctc_loss(labels, _LOGITS[:, 0])
    with self.assertRaisesRegex(TypeError, 'labels'):
      losses.ctc_loss(labels * 1.0, _LOGITS)
    for lengths in ('label_lengths', 'logit_lengths'):
      with self.assertRaisesRegex(ValueError, lengths):
        losses.ctc_loss(labels, _LOGITS, **{lengths: [1, 2]})
      with self.assertRaisesRegex(TypeError, lengths):
        losses.ctc_loss(labels, _LOGITS, **{lengths: [1.0] * 4})
      with self.assertRaisesRegex(ValueError, lengths):
        losses.ctc_loss(labels, _LOGITS, **{lengths: [9] * 4})

  def test_what_is_not_read_and_what_is_excluded_may_be_anything(self):
    logits = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    labels, lengths = [[1, 2], [2, 1]], [5, 3]

    def observe(logits):
      x = tf.constant(logits)
      with tf.GradientTape() as tape:
        tape.watch(x)
        values = losses.ctc_loss(labels, x, logit_lengths=lengths)
      return values.numpy(), tape.gradient(values, x).numpy()

    values, gradient = observe(logits)
    garbled = logits.copy()
    garbled[1, 3:] = np.nan
    for actual, expected in zip(observe(garbled), (values, gradient)):
      np.testing.assert_array_equal(actual, expected)
    excluded = np.insert(logits, 3, -np.inf, axis=-1)
    actual, slope = observe(excluded)
    np.testing.assert_allclose(actual, values, 1e-6)
    np.testing.assert_allclose(slope[..., :3], gradient, 1e-5, 1e-6)
    np.testing.assert_array_equal(slope[..., 3], 0)


if __name__ == '__main__':
  absltest.main()
