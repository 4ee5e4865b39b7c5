"""Layers and models: output shapes, checkpoint and back, SavedModel and back.

All are saved in one checkpoint and in one SavedModel.
"""

from __future__ import annotations

import functools
import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import checkpoints, variables
from tests.core.conformance import member, table, table_models

_WEIGHTS = np.float32([1, 1, 1, 1])
_NAMES = [
    name
    for _, name in table.named('layers', 'models')
    if table.MEMBERS[name].make().module
]
_EVERY_MODULE = parameterized.named_parameters(
    (name.replace('.', '_'), name) for name in _NAMES
)


@functools.cache
def _subject(name):
  return table.MEMBERS[name].make()


def _evaluated(name, subject):
  batch = member.tensors(table.MEMBERS[name].batch(_WEIGHTS))
  return subject(batch, False).examples


def _function(name):
  subject = _subject(name)
  signature = {
      key: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
      for key, value in table.MEMBERS[name].batch(_WEIGHTS).items()
  }
  return tf.function(
      lambda batch: subject(batch, False).examples, input_signature=[signature]
  )


@functools.cache
def _loaded():
  """Saves all modules as one SavedModel, and loads it."""
  saved = tf.Module()
  saved.modules = [_subject(name).module for name in _NAMES]
  saved.functions = {name: _function(name) for name in _NAMES}
  with tempfile.TemporaryDirectory() as folder:
    tf.saved_model.save(saved, folder)
    return tf.saved_model.load(folder)


class ModulesTest(parameterized.TestCase):

  @_EVERY_MODULE
  def test_named_variables_are_those_of_the_module(self, name):
    module = _subject(name).module
    self.assertCountEqual(
        [id(variable) for variable in variables.named(module).values()],
        [id(variable) for variable in module.variables],
    )

  @_EVERY_MODULE
  def test_output_shape(self, name):
    subject, line = _subject(name), table.MEMBERS[name]
    batch = line.batch(_WEIGHTS)
    names = getattr(subject.module, 'input_names', (subject.source,))
    shapes = {key: (None, *batch[key].shape[1:]) for key in names}
    if len(shapes) == 1:
      [shapes] = shapes.values()
    told = subject.module.output_shape(shapes)
    told = table_models.flat(told) if isinstance(told, dict) else {'': told}
    actual = [value.shape for value in _evaluated(name, subject).values()]
    self.assertEqual(
        [tuple(shape) for shape in told.values()],
        [(None, *shape[1:]) for shape in actual],
    )

  def test_checkpoint_and_back(self):
    named = variables.named({n: _subject(n).module for n in _NAMES})
    self.assertNotEmpty(named)
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = checkpoints.Checkpointer(folder, named).save(1)
    others = {name: table.MEMBERS[name].make() for name in _NAMES}
    modules = {name: other.module for name, other in others.items()}
    for variable in variables.named(modules).values():
      variable.assign(tf.ones_like(variable))
    restored = checkpoints.restore(path, variables.named(modules))
    self.assertEqual(sorted(restored), sorted(named))
    for name, other in others.items():
      member.assert_same(
          _evaluated(name, other), _evaluated(name, _subject(name)), 1e-7
      )

  @_EVERY_MODULE
  def test_saved_model_and_back(self, name):
    batch = member.tensors(table.MEMBERS[name].batch(_WEIGHTS))
    actual = _loaded().functions[name](batch)
    member.assert_same(actual, _evaluated(name, _subject(name)), 1e-6)


if __name__ == '__main__':
  absltest.main()
