"""An optimizer takes its own state only, and no variable for a number."""

from __future__ import annotations

import inspect

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import optimizers, schedules
from tests.core.conformance import bad_calls_modules, table_optimizers

_PARAMETERS = {
    'linear/w': tf.ones([4, 3]),
    'linear/b': tf.ones([3]),
    'scale': tf.constant(2.0),
}
_NUMBERS = ('float', 'int', 'ScalarOrSchedule')


def _shape_of(state):
  """Returns what tells two states apart."""
  return tf.nest.map_structure(lambda x: (x.shape, x.dtype.name), state)


def _are_alike(one, other):
  try:
    tf.nest.assert_same_structure(one, other)
  except (TypeError, ValueError):
    return False
  return repr(_shape_of(one)) == repr(_shape_of(other))


def _update(optimizer, state, parameters=_PARAMETERS):
  return optimizer.update(parameters, state, parameters)


class StatesTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.states = {
        name: member.init(_PARAMETERS)
        for name, member in table_optimizers.MEMBERS.items()
    }
    cls.distinct = []
    for state in cls.states.values():
      if not any(_are_alike(state, other) for other in cls.distinct):
        cls.distinct.append(state)

  def _assert_refused(self, optimizer, state, **subtest):
    with (
        self.subTest(**subtest),
        self.assertRaisesRegex(
            ValueError, 'state: it does not belong to this optimizer.*got'
        ),
    ):
      _update(optimizer, state)

  @parameterized.named_parameters(*table_optimizers.named())
  def test_another_state_is_refused(self, name):
    optimizer, own = table_optimizers.MEMBERS[name], self.states[name]
    others = [state for state in self.distinct if not _are_alike(state, own)]
    start = len(name) % len(others)  # Others for each, so that all are tried.
    for number, state in enumerate([*others, *others][start : start + 6]):
      self._assert_refused(optimizer, state, other=number)
    self._assert_refused(optimizer, (own,), wrapped=True)
    self._assert_refused(optimizer, None, none=True)
    leaves = tf.nest.flatten(own)
    if leaves:
      halves = [tf.cast(leaf, tf.float16) for leaf in leaves]
      halved = tf.nest.pack_sequence_as(own, halves)
      self._assert_refused(optimizer, halved, dtype=True)
    # As it was made, or as its variables are in a TrainState.
    variables = tf.nest.map_structure(
        lambda leaf: tf.Variable(leaf, trainable=False), own
    )
    module = tf.Module()
    module.state = variables
    _update(optimizer, module.state)

  @parameterized.named_parameters(*table_optimizers.named())
  def test_the_state_of_other_parameters_is_refused(self, name):
    optimizer = table_optimizers.MEMBERS[name]
    other = {**_PARAMETERS, 'linear/w': tf.ones([4, 1])}
    state = optimizer.init(other)
    if not _are_alike(state, self.states[name]):
      self._assert_refused(optimizer, state, shape=True)

  def test_the_message_has_both_states_and_where_they_differ(self):
    optimizer = optimizers.chain(
        optimizers.clip(1.0), optimizers.sgd(0.1, momentum=0.9)
    )
    state = ((), optimizers.adam(0.1).init(_PARAMETERS))
    with self.assertRaisesRegex(
        ValueError,
        r"at '1/0' TraceState.*got ScaleByAdamState\(count=int64\[\], mu=",
    ):
      _update(optimizer, state)

  def test_parameters_of_unknown_shape_have_no_state_to_compare_with(self):
    optimizer = optimizers.sgd(0.1)

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def update(w):
      return optimizer.update({'w': w}, (), {'w': w})[0]['w']

    self.assertEqual(update(tf.ones([2])).shape, [2])

  @parameterized.parameters(None, True)
  def test_a_gradient_of_unknown_size_is_not_broadcast(self, jit_compile):
    w = {'w': tf.ones([2, 3])}
    for name, optimizer in (
        ('adam', optimizers.adam(0.1)),
        ('muon', optimizers.muon(0.1)),
        ('sgd', optimizers.sgd(0.1)),
    ):
      update = tf.function(
          lambda g, optimizer=optimizer: optimizer.update(
              {'w': g}, optimizer.init(w), w
          )[0]['w'],
          input_signature=[tf.TensorSpec([None, 3])],
          jit_compile=jit_compile,
      )
      with self.subTest(name):
        self.assertEqual(update(tf.ones([2, 3])).shape, [2, 3])
        with self.assertRaises(tf.errors.InvalidArgumentError):
          update(tf.ones([1, 3]))

  def test_two_leaves_of_one_path(self):
    nest = {'a/b': tf.constant(1.0), 'a': {'b': tf.constant(2.0)}}
    for name, optimizer in table_optimizers.MEMBERS.items():
      with (
          self.subTest(name),
          self.assertRaisesRegex(ValueError, "have the path 'a/b'"),
      ):
        optimizer.update(nest, optimizer.init(nest), nest)


def _scalars():
  """Lists each scalar hyper-parameter of each public function, with a call."""
  found = []
  for package, table in (
      (optimizers, bad_calls_modules.OPTIMIZERS),
      (schedules, bad_calls_modules.SCHEDULES),
  ):
    for name, line in table.items():
      takes = inspect.signature(getattr(package, name)).parameters
      found += [
          (f'{name}_{argument}', getattr(package, name), line.good, argument)
          for argument, parameter in takes.items()
          if any(kind in str(parameter.annotation) for kind in _NUMBERS)
          and 'Mapping' not in str(parameter.annotation)
          and 'Sequence' not in str(parameter.annotation)
          and 'tuple' not in str(parameter.annotation)
      ]
  return found


class VariablesTest(parameterized.TestCase):

  @parameterized.named_parameters(*_scalars())
  def test_a_variable_is_refused(self, function, good, argument):
    for number in (1, 0.5):
      with self.assertRaisesRegex(ValueError, r': .*tf\.Variable'):
        function(**{**good, argument: tf.Variable(number)})

  def test_variables_in_sequences(self):
    for call in (
        lambda number: optimizers.scale_by_muon(ns_coeffs=(1.0, 2.0, number)),
        lambda number: schedules.piecewise_constant(0.1, {3: number}),
    ):
      with self.assertRaisesRegex(ValueError, r'tf\.Variable'):
        call(tf.Variable(0.5))

  def test_a_function_of_the_step_may_read_a_variable(self):
    rate = tf.Variable(0.5)
    optimizer = optimizers.sgd(lambda step: rate)
    w = {'w': tf.constant(1.0)}
    update = tf.function(lambda: optimizer.update(w, optimizer.init(w), w)[0])
    self.assertEqual(float(update()['w']), -0.5)
    rate.assign(0.25)
    self.assertEqual(float(update()['w']), -0.25)

  def test_a_schedule_is_one_number(self):
    vector = lambda step: np.float32([0.1, 0.2, 0.3])
    for optimizer in (
        optimizers.sgd(lambda step: tf.constant(vector(step))),
        optimizers.adamw(0.1, weight_decay=lambda s: tf.constant(vector(s))),
    ):
      with self.assertRaisesRegex(ValueError, 'schedule: expected shape'):
        _update(optimizer, optimizer.init(_PARAMETERS))


if __name__ == '__main__':
  absltest.main()
