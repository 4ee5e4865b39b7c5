"""Tests of modules with other values in the place of their variables."""

from __future__ import annotations

import collections

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, models, substitution, variables
from tests.core.models import cases

_Pair = collections.namedtuple('_Pair', 'one two')
_X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


class Everything(snt.Module):
  """Keeps its parts in every kind of container, one twice, and in a cycle."""

  def __init__(self):
    super().__init__()
    self.in_list = [layers.Dense(3), tf.nn.relu]
    self.in_dict = {'b': layers.Dense(3), 'a': (layers.Dense(3), 7)}
    self.in_pair = _Pair(layers.Dense(3), None)
    self.scale = tf.Variable([1.0, 2.0, 3.0])
    self.tied = self.scale
    self.again = self.in_list[0]
    self.child = layers.Residual(layers.Dense(3))
    self.child.parent = self
    self.count = tf.Variable(0, trainable=False)
    self.calls = 0

  def __call__(self, x):
    self.calls += 1
    self.count.assign_add(1)
    for part in (
        *self.in_list,
        self.in_dict['b'],
        self.in_dict['a'][0],
        self.in_pair.one,
        self.again,
        self.child.parent.child,
    ):
      x = part(x)
    return x * self.scale * self.tied


def _everything():
  module = Everything()
  module(_X)
  for index, variable in enumerate(variables.trainable(module).values()):
    generator = np.random.default_rng(index)
    variable.assign(generator.normal(size=variable.shape))
  return module


def _values(module, seed=100):
  return {
      name: np.random.default_rng(seed).normal(size=v.shape).astype(np.float32)
      for name, v in variables.trainable(module).items()
  }


class SubstituteTest(parameterized.TestCase):

  def test_computes_as_if_the_values_were_assigned(self):
    module = _everything()
    before = module(_X).numpy()
    values = _values(module)
    copy = substitution.substitute(module, values)
    for run in (copy, tf.function(copy), tf.function(copy, jit_compile=True)):
      substituted = run(tf.constant(_X)).numpy()
    np.testing.assert_array_equal(module(_X), before)
    for name, variable in variables.trainable(module).items():
      variable.assign(values[name])
    np.testing.assert_allclose(module(_X), substituted, rtol=1e-4)
    self.assertGreater(np.abs(before - substituted).max(), 0.1)

  def test_what_is_shared_stays_shared_and_the_rest_is_the_same(self):
    module = _everything()
    copy = substitution.substitute(module, _values(module))
    self.assertIsInstance(copy, Everything)
    self.assertIs(copy.tied, copy.scale)
    self.assertIs(copy.again, copy.in_list[0])
    self.assertIs(copy.child.parent, copy)
    self.assertIs(copy.count, module.count)
    self.assertEqual(copy.in_dict['a'][1], 7)
    self.assertEqual(copy.in_pair._fields, ('one', 'two'))
    self.assertEqual(list(variables.named(copy)), ['count'])
    copy(_X)
    self.assertEqual((module.calls, copy.calls), (1, 2))
    self.assertEqual(int(module.count), 2)

  def test_some_of_the_variables(self):
    module = _everything()
    copy = substitution.substitute(module, {'scale': [0.0, 1.0, 0.0]})
    x = copy(_X).numpy()
    np.testing.assert_array_equal(x[:, [0, 2]], np.zeros([5, 2]))
    self.assertTrue(np.any(x[:, 1]))
    named = variables.named(module)
    named.pop('scale')
    self.assertEqual(
        {name: id(v) for name, v in variables.named(copy).items()},
        {name: id(v) for name, v in named.items()},
    )

  def test_gradients_reach_the_values(self):
    module = _everything()
    values = {name: tf.constant(v) for name, v in _values(module).items()}
    with tf.GradientTape() as tape:
      tape.watch(values)
      y = substitution.substitute(module, values)(_X)
    for name, gradient in tape.gradient(y, values).items():
      self.assertTrue(np.any(gradient), name)

  @parameterized.parameters(*models.REGISTRY)
  def test_variables_for_variables_make_a_model_of_its_own(self, name):
    model = cases.create(name)
    batch = cases.batch(model, (8, 8, 3), 4)
    inputs = cases.inputs(model, batch)
    outputs = model(inputs, is_training=False)
    doubled = {
        name: tf.Variable(2 * v, dtype=v.dtype)
        for name, v in variables.named(model).items()
    }
    copy = substitution.substitute(model, doubled)
    self.assertEqual(
        {name: id(v) for name, v in variables.named(copy).items()},
        {name: id(v) for name, v in doubled.items()},
    )
    self.assertSameElements(
        [id(v) for v in copy.variables], [id(v) for v in doubled.values()]
    )
    other = copy(inputs, is_training=False)
    changes = tf.nest.map_structure(
        lambda one, two: np.abs(one - two).max(), outputs, other
    )
    self.assertGreater(min(tf.nest.flatten(changes)), 0)

  def test_refuses(self):
    module = _everything()
    with self.assertRaisesRegex(ValueError, "values: unknown 'w'; known: ag"):
      substitution.substitute(module, {'w': tf.zeros([3, 3])})
    with self.assertRaisesRegex(ValueError, r'values: scale: .*\[3\].*\(2,\)'):
      substitution.substitute(module, {'scale': tf.zeros([2])})


if __name__ == '__main__':
  absltest.main()
