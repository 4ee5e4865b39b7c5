"""Tests of what the layers of a model cost."""

from __future__ import annotations

import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, losses, objectives, training, variables
from launch import tables
from launch.machine import costs

_CLASSES = 3


class _Network(tf.Module):
  """A layer, then a dense one to the classes."""

  def __init__(self, layer):
    super().__init__()
    self.layer, self.output = layer, snt.Linear(_CLASSES)

  def __call__(self, inputs):
    x = self.layer(inputs)
    return self.output(snt.flatten(x))


class _Grouped(tf.Module):
  """A depthwise convolution of 2 outputs a channel, with stride 2."""

  def __init__(self, is_trained=True):
    super().__init__()
    self.w = tf.Variable(tf.ones([3, 3, 4, 2]), trainable=is_trained)

  def __call__(self, inputs):
    return tf.nn.depthwise_conv2d(inputs, self.w, [1, 2, 2, 1], 'SAME')


class _Compiled(tf.Module):
  """Two dense layers inside a graph of their own."""

  def __init__(self):
    super().__init__()
    self.network = snt.Sequential([snt.Linear(5), snt.Linear(6)])

  @tf.function
  def __call__(self, inputs):
    return self.network(inputs)


class _Products(tf.Module):
  """An einsum, a product of a batch, and a transposed product."""

  def __init__(self):
    super().__init__()
    self.w = tf.Variable(tf.ones([4, 2, 5]))

  def __call__(self, inputs):  # [1, 6, 4]
    x = tf.einsum('btc,chd->bhtd', inputs, self.w)  # [1, 2, 6, 5]
    scores = tf.matmul(x, x, transpose_b=True)  # [1, 2, 6, 6]
    return tf.matmul(scores, tf.stop_gradient(x))


def _layers(model, inputs):
  """Returns what the layers of a model cost for one example."""
  objective = objectives.supervised(
      losses.softmax_cross_entropy, inputs='inputs'
  )
  batch = {'inputs': tf.zeros([1, *inputs]), 'label': tf.zeros([1], tf.int64)}
  objective(model, batch, None, is_training=False)
  recorder = costs.CallRecorder(model)
  with recorder.recorded():
    forward = training.trace(objective, model, batch)
  return recorder.layers(forward, variables.trainable(model))


