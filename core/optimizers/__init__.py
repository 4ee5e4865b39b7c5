"""Optimizers: gradient transformations with Optax's names and maths.

A transformation is a pair of pure functions, `init(parameters) -> state` and
`update(gradients, state, parameters) -> (updates, state)`, on nests of tensors;
`chain` composes them and `apply_updates` adds the updates to the parameters:

  optimizer = optimizers.chain(
      optimizers.clip_by_global_norm(1.0),
      optimizers.adamw(learning_rate=1e-3, weight_decay=0.01, mask=r'.*/w'),
  )
  state = optimizer.init(parameters)
  updates, state = optimizer.update(gradients, state, parameters)
  parameters = optimizers.apply_updates(parameters, updates)

What holds for all of them:

- Parameters are a nest of tensors or variables, best a flat dictionary by path.
- Gradients may be `tf.IndexedSlices`; rows named twice are added.
- A state is a nest of tensors that keep shape and dtype; counts are int64.
- Half-precision parameters have float32 states and float32 updates, and
  `apply_updates` rounds once, to the dtype of the parameter.
- A learning rate is a number or a schedule of the number of updates so far.
"""

from .adaptive_moments import adam, adamw, nadam, scale_by_adam
from .clipping import clip, clip_by_global_norm, clip_by_norm
from .decay import add_decayed_weights, centralize
from .momentum import sgd, trace
from .partitioning import masked, partition
from .transformation import (
    GradientTransformation,
    apply_updates,
    chain,
    global_norm,
    identity,
    scale,
    scale_by_learning_rate,
    scale_by_schedule,
)

__all__ = (
    'GradientTransformation',
    'adam',
    'adamw',
    'add_decayed_weights',
    'apply_updates',
    'centralize',
    'chain',
    'clip',
    'clip_by_global_norm',
    'clip_by_norm',
    'global_norm',
    'identity',
    'masked',
    'nadam',
    'partition',
    'scale',
    'scale_by_adam',
    'scale_by_learning_rate',
    'scale_by_schedule',
    'sgd',
    'trace',
)
