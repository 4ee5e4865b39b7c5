"""What holds for every model of the registry."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from core import losses, models, variables
from core.models import model as model_lib
from tests import virtual_devices
from tests.core.models import cases

_SEED = tf.constant([1, 2])
_WITHOUT_IMAGE = ('sparse_mlp', 'tabular', 'text_classifier')


class RegistryTest(parameterized.TestCase):

  @parameterized.product(name=list(models.REGISTRY), shape=cases.IMAGE_SHAPES)
  @pytest.mark.medium
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
        model_lib.logits(outputs).shape,
        [3, *cases.places(model, shape), cases.NUM_CLASSES],
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

  @parameterized.parameters(*models.REGISTRY)
  def test_one_output(self, name):
    model = cases.create(name, num_classes=1)
    batch = cases.batch(model, (8, 8, 3), 5)
    model.build(cases.input_shapes(model, (8, 8, 3)))
    with tf.GradientTape() as tape:
      outputs = model(cases.inputs(model, batch), is_training=True, seed=_SEED)
      logits = model_lib.logits(outputs)
      # A yes or a no, as a loss of labels [batch_size] takes it.
      loss = tf.reduce_mean(
          losses.sigmoid_binary_cross_entropy(
              tf.cast(batch['label'] > 1, tf.float32), logits[..., 0]
          )
      )
    self.assertEqual(logits.shape, [5, *cases.places(model, (8, 8, 3)), 1])
    gradients = tape.gradient(loss, model.trainable_variables)
    self.assertTrue(any(g is not None and np.any(g) for g in gradients))

  @parameterized.parameters(*models.REGISTRY)
  def test_a_spec_is_a_shape(self, name):
    """As the `element_spec` of a data set of batches has them."""
    model, other = cases.create(name), cases.create(name)
    shapes = cases.input_shapes(model, (8, 8, 3))
    drawn = cases.inputs(model, cases.batch(model, (8, 8, 3), 3))
    dataset = tf.data.Dataset.from_tensor_slices(drawn).batch(3)
    specs = dataset.element_spec
    self.assertEqual(
        _leaves(other.output_shape(specs)), _leaves(model.output_shape(shapes))
    )
    self.assertEqual(
        [v.shape for v in other.variables], [v.shape for v in model.variables]
    )

  @parameterized.parameters(*models.REGISTRY)
  def test_inputs_of_another_type(self, name):
    model = cases.create(name)
    shapes = cases.input_shapes(model, (8, 8, 3))
    for dtype in (tf.string, tf.int32, tf.variant):
      of = lambda shape, dtype=dtype: tf.TensorSpec(shape, dtype)
      specs = (
          {key: of(shape) for key, shape in shapes.items()}
          if isinstance(shapes, dict)
          else of(shapes)
      )
      if dtype == tf.int32 and model.input_dtypes:
        continue
      with self.assertRaisesRegex(
          (TypeError, ValueError), f'^input_shape: .*{dtype.name}'
      ):
        model.build(specs)
    model.build(shapes)  # It is none the worse for it.
    self.assertTrue(all(v.dtype == tf.float32 for v in model.variables))

  @parameterized.parameters(
      *(name for name in models.REGISTRY if name not in _WITHOUT_IMAGE)
  )
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

  @parameterized.parameters(*models.REGISTRY)
  def test_too_few_classes(self, name):
    for num_classes in (0, -1):
      with self.assertRaisesRegex(ValueError, f'num_classes: .*{num_classes}'):
        models.create(name, num_classes)


def _leaves(shapes):
  """Makes the shapes of a nest leaves."""
  if isinstance(shapes, dict):
    return {name: _leaves(shape) for name, shape in shapes.items()}
  return tf.TensorShape(shapes)


if __name__ == '__main__':
  absltest.main()
