"""Tests of variables by path."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import variables
from tests import virtual_devices


class Moments(NamedTuple):
  mean: tf.Variable
  variance: dict


class Network(snt.Module):
  """Two layers with the same name, one of them used twice."""

  def __init__(self):
    super().__init__()
    self.layers = [snt.Linear(3), snt.Linear(2, with_bias=False)]
    self.tied = self.layers[0]
    self.norm = snt.BatchNorm(create_scale=True, create_offset=False)
    self._hidden = tf.Variable(1.0)

  def __call__(self, x):
    x = self.norm(self.layers[0](x), is_training=True)
    return self.layers[1](x)


class NamedTest(parameterized.TestCase):

  @parameterized.parameters(None, 2)
  def test_paths_of_a_sonnet_module(self, num_replicas):
    strategy = (
        virtual_devices.mirrored(num_replicas)
        if num_replicas
        else tf.distribute.get_strategy()
    )
    with strategy.scope():
      network = Network()
      network(tf.ones([4, 5]))
    trainable = [
        'hidden',
        'layers/0/b',
        'layers/0/w',
        'layers/1/w',
        'norm/scale',
    ]
    named = variables.named(network)
    self.assertCountEqual(variables.trainable(network), trainable)
    self.assertContainsSubset(trainable, named)
    self.assertIn('norm/moving_mean/average', named)
    self.assertIs(named['layers/0/w'], network.layers[0].w)
    self.assertIs(named['hidden'], network._hidden)
    self.assertCountEqual(
        [id(variable) for variable in named.values()],
        [id(variable) for variable in network.variables],
    )

  def test_nests(self):
    a, b, c, d = (tf.Variable(float(i)) for i in range(4))
    nest = {'opt': (Moments(a, {'x/w': b}), [c]), 'step': d}
    named = variables.named(nest)
    self.assertEqual(
        list(named), ['opt/0/mean', 'opt/0/variance/x/w', 'opt/1/0', 'step']
    )
    self.assertEqual([float(v) for v in named.values()], [0.0, 1.0, 2.0, 3.0])
    self.assertEqual(variables.named({'a': (), 'b': 1.0, 'c': None}), {})

  def test_nests_inside_of_a_module(self):
    module = tf.Module()
    module.state = (Moments(tf.Variable(0.0), {'v': tf.Variable(1.0)}),)
    self.assertEqual(
        list(variables.named(module)), ['state/0/mean', 'state/0/variance/v']
    )

  def test_a_shared_variable_and_a_cycle_are_given_once(self):
    module = tf.Module()
    module.z = module.a = tf.Variable(1.0)
    module.parent = tf.Module()
    module.parent.child = module
    self.assertEqual(list(variables.named(module)), ['a'])

  def test_two_variables_of_one_path(self):
    module = tf.Module()
    module.w, module._w = tf.Variable(1.0), tf.Variable(2.0)
    with self.assertRaisesRegex(ValueError, 'two variables are called w'):
      variables.named(module)

  def test_variables_that_are_not_trainable(self):
    nest = [tf.Variable(1.0), tf.Variable(1.0, trainable=False)]
    self.assertEqual(list(variables.trainable(nest)), ['0'])


class DigestTest(parameterized.TestCase):

  def test_it_is_a_function_of_the_contents(self):
    make = lambda: {'a': tf.Variable([1.0, 2.0]), 'b': tf.Variable(3)}
    digest = variables.digest(make())
    self.assertRegex(digest, '^[0-9a-f]{64}$')
    self.assertEqual(digest, variables.digest(make()))
    self.assertEqual(
        digest, variables.digest(dict(reversed(list(make().items()))))
    )

  @parameterized.named_parameters(
      ('last_bit', lambda x: {'a': np.where(x == 9, np.nextafter(x, 0), x)}),
      ('sign_of_zero', lambda x: {'a': np.where(x == 0, -x, x)}),
      ('order', lambda x: {'a': np.roll(x, 1)}),
      ('shape', lambda x: {'a': x[:, None]}),
      ('dtype', lambda x: {'a': x.view(np.int32)}),
      ('name', lambda x: {'b': x}),
      ('more', lambda x: {'a': x, 'b': x[:0]}),
  )
  def test_it_changes_with(self, change):
    x = np.arange(2000, dtype=np.float32)
    other = {name: tf.Variable(value) for name, value in change(x).items()}
    self.assertNotEqual(
        variables.digest({'a': tf.Variable(x)}), variables.digest(other)
    )

  def test_replicas_do_not_matter(self):
    with virtual_devices.mirrored(3).scope():
      mirrored = {'a': tf.Variable([1.0, 2.0])}
    self.assertEqual(
        variables.digest(mirrored),
        variables.digest({'a': tf.Variable([1.0, 2.0])}),
    )


class OverviewTest(absltest.TestCase):

  def test_describes(self):
    rows = variables.overview({
        'w': tf.Variable(tf.zeros([3, 2], tf.bfloat16)),
        'step': tf.Variable(tf.zeros([], tf.int64)),
    })
    self.assertEqual(
        rows,
        [
            {
                'name': 'w',
                'shape': (3, 2),
                'dtype': 'bfloat16',
                'count': 6,
                'bytes': 12,
            },
            {
                'name': 'step',
                'shape': (),
                'dtype': 'int64',
                'count': 1,
                'bytes': 8,
            },
        ],
    )


if __name__ == '__main__':
  absltest.main()
