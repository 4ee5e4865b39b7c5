"""The networks in Keras, for its `fit` and for the notebook."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tests.benchmarks import cases, protocol

_HE = keras.initializers.VarianceScaling(2.0, 'fan_in', 'truncated_normal')
_LECUN = keras.initializers.VarianceScaling(1.0, 'fan_in', 'truncated_normal')


def setup(run: protocol.Run) -> None:
  """Sets the seed and the policy, before a layer is made."""
  keras.utils.set_random_seed(run.seed)
  if run.precision == 'bfloat16':
    keras.config.set_dtype_policy('mixed_bfloat16')


def network(case: cases.Case, rescale: bool = False) -> keras.Model:
  """Builds the network of a case; it may take bytes and rescale them."""
  inputs = keras.Input(
      cases.IMAGE_SHAPE, dtype='uint8' if rescale else 'float32'
  )
  x = keras.layers.Rescaling(1 / 255)(inputs) if rescale else inputs
  for kind, *sizes in case.layers[:-1]:
    x = _BUILDERS[kind](x, *sizes)
  # As Keras' guide to mixed precision has it: the logits stay float32.
  outputs = _dense(x, *case.layers[-1][1:], dtype='float32')
  return keras.Model(inputs, outputs)


def optimizer(run: protocol.Run) -> keras.optimizers.Optimizer:
  """Makes the optimizer, with its learning rates."""
  rate = run.case.learning_rate
  if run.case.schedule != 'constant':
    rate = _Table(run.learning_rates)
  if run.case.optimizer == 'nesterov':
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
  return keras.optimizers.Adam(rate)


def loss(case: cases.Case) -> keras.losses.Loss:
  """Makes the loss; smoothing needs one-hot labels."""
  if case.label_smoothing:
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=case.label_smoothing
    )
  return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def accuracy(case: cases.Case) -> keras.metrics.Metric:
  """Makes the metric that takes the labels of `targets`."""
  if case.label_smoothing:
    return keras.metrics.CategoricalAccuracy('accuracy')
  return keras.metrics.SparseCategoricalAccuracy('accuracy')


def targets(case: cases.Case, labels: np.ndarray) -> np.ndarray:
  """Returns the labels in the form that the loss takes."""
  if case.label_smoothing:
    return np.eye(cases.NUM_CLASSES, dtype=np.float32)[labels]
  return labels


def num_parameters(model: keras.Model) -> int:
  """Counts the trainable parameters."""
  return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


class _Table(keras.optimizers.schedules.LearningRateSchedule):
  """A learning rate a step, looked up."""

  def __init__(self, rates: list[float]):
    self._rates = np.array(rates, np.float32)

  def __call__(self, step: Any) -> Any:
    step = keras.ops.minimum(
        keras.ops.cast(step, 'int32'), len(self._rates) - 1
    )
    return keras.ops.take(keras.ops.convert_to_tensor(self._rates), step)


def _convolution(
    x: Any, filters: int, size: int, stride: int, padding: str, bias: bool
) -> Any:
  layer = keras.layers.Conv2D(
      filters,
      size,
      stride,
      padding.lower(),
      use_bias=bias,
      kernel_initializer=_HE,
  )
  return layer(x)


def _dense(x: Any, units: int, **options: Any) -> Any:
  layer = keras.layers.Dense(units, kernel_initializer=_LECUN, **options)
  return layer(x)


def _norm(x: Any) -> Any:
  layer = keras.layers.BatchNormalization(
      momentum=cases.NORM_MOMENTUM, epsilon=cases.NORM_EPSILON
  )
  return layer(x)


def _relu(x: Any) -> Any:
  return keras.layers.Activation('relu')(x)


def _block(x: Any, filters: int, stride: int) -> Any:
  first = _relu(_norm(x))
  skip = x
  if stride != 1 or x.shape[-1] != filters:
    skip = _convolution(first, filters, 1, stride, 'SAME', False)
  x = _convolution(first, filters, 3, stride, 'SAME', False)
  x = _convolution(_relu(_norm(x)), filters, 3, 1, 'SAME', False)
  return keras.layers.Add()([skip, x])


_BUILDERS = {
    'conv': lambda x, n, padding: _convolution(x, n, 3, 1, padding, True),
    'stem': lambda x, n: _convolution(x, n, 3, 1, 'SAME', False),
    'block': _block,
    'norm': _norm,
    'relu': _relu,
    'pool': lambda x: keras.layers.MaxPooling2D(2)(x),
    'flatten': lambda x: keras.layers.Flatten()(x),
    'average': lambda x: keras.layers.GlobalAveragePooling2D()(x),
    'dense': _dense,
}
