"""Every variable that a module can reach is found, or refused by name."""

from __future__ import annotations

import collections
import dataclasses
import functools
import tempfile
from typing import Any, NamedTuple

import chex
import keras
import numpy as np
import sonnet as snt
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, optimizers, substitution, training, variables


class Net(tf.Module):
  """A module with any attributes."""

  def __init__(self, **attributes: Any):
    super().__init__()
    for name, value in attributes.items():
      setattr(self, name, value)


class Private(tf.Module):

  def __init__(self):
    super().__init__()
    self.__private = tf.Variable(1.0)


class Pair(NamedTuple):
  w: Any
  b: Any


@chex.dataclass
class Mapped:
  w: Any


@dataclasses.dataclass
class Plain:
  w: Any


class Slots:
  __slots__ = ('w',)

  def __init__(self, w: Any):
    self.w = w


class OwnList(list):
  """A list that takes attributes."""


class OwnTuple(collections.namedtuple('OwnTuple', 'w')):
  """A named tuple that takes attributes."""


def _with_attribute(owner, value):
  owner.extra = value
  return owner


def _kept_by_class(base, value):
  return type('Keeper', (base,), {'w': value})()


def _module_with_slots(value):
  module = type('Slotted', (tf.Module,), {'__slots__': ('slot',)})()
  module.slot = value
  return module


def _global(value):
  names = {'value': value}
  exec('def function(): return value', names)  # pylint: disable=exec-used
  return names['function']


def _object_array(value):
  array = np.empty([1, 2], object)
  array[0, 1] = value
  return array


def _closure(value):
  return lambda: value


def _default(value):
  return lambda x=value: x


# Where tf.Module looks: from a variable, or a module, to an attribute.
FOUND = {
    'it': lambda value: value,
    'list': lambda value: [[1.0, value]],
    'deque': lambda value: collections.deque([value]),
    'tuple': lambda value: (value, 'text'),
    'named_tuple': lambda value: Pair(w=value, b=None),
    'dict': lambda value: {'a/b': {1: value}},
    'ordered': lambda value: collections.OrderedDict(z=value),
    'mapped': lambda value: Mapped(w=value),
    'module': lambda value: Net(inner=[value]),
}
# Places that no search of attributes visits.
HIDDEN = {
    'attribute_of_a_function': lambda value: _with_attribute(
        _closure(1), value
    ),
    'attribute_of_a_list': lambda value: (_with_attribute(OwnList(), value),),
    'attribute_of_a_tuple': lambda value: _with_attribute(OwnTuple(1), value),
    'bound': lambda value: Slots(value).__init__,
    'class_of_a_module': lambda value: _kept_by_class(tf.Module, [value]),
    'class_of_an_object': lambda value: _kept_by_class(object, value),
    'closure': _closure,
    'dataclass': lambda value: Plain(w=value),
    'default': _default,
    'function': lambda value: tf.function(_closure(value)),
    'global': _global,
    'module_slots': _module_with_slots,
    'object_array': _object_array,
    'object_in_dict': lambda value: {'a': Plain(w=[value])},
    'partial': lambda value: functools.partial(print, x=value),
    'set_of_partials': lambda value: {functools.partial(print, value)},
    'slots': Slots,
}
_ATTRIBUTES = (
    'w',
    '_w',
    '_tf_w',
    '_self_w',
    '__w',
    '__w__',
    '_Net__w',
    '_',
    'tf_w',
)


def _module_and_variable(kind):
  if kind == 'variable':
    variable = tf.Variable(1.0)
    return variable, variable
  linear = snt.Linear(1, with_bias=False)
  linear(tf.ones([1, 1]))
  return linear, linear.w


