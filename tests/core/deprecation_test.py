"""Former names warn and are the same; so are former keywords of layers."""

from __future__ import annotations

import importlib
import warnings

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import deprecation, layers, losses, metrics, variables
from launch import parts, several, tasks
from launch.lookup import built_in

_PACKAGES = {'loss': losses, 'metric': metrics}
_FORMER = [
    (kind, old, new)
    for kind, package in _PACKAGES.items()
    for old, new in deprecation.former(package).items()
]

_LAYERS = [
    dict(name=name, former=former, **given)
    for name, former, given in (
        ('Dense', {'num_units': 'output_size'}, {'output_size': 5}),
        ('SparseDense', {'num_units': 'output_size'}, {'output_size': 5}),
        (
            'Conv2D',
            {'num_channels': 'output_channels', 'kernel_size': 'kernel_shape'},
            {'output_channels': 5, 'kernel_shape': 3},
        ),
        (
            'WhiteningConv2D',
            {'kernel_size': 'kernel_shape'},
            {'kernel_shape': 3},
        ),
        (
            'BatchNorm',
            {
                'with_scale': 'create_scale',
                'with_offset': 'create_offset',
                'momentum': 'decay_rate',
            },
            {'create_scale': False, 'create_offset': False, 'decay_rate': 0.5},
        ),
        (
            'Embedding',
            {'vocabulary_size': 'vocab_size', 'embedding_size': 'embed_dim'},
            {'vocab_size': 7, 'embed_dim': 3},
        ),
    )
]


@deprecation.renamed_arguments(size='output_size')
def _doubled(output_size):
  return 2 * output_size


class DeprecationTest(parameterized.TestCase):

  def test_there_are_former_names(self):
    self.assertGreater(len(_FORMER), 15)

  @parameterized.parameters(*_FORMER)
  def test_a_former_name_warns_and_is_the_same(self, kind, old, new):
    package = _PACKAGES[kind]
    self.assertNotIn(old, package.__all__)
    defining = importlib.import_module(getattr(package, new).__module__)
    for module in (package, defining):
      with self.assertWarnsRegex(DeprecationWarning, rf'{old} .*use .*\.{new}'):
        found = getattr(module, old)
      self.assertIs(found, getattr(package, new))

  @parameterized.parameters(*_FORMER)
  def test_a_program_takes_a_former_name_in_silence(self, kind, old, new):
    if new not in built_in.of_kind(kind):
      return  # A loss of more than labels and predictions.
    known = tasks.losses() if kind == 'loss' else None
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      found = parts.find(kind, old, known)
      self.assertIs(found, parts.find(kind, new, known))
    if kind == 'metric':  # Its key in metrics.jsonl stays.
      for name in (old, new, f'core.metrics:{new}'):
        self.assertEqual(
            several.named(kind, [name], {})[0].name, name.split(':')[-1]
        )

  @parameterized.parameters(*_LAYERS)
  def test_layers_take_former_keywords(self, name, former, **given):
    layer = getattr(layers, name)
    for old, new in former.items():
      kwargs = {**given, old: given[new]}
      del kwargs[new]
      with self.assertWarnsRegex(DeprecationWarning, f'{old}= .*use {new}='):
        made = layer(**kwargs)
      with self.assertWarnsRegex(DeprecationWarning, f'{old} .*use {new}'):
        self.assertEqual(getattr(made, old), given[new])
      self.assertEqual(getattr(made, new), given[new])
      made.build([None, 4, 4, 3])
      paths = list(variables.named(made))
      again = layer(**given)
      again.build([None, 4, 4, 3])
      self.assertEqual(list(variables.named(again)), paths)

  def test_a_function_takes_a_former_keyword(self):
    images = tf.random.stateless_normal([8, 6, 6, 3], seed=[0, 1])
    with self.assertWarnsRegex(DeprecationWarning, 'use kernel_shape='):
      filters = layers.whitening_filters(images, kernel_size=3)
    self.assertEqual(filters.shape[:2], [3, 3])

  def test_other_names_are_unknown(self):
    with self.assertRaisesRegex(AttributeError, "core.losses.*'huber2'"):
      getattr(losses, 'huber2')  # noqa: B009

  def test_former_keywords(self):
    self.assertEqual(_doubled(3), 6)
    with self.assertWarnsRegex(DeprecationWarning, 'size= .*use output_size'):
      self.assertEqual(_doubled(size=3), 6)
    with self.assertRaisesRegex(TypeError, 'former name'):
      _doubled(output_size=3, size=3)


if __name__ == '__main__':
  absltest.main()
