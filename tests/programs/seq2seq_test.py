"""Keras's sequence-to-sequence transformer: masks, and a loss of each token.

https://keras.io/examples/nlp/neural_machine_translation_with_transformer/; here
it learns to write words of several lengths backwards.
"""

# ruff: noqa: I001
from __future__ import annotations

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest

from core import layers, losses, metrics, objectives, optimizers, random
from core import resident, training, variables

_LONGEST, _SIZE, _VOCABULARY = 5, 32, 8
_PADDING, _START, _END = 0, 1, 2
_METRIC = metrics.collection(
    {'accuracy': metrics.accuracy(), 'perplexity': metrics.perplexity()}
)
_OBJECTIVE = objectives.supervised(
    losses.softmax_cross_entropy, inputs='inputs'
)


def _words(num, seed):
  """Returns words, and the same backwards between start and end."""
  generator = np.random.default_rng(seed)
  source = np.zeros([num, _LONGEST], 'int32')
  target = np.zeros([num, _LONGEST + 2], 'int32')
  for i, length in enumerate(generator.integers(1, _LONGEST + 1, num)):
    word = generator.integers(_END + 1, _VOCABULARY, length)
    source[i, :length] = word
    target[i, : length + 2] = [_START, *word[::-1], _END]
  label = target[:, 1:]
  return {
      'inputs': {'source': source, 'target': target[:, :-1]},
      'label': label,
      'weight': (label != _PADDING).astype('float32'),  # A letter each.
  }


class Block(snt.Module):
  """Attention to what was written, then to what is read, then a layer."""

  def __init__(self, num_attentions):
    super().__init__()
    count = range(num_attentions)
    self.attentions = [layers.MultiHeadAttention(2, _SIZE // 2) for _ in count]
    self.norms = [snt.LayerNorm(-1, True, True) for _ in (*count, 'last')]
    self.hidden, self.out = layers.Dense(2 * _SIZE, 'relu'), layers.Dense(_SIZE)
    self.dropout = layers.Dropout(0.05)

  def __call__(self, x, seen, is_training, seed):
    """Maps ``[B, T, D]``; `seen` are pairs of keys, None for x, and masks."""
    seeds = random.split(seed, 3) if is_training else [None] * 3
    for attend, norm, (key, mask), own in zip(
        self.attentions, self.norms, seen, seeds
    ):
      x = norm(x + self.dropout(attend(x, key, mask=mask), is_training, own))
    y = self.dropout(self.out(self.hidden(x)), is_training, seeds[-1])
    return self.norms[-1](x + y)


class Transformer(snt.Module):

  def __init__(self):
    super().__init__()
    self.embeddings = [layers.Embedding(_VOCABULARY, _SIZE) for _ in range(2)]
    self.positions = [layers.Embedding(_LONGEST + 1, _SIZE) for _ in range(2)]
    self.encoder, self.decoder = Block(1), Block(2)
    self.logits = layers.Dense(_VOCABULARY)

  def __call__(self, inputs, is_training, seed=None):
    seeds = random.split(seed, 2) if is_training else (None, None)
    read, written = (
        embed(inputs[name]) + place(tf.range(inputs[name].shape[1]))
        for name, embed, place in zip(
            ('source', 'target'), self.embeddings, self.positions
        )
    )
    is_letter = (inputs['source'] != _PADDING)[:, tf.newaxis]  # [B, 1, S]
    length = written.shape[1]
    is_past = tf.linalg.band_part(tf.ones([length, length], tf.bool), -1, 0)
    read = self.encoder(read, [(None, is_letter)], is_training, seeds[0])
    seen = [(None, is_past), (read, is_letter)]
    return self.logits(self.decoder(written, seen, is_training, seeds[1]))


def _write(model, source):
  """Writes letter by letter, ``[B, T]``."""
  target = np.full([len(source), 1], _START, 'int32')
  for _ in range(_LONGEST + 1):
    logits = model({'source': source, 'target': target}, is_training=False)
    letter = np.argmax(logits[:, -1], axis=-1)[:, np.newaxis]
    target = np.concatenate([target, letter.astype('int32')], axis=1)
  return target[:, 1:]


def _make_state(optimizer):
  tf.random.set_seed(0)
  model = Transformer()
  model(_words(1, 0)['inputs'], is_training=False)
  return training.TrainState(model, optimizer)


class Seq2SeqTest(tf.test.TestCase):

  def test_learns_to_write_backwards(self):
    optimizer = optimizers.chain(
        optimizers.clip_by_global_norm(1.0), optimizers.adam(3e-3)
    )
    state = _make_state(optimizer)
    train = resident.make_train_loop(
        state, _OBJECTIVE, optimizer, _METRIC, _words(1280, 1), jit='off'
    )
    for epoch in range(8):  # The words are drawn at random already.
      train(resident.batched(range(1280), 64), epoch)

    test = _words(300, seed=2)
    evaluate = resident.make_eval_loop(
        state, _OBJECTIVE, _METRIC, test, jit='off'
    )
    values = training.summarize(_METRIC, evaluate()[0])
    log_p = tf.nn.log_softmax(state.model(test['inputs'], False)).numpy()
    y, counts = test['label'], test['weight'] > 0
    hits = (log_p.argmax(-1) == y)[counts]
    self.assertAllClose(values['accuracy'], hits.mean())
    loss = -np.take_along_axis(log_p, y[..., None], -1)[..., 0][counts].mean()
    self.assertAllClose(values['perplexity'], np.exp(loss), rtol=1e-4)
    is_right = _write(state.model, test['inputs']['source']) == y
    self.assertGreater(np.mean(np.all(is_right | ~counts, axis=1)), 0.9)

  def test_micro_batches_are_the_whole_batch(self):
    optimizer = optimizers.sgd(0.1, momentum=0.9)
    results = []
    for size in (None, 4):
      state = _make_state(optimizer)
      step = training.make_train_step(
          _OBJECTIVE, optimizer, _METRIC, micro_batch_size=size
      )
      data = tf.data.Dataset.from_tensor_slices(_words(28, 3))
      for batch in data.batch(14, drop_remainder=True):
        sums = step(state, batch)
      results.append((sums, variables.trainable(state.model)))
    self.assertAllClose(*results, rtol=1e-3, atol=1e-5)


if __name__ == '__main__':
  absltest.main()