class FoundTest(parameterized.TestCase):

  @parameterized.product(
      name=_ATTRIBUTES, place=[*FOUND], kind=('variable', 'module')
  )
  def test_is_trained_averaged_and_saved(self, name, place, kind):
    value, variable = _module_and_variable(kind)
    net = Net(**{name: FOUND[place](value)})
    named = variables.named(net)
    self.assertEqual([id(v) for v in named.values()], [id(variable)])
    self.assertEqual([id(v) for v in net.variables], [id(variable)])
    [path] = named
    copy = substitution.substitute(net, {path: tf.zeros(variable.shape)})
    self.assertEmpty(variables.named(copy))
    if place in ('deque', 'list', 'mapped', 'named_tuple', 'tuple'):
      # Such as a deque for a deque, whatever tf.Module wraps it in.
      self.assertIsInstance(getattr(copy, name), type(FOUND[place](value)))
    state = training.TrainState(net, optimizers.sgd(0.1), average_decay=0.9)
    self.assertEqual(list(state.parameters), [path])
    self.assertIn(f'model/{path}', state.named_variables())
    self.assertEqual(list(state.average.parameters), [path])

  def test_a_private_attribute(self):
    net = Private()
    self.assertEqual(list(variables.named(net)), ['Private__private'])
    self.assertLen(net.variables, 1)

  @parameterized.named_parameters((name, name) for name in HIDDEN)
  def test_what_is_found_elsewhere_may_be_hidden_too(self, place):
    variable = tf.Variable(1.0)
    net = Net(a=HIDDEN[place](variable), z=variable)
    self.assertEqual(list(variables.named(net)), ['z'])

  def test_functions_and_objects_without_variables(self):
    net = Net(
        activation=tf.nn.gelu,
        numbers={1, 2},
        function=layers.activation('relu'),
        method=Plain(w=3).__repr__,
        initializer=snt.initializers.TruncatedNormal(),
        kind=Net,
        loss=keras.losses.MeanSquaredError(),
        w=tf.Variable(1.0),
    )
    net.itself = functools.partial(print, net)
    self.assertEqual(list(variables.named(net)), ['w'])


class HiddenTest(parameterized.TestCase):

  @parameterized.product(place=[*HIDDEN], kind=('variable', 'module'))
  def test_is_refused_by_name(self, place, kind):
    value, _ = _module_and_variable(kind)
    net = Net(good=tf.Variable(1.0), inner=Net(hidden=HIDDEN[place](value)))
    self.assertLen(net.variables, 1)
    for function in (
        variables.named,
        lambda net: training.TrainState(net, optimizers.sgd(0.1)),
        lambda net: substitution.substitute(net, {}),
    ):
      with self.assertRaisesRegex(
          ValueError, 'module: inner/hidden.*tf.Variable.*neither trained'
      ):
        function(net)

  @parameterized.named_parameters(
      ('layer', lambda: keras.layers.Dense(2)),
      ('model', lambda: keras.Sequential([keras.layers.Dense(1)])),
      ('optimizer', lambda: keras.optimizers.SGD(0.1)),
      ('seeds', lambda: keras.layers.Dropout(0.5)),
      ('variable', lambda: keras.Variable(1.0)),
  )
  def test_keras_is_refused_by_name(self, make):
    net = Net(good=tf.Variable(1.0), hidden=[make()])
    with self.assertRaisesRegex(
        ValueError, 'module: hidden/0 is a Keras .*core.layers'
    ):
      variables.named(net)
    with self.assertRaisesRegex(ValueError, 'Keras'):
      variables.named(make())

  def test_a_layer_of_keras_without_variables(self):
    flatten = keras.layers.Flatten()
    flatten(tf.zeros([1, 2, 3]))
    self.assertEmpty(variables.named(Net(flatten=flatten)))

  def test_a_view_of_a_dict(self):
    net = Net(hidden={'a': tf.Variable(1.0)}.values())
    with self.assertRaisesRegex(ValueError, 'module: hidden/'):
      variables.named(net)

  def test_a_concrete_function(self):
    variable = tf.Variable(1.0)
    function = tf.function(lambda: 2 * variable).get_concrete_function()
    with self.assertRaisesRegex(ValueError, 'module: hidden/variables/0'):
      variables.named(Net(hidden=function))
    net = Net(hidden=function, z=variable)
    self.assertEqual(list(variables.named(net)), ['z'])

  def test_a_generator_of_random_numbers(self):
    net = Net(noise=tf.random.Generator.from_seed(1))
    with self.assertRaisesRegex(ValueError, 'module: noise/'):
      variables.named(net)

  def test_a_saved_model(self):
    net = Net(w=tf.Variable(1.0))
    with tempfile.TemporaryDirectory() as folder:
      tf.saved_model.save(net, folder)
      loaded = tf.saved_model.load(folder)
    with self.assertRaisesRegex(ValueError, 'module: loaded/w'):
      variables.named(Net(loaded=loaded))


if __name__ == '__main__':
  absltest.main()
