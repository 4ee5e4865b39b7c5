"""What holds for every model of the registry."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import models, variables
from core.models import model as model_lib
from tests import virtual_devices
from tests.core.models import cases

_SEED = tf.constant([1, 2])


class RegistryTest(parameterized.TestCase):

  @parameterized.product(name=list(models.REGISTRY), shape=cases.IMAGE_SHAPES)
  def test_output_shapes_and_eager_equals_graph(self, name, shape):
    model = cases.create(name)
    shapes = cases.input_shapes(model, shape)
    model.build(shapes)
    made = variables.named(model)
    inputs = cases.inputs(model, cases.batch(model, shape, 3))
    call = functools.partial(model, is_training=True, seed=_SEED)
    outputs = call(inputs)
    tf.nest.map_structure(
        lambda output, expected: self.assertEqual(
            tuple(output.shape), (3, *expected[1:])
        ),
        outputs,
        _leaves(model.output_shape(shapes)),
    )
    self.assertEqual(
        model_lib.logits(outputs).shape, [3, cases.NUM_CLASSES]
    )
    self.assertEqual(made.keys(), variables.named(model).keys())
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_allclose(
            one, other, rtol=1e-4, atol=1e-5
        ),
        tf.function(call)(inputs),
        outputs,
    )

  @parameterized.parameters(*models.REGISTRY)
  def test_build_under_a_strategy_makes_equal_copies(self, name):
    with virtual_devices.mirrored(2).scope():
      model = cases.create(name)
      model.build(cases.input_shapes(model, (8, 8, 3)))
    for path, variable in variables.named(model).items():
      self.assertLen(variable.values, 2, path)
      np.testing.assert_array_equal(*variable.values)

  @parameterized.parameters(*sorted(models.REGISTRY.keys() - {'sparse_mlp'}))
  def test_an_unknown_size_of_an_image(self, name):
    model = cases.create(name)
    with self.assertRaisesRegex(
        ValueError, r'input_shape: only the batch size .* \(None, 8, None, 3\)'
    ):
      model.build(cases.input_shapes(model, (8, None, 3)))

  @parameterized.parameters(*models.REGISTRY)
  def test_arguments_are_listed(self, name):
    for argument, parameter in models.arguments(name).items():
      self.assertNotIn(argument, ('self', 'num_classes', 'name'))
      self.assertIsNot(parameter.default, parameter.empty, argument)

  def test_an_unknown_model(self):
    with self.assertRaisesRegex(ValueError, "model: unknown 'cnn'; known: con"):
      models.create('cnn', 10)

  def test_an_unknown_argument(self):
    with self.assertRaisesRegex(
        ValueError, "argument of mlp: unknown 'depth'; known: activation"
    ):
      models.create('mlp', 10, depth=3)

  @parameterized.parameters(1, 0, -1)
  def test_too_few_classes(self, num_classes):
    with self.assertRaisesRegex(ValueError, f'num_classes: .*{num_classes}'):
      models.create('mlp', num_classes)


def _leaves(shapes):
  """Makes the shapes of a nest leaves."""
  if isinstance(shapes, dict):
    return {name: _leaves(shape) for name, shape in shapes.items()}
  return tf.TensorShape(shapes)


if __name__ == '__main__':
  absltest.main()
