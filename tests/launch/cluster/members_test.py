"""Tests of launch.cluster.members."""

from __future__ import annotations

import json

import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import programs
from launch.cluster import members

_TWO = {'worker': ['localhost:1', 'localhost:2']}
_FIRST = {'type': 'worker', 'index': 0}


class MembersTest(parameterized.TestCase):

  @parameterized.parameters(
      (_TWO, {'type': 'worker', 'index': 1}, ('localhost:1', 'localhost:2'), 1),
      (
          _TWO,
          {'type': 'worker', 'index': '1'},
          ('localhost:1', 'localhost:2'),
          1,
      ),
      ({'worker': ['n-1.a.b:65535']}, _FIRST, ('n-1.a.b:65535',), 0),
      (
          {'worker': ['[::1]:12', '[fe80::2]:12']},
          _FIRST,
          ('[::1]:12', '[fe80::2]:12'),
          0,
      ),
      (
          {'chief': ['a:1'], 'worker': ['b:1', 'c:1']},
          {'type': 'chief', 'index': 0},
          ('a:1', 'b:1', 'c:1'),
          0,
      ),
      (
          {'worker': ['b:1', 'c:1'], 'chief': ['a:1']},
          {'type': 'worker', 'index': 1},
          ('a:1', 'b:1', 'c:1'),
          2,
      ),
      ({'chief': ['a:1']}, {'type': 'chief', 'index': 0}, ('a:1',), 0),
      ({'chief': [], 'worker': ['b:1']}, _FIRST, ('b:1',), 0),
  )
  def test_order_is_that_of_tensorflow(self, cluster, task, addresses, index):
    found = members.of_tf_config(json.dumps({'cluster': cluster, 'task': task}))
    self.assertEqual((found.addresses, found.index), (addresses, index))
    again = members.of_tf_config(found.to_tf_config())
    self.assertEqual(again, found)
    value = json.loads(found.to_tf_config())
    spec = tf.train.ClusterSpec(value['cluster'])
    self.assertEqual(
        spec.task_address(value['task']['type'], value['task']['index']),
        addresses[index],
    )
    self.assertIn(addresses[index], found.name(index))
    self.assertLen(found.others, found.size - 1)

  def test_names(self):
    found = members.Members(('a:1', 'b:1', 'c:1'), 1, has_chief=True)
    self.assertEqual(found.names([0, 1]), 'chief (a:1), worker 0 (b:1)')
    found = members.Members(('a:1', 'b:1'), 1)
    self.assertEqual(found.names(found.others), 'worker 0 (a:1)')

  @parameterized.parameters(
      ('{"cluster":', 'is not JSON'),
      ('[]', r'is \[\]: expected .*HOST:PORT'),
      ('{}', 'names no cluster'),
      ('null', 'is None'),
      ({'cluster': [], 'task': _FIRST}, 'names no cluster'),
      ({'cluster': {}, 'task': _FIRST}, 'names no workers'),
      ({'cluster': {'worker': []}, 'task': _FIRST}, 'names no workers'),
      (
          {'cluster': {'worker': {'0': 'a:1'}}, 'task': _FIRST},
          'for worker: expected a list',
      ),
      ({'cluster': {'worker': 'a:1'}, 'task': _FIRST}, 'expected a list'),
      ({'cluster': {'worker': [['a:1']]}, 'task': _FIRST}, 'HOST:PORT'),
      (
          {'cluster': {'worker': ['here']}, 'task': _FIRST},
          "the worker 'here': expected HOST:PORT",
      ),
      ({'cluster': {'worker': ['here:']}, 'task': _FIRST}, 'HOST:PORT'),
      ({'cluster': {'worker': [':12']}, 'task': _FIRST}, 'HOST:PORT'),
      ({'cluster': {'worker': ['a:0']}, 'task': _FIRST}, 'HOST:PORT'),
      ({'cluster': {'worker': ['a:99999']}, 'task': _FIRST}, 'HOST:PORT'),
      ({'cluster': {'worker': ['a:٣']}, 'task': _FIRST}, 'HOST:PORT'),
      ({'cluster': {'worker': ['::1:12']}, 'task': _FIRST}, 'HOST:PORT'),
      (
          {'cluster': {'worker': ['a:1', 'b:1', 'a:1']}, 'task': _FIRST},
          "names 'a:1' twice",
      ),
      (
          {'cluster': {'chief': ['a:1'], 'worker': ['a:1']}, 'task': _FIRST},
          "names 'a:1' twice",
      ),
      ({'cluster': {'chief': ['a:1', 'b:1']}, 'task': _FIRST}, '2 chiefs'),
      ({'cluster': {**_TWO, 'ps': ['p:1']}, 'task': _FIRST}, "the job 'ps'"),
      ({'cluster': _TWO}, 'does not say which task'),
      ({'cluster': _TWO, 'task': {}}, 'does not say which task'),
      ({'cluster': _TWO, 'task': {'type': 'worker'}}, 'which task'),
      ({'cluster': _TWO, 'task': {'type': 'ps', 'index': 0}}, "type 'ps'"),
      (
          {'cluster': _TWO, 'task': {'type': 'evaluator', 'index': 0}},
          "type 'evaluator'",
      ),
      (
          {'cluster': _TWO, 'task': {'type': 'worker', 'index': -1}},
          'the index -1 of worker, of which there are 2: expected 0 to 1',
      ),
      (
          {'cluster': _TWO, 'task': {'type': 'worker', 'index': 2}},
          'the index 2 of worker',
      ),
      (
          {'cluster': _TWO, 'task': {'type': 'chief', 'index': 0}},
          'the index 0 of chief, of which there are 0: expected another type',
      ),
      (
          {'cluster': _TWO, 'task': {'type': 'worker', 'index': 0.5}},
          'the index 0.5: expected an integer',
      ),
      (
          {'cluster': _TWO, 'task': {'type': 'worker', 'index': 'one'}},
          "the index 'one': expected an integer",
      ),
      (
          {'cluster': _TWO, 'task': {'type': 'worker', 'index': True}},
          'the index True: expected an integer',
      ),
  )
  def test_what_is_refused(self, value, message):
    text = value if isinstance(value, str) else json.dumps(value)
    with self.assertRaisesRegex(programs.UserError, message) as caught:
      members.of_tf_config(text)
    self.assertIn('TF_CONFIG', str(caught.exception))


if __name__ == '__main__':
  absltest.main()