class LayersTest(parameterized.TestCase):

  @parameterized.named_parameters(
      # Twice the multiplications; no gradient is taken of the data.
      ('dense', lambda: snt.Linear(7), [5], 2 * 5 * 7, 2 * 5 * 7, 4 * 7),
      (
          'conv',
          lambda: snt.Conv2D(8, 3, stride=2),
          [6, 6, 4],
          2 * (3 * 3 * 8) * (3 * 3 * 4),
          2 * (3 * 3 * 8) * (3 * 3 * 4),
          4 * 3 * 3 * 8,
      ),
      (
          'valid',
          lambda: snt.Conv2D(8, 3, padding='VALID'),
          [6, 6, 4],
          2 * (4 * 4 * 8) * (3 * 3 * 4),
          2 * (4 * 4 * 8) * (3 * 3 * 4),
          4 * 4 * 4 * 8,
      ),
      (
          'transposed',
          lambda: snt.Conv2DTranspose(8, 3, stride=2),
          [6, 6, 4],
          2 * (6 * 6 * 4) * (3 * 3 * 8),
          2 * (6 * 6 * 4) * (3 * 3 * 8),
          4 * 12 * 12 * 8,
      ),
      (
          'depthwise',
          _Grouped,
          [6, 6, 4],
          2 * (3 * 3 * 8) * (3 * 3),
          2 * (3 * 3 * 8) * (3 * 3),
          4 * 3 * 3 * 8,
      ),
      (
          'frozen',
          lambda: _Grouped(is_trained=False),
          [6, 6, 4],
          2 * (3 * 3 * 8) * (3 * 3),
          0,
          4 * 3 * 3 * 8,
      ),
      (
          # The product of the batch has two gradients, the last one.
          'products',
          _Products,
          [6, 4],
          2 * (6 * 4 * 10) + 2 * (2 * 6 * 6 * 5) + 2 * (2 * 6 * 6 * 5),
          2 * (6 * 4 * 10) + 2 * 2 * (2 * 6 * 6 * 5) + 2 * (2 * 6 * 6 * 5),
          4 * 2 * 6 * 5,
      ),
  )
  def test_of_one_layer(self, make, shape, forward, backward, output_bytes):
    found = _layers(_Network(make()), shape)
    layer = found['layer']
    self.assertEqual((layer.forward, layer.backward), (forward, backward))
    self.assertEqual(layer.output_bytes, output_bytes)
    self.assertEqual(
        layer.convolved, forward + backward if len(shape) == 3 else 0
    )
    # It gets a gradient for its inputs as well, unless nothing before learns.
    size = 2 * output_bytes // 4 * _CLASSES
    self.assertEqual(found['output'].forward, size)
    self.assertEqual(found['output'].backward, 2 * size if backward else size)

  def test_of_attention(self):
    length, size = 6, 8
    model = layers.MultiHeadAttention(2, size // 2)
    found = _layers(_Network(model), [length, size])
    dense = 2 * length * size * size
    for name in ('query', 'key', 'value', 'output'):
      layer = found[f'layer/{name}/linear']
      # The first three read the data.
      times = 2 if name == 'output' else 1
      self.assertEqual(
          (layer.forward, layer.backward), (dense, times * dense), name
      )
    # Scores and what they weigh: two products of batches.
    both = 2 * (2 * length * length * size)
    attention = found['layer']
    self.assertEqual((attention.forward, attention.backward), (both, 2 * both))

  def test_of_layers_inside_a_tf_function(self):
    found = _layers(_Network(_Compiled()), [4])
    one, other = (found[f'layer/network/layers/{index}'] for index in (0, 1))
    self.assertEqual((one.forward, one.backward), (40, 40))
    self.assertEqual((other.forward, other.backward), (60, 120))

  def test_a_layer_that_is_called_twice_counts_twice(self):
    layer = snt.Linear(5)
    found = _layers(_Network(snt.Sequential([layer, layer])), [5])
    [name] = [name for name in found if name.startswith('layer')]
    self.assertEqual(found[name].forward, 2 * 2 * 25)
    self.assertEqual(found[name].backward, 3 * 2 * 25)
    self.assertEqual(found[name].output_bytes, 2 * 4 * 5)

  def test_a_class_and_its_base_count_once(self):
    class Own(snt.Linear):
      pass

    found = _layers(_Network(snt.Sequential([Own(5), snt.Linear(6)])), [4])
    one, other = (found[f'layer/layers/{index}'] for index in (0, 1))
    self.assertEqual((one.kind, one.output_bytes), ('Own', 4 * 5))
    self.assertEqual((other.kind, other.output_bytes), ('Linear', 4 * 6))
    self.assertEqual((one.forward, other.forward), (2 * 20, 2 * 30))

  def test_calls_are_as_before_afterwards(self):
    class Own(snt.Linear):
      pass

    before = [dict(vars(kind)) for kind in (Own, snt.Linear, _Network)]
    _layers(_Network(Own(4)), [3])
    after = [dict(vars(kind)) for kind in (Own, snt.Linear, _Network)]
    for one, other in zip(before, after, strict=True):
      self.assertEqual(list(one), list(other))
      self.assertIs(one.get('__call__'), other.get('__call__'))

  def test_table(self):
    found = _layers(_Network(snt.Linear(700)), [500])
    lines = [line.split() for line in tables.layers(found).splitlines()]
    self.assertIn(
        [
            'layer',
            'b',
            '700,',
            'w',
            '500',
            'x',
            '700',
            '350,700',
            '1.4',
            'M',
            '2.8',
            'k',
            '700',
            'k',
            '700',
            'k',
        ],
        lines,
    )
    [total] = [line for line in lines if line[:1] == ['all']]
    self.assertEqual(total[1], f'{350_700 + 2_103:,}')


if __name__ == '__main__':
  absltest.main()
