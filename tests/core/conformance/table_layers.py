"""Every public name of core.layers, a line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

from core import checks, layers, variables
from tests.core.conformance import member

SEED = (3, 5)
_RANDOM = {
    'masked': 'random numbers go by the place in the batch',
}


def initialize(module: tf.Module) -> None:
  """Sets variables by a fixed seed; zeros, such as biases, hide mistakes."""
  generator = np.random.default_rng(1)
  for variable in variables.named(module).values():
    is_matrix = variable.shape.rank > 1
    if not (is_matrix or variable.trainable):
      continue  # Moving statistics.
    mean, fan_in = (0, np.prod(variable.shape[:-1])) if is_matrix else (0.5, 9)
    variable.assign(generator.normal(mean, fan_in**-0.5, variable.shape))


def _draw(shape: tuple[int, ...]) -> Callable[..., dict[str, np.ndarray]]:
  return lambda generator, size: {
      'inputs': generator.normal(size=(size, *shape)).astype(np.float32)
  }


Call = Callable[[Any, tf.Tensor, bool, tf.Tensor], tf.Tensor]


def _plain(layer, inputs, is_training, weights):
  del is_training, weights
  return layer(inputs)


def _random(layer, inputs, is_training, weights):
  del weights
  return layer(inputs, is_training, SEED)


def _weighted(layer, inputs, is_training, weights):
  return layer(inputs, is_training, weights)


def _sparse(layer, inputs, is_training, weights):
  del is_training, weights
  return layer(sparse(inputs))


def sparse(inputs: tf.Tensor) -> tf.SparseTensor:
  """Leaves out every second column, by what XLA can compile."""
  batch_size = tf.shape(inputs, tf.int64)[0]
  columns = tf.range(0, inputs.shape[1], 2, tf.int64)
  places = tf.meshgrid(tf.range(batch_size), columns, indexing='ij')
  return tf.SparseTensor(
      tf.reshape(tf.stack(places, axis=-1), [-1, 2]),
      tf.reshape(inputs[:, ::2], [-1]),
      [batch_size, inputs.shape[1]],
  )


def _beginning(inputs):
  """Returns a mask of the first three positions."""
  batch_size, length, *_ = checks.sizes_of(inputs)
  return tf.broadcast_to(tf.range(length) < 3, [batch_size, length])


def _masked(layer, inputs, is_training, weights):
  del is_training, weights
  return layer(inputs, _beginning(inputs))


def _attended(layer, inputs, is_training, weights):
  del is_training, weights
  return layer(inputs, mask=_beginning(inputs)[:, tf.newaxis])


def _looked_up(layer, inputs, is_training, weights):
  del is_training, weights
  return layer(tf.cast(tf.clip_by_value(inputs, 0, 4), tf.int32))


def _normalization():
  layer = layers.Normalization()
  layer.fit(np.float32([[1, 2, np.nan, -1], [2, 4, 1, 2], [3, 3, 2, 0]]))
  return layer


def _layer(
    make: Callable[[], snt.Module],
    *shape: int,
    call: Call = _plain,
    rubbish: float = 1e3,
    **exceptions: str,
) -> member.Member:
  """Makes a line of a layer that takes examples of a shape."""

  def made() -> member.Subject:
    layer = make()
    layer.build((None, *shape))
    initialize(layer)

    def forward(
        layer: snt.Module, batch: member.Batch, is_training: bool
    ) -> member.Observed:
      outputs = call(layer, batch['inputs'], is_training, batch['weight'])
      return member.Observed({'outputs': outputs}, {})

    return member.Subject(forward, 'inputs', module=layer)

  return member.Member(
      made, _draw(shape), rubbish={'inputs': rubbish}, exceptions=exceptions
  )


def _function(
    function: Callable[[tf.Tensor], member.Observed],
    *shape: int,
    rubbish: float = 1e3,
    tolerance: float | None = None,
    **exceptions: str,
) -> member.Member:
  """Makes a line of a function of the inputs."""

  def forward(
      module: None, batch: member.Batch, is_training: bool
  ) -> member.Observed:
    del module, is_training
    return function(batch['inputs'])

  return member.Member(
      lambda: member.Subject(forward, 'inputs'),
      _draw(shape),
      rubbish={'inputs': rubbish},
      tolerance=tolerance,
      exceptions=exceptions,
  )


def _activations(inputs: tf.Tensor) -> member.Observed:
  return member.Observed(
      {name: layers.activation(name)(inputs) for name in layers.ACTIVATIONS},
      {},
  )


def _whitening(images: tf.Tensor) -> member.Observed:
  # A direction and its negative are the same filter.
  filters = layers.whitening_filters(images)
  return member.Observed({}, {'filters': tf.square(filters)})


_ONCE = 'filters are computed of all images at once, before training'
MEMBERS = {
    'AttentionPooling': _layer(
        lambda: layers.AttentionPooling(2), 5, 4, call=_masked
    ),
    'BatchNorm': _layer(layers.BatchNorm, 3, 4, call=_weighted, rubbish=np.nan),
    'BlurPool': _layer(layers.BlurPool, 5, 4, 2),
    'Conv2D': _layer(lambda: layers.Conv2D(3, 2, 2), 5, 6, 2),
    'Dense': _layer(lambda: layers.Dense(3, 'tanh'), 5),
    'Dropout': _layer(lambda: layers.Dropout(0.4), 5, call=_random, **_RANDOM),
    'Embedding': _layer(
        lambda: layers.Embedding(5, 3),
        4,
        call=_looked_up,
        rubbish=3.0,
        gradient='integers have no gradient',
    ),
    'GaussianNoise': _layer(
        lambda: layers.GaussianNoise(0.4), 5, call=_random, **_RANDOM
    ),
    'MultiHeadAttention': _layer(lambda: layers.MultiHeadAttention(2, 3), 4, 5),
    'MultiHeadAttention__lengths': _layer(
        lambda: layers.MultiHeadAttention(2, 3), 4, 5, call=_attended
    ),
    'Normalization': _layer(_normalization, 3, 4),
    'PatchEmbedding': _layer(lambda: layers.PatchEmbedding(2, 6), 4, 4, 2),
    'Residual': _layer(
        lambda: layers.Residual(layers.Dense(4, 'tanh'), 0.5, per_channel=True),
        4,
    ),
    'Softmax': _layer(layers.Softmax, 5),
    'SparseDense': _layer(
        lambda: layers.SparseDense(3, 'tanh'), 5, call=_sparse
    ),
    'SqueezeAndExcitation': _layer(
        lambda: layers.SqueezeAndExcitation(2), 3, 3, 4
    ),
    'StochasticDepth': _layer(
        lambda: layers.StochasticDepth(0.6), 5, call=_random, **_RANDOM
    ),
    'WhiteningConv2D': _layer(layers.WhiteningConv2D, 4, 4, 2),
    'activation': _function(_activations, 5),
    'masked_mean': _function(
        lambda x: member.Observed(
            {'outputs': layers.masked_mean(x, _beginning(x))}, {}
        ),
        *(5, 4),
    ),
    'max_pool2d': _function(
        lambda x: member.Observed({'outputs': layers.max_pool2d(x)}, {}),
        *(4, 4, 2),
    ),
    'whitening_filters': _function(
        _whitening,
        *(4, 4, 1),
        rubbish=0.0,
        tolerance=1e-2,  # It computes in float32.
        masked=_ONCE,
        replicas=_ONCE,
    ),
}
# What computes nothing of examples, and why.
OTHERS = {
    'ACTIVATIONS': 'the table of `activation`, of which each is tried',
    'scaled_variance': 'an initializer',
    'sincos_positions': 'a constant of NumPy',
}
