"""Optimizers: gradient transformations with Optax's names and maths.

A transformation is a pair of pure functions, ``init(parameters) -> state`` and
``update(gradients, state, parameters) -> (updates, state)``, on nests of
tensors; `chain` composes them and `apply_updates` adds the updates to the
parameters:

    optimizer = optimizers.chain(
        optimizers.clip_by_global_norm(1.0),
        optimizers.adamw(learning_rate=1e-3, weight_decay=0.01, mask=r'.*/w'),
    )
    state = optimizer.init(parameters)
    updates, state = optimizer.update(gradients, state, parameters)
    parameters = optimizers.apply_updates(parameters, updates)

What holds for all of them:

- Parameters are a nest of tensors or variables, such as a dictionary by path.
- Gradients may be `tf.IndexedSlices`; duplicate rows are added.
- States are nests of tensors of constant shape and dtype; counts are int64.
- Half-precision parameters have float32 states and float32 updates.
  `apply_updates` rounds once, to the dtype of the parameter.
- A learning rate is a number or a schedule of the number of updates so far.
- A mask chooses parameters: it is a regular expression that must match the
  whole path (the key, in a flat dictionary), or a predicate on path and tensor.
  Default: all parameters.
- A hyper-parameter may be a scalar tensor, whose range is not checked in a
  graph. This excludes booleans, ``ns_steps`` and ``min_dim_size_to_factor``,
  which determine the graph. `inject_hyperparams` keeps hyper-parameters in the
  state, where they can be set.
"""

from .accumulation import multi_steps
from .adaptive_moments import adam, adamw, nadam, scale_by_adam
from .averaging import ema, ema_average
from .clipping import (
    adaptive_grad_clip,
    clip,
    clip_by_block_rms,
    clip_by_global_norm,
    clip_by_norm,
)
from .constraints import constrain, max_norm, non_negative, unit_norm
from .decay import add_decayed_weights, centralize
from .factored import (
    adafactor,
    scale_by_factored_rms,
    scale_by_param_block_rms,
)
from .finiteness import apply_if_finite
from .injection import inject_hyperparams
from .layerwise import lamb, lars, scale_by_trust_ratio
from .momentum import sgd, trace
from .orthogonal import muon, orthogonalize, scale_by_muon
from .partitioning import Mask, masked, partition, set_to_zero
from .root_mean_square import adagrad, rmsprop, scale_by_rms, scale_by_rss
from .signs import lion, scale_by_lion
from .slow_weights import lookahead
from .transformation import (
    GradientTransformation,
    ScalarOrSchedule,
    apply_updates,
    chain,
    create,
    global_norm,
    identity,
    scale,
    scale_by_learning_rate,
    scale_by_schedule,
    stateless,
)

__all__ = (
    'GradientTransformation',
    'Mask',
    'ScalarOrSchedule',
    'adafactor',
    'adagrad',
    'adam',
    'adamw',
    'adaptive_grad_clip',
    'add_decayed_weights',
    'apply_if_finite',
    'apply_updates',
    'centralize',
    'chain',
    'clip',
    'clip_by_block_rms',
    'clip_by_global_norm',
    'clip_by_norm',
    'constrain',
    'create',
    'ema',
    'ema_average',
    'global_norm',
    'identity',
    'inject_hyperparams',
    'lamb',
    'lars',
    'lion',
    'lookahead',
    'masked',
    'max_norm',
    'multi_steps',
    'muon',
    'nadam',
    'non_negative',
    'orthogonalize',
    'partition',
    'rmsprop',
    'scale',
    'scale_by_adam',
    'scale_by_factored_rms',
    'scale_by_learning_rate',
    'scale_by_lion',
    'scale_by_muon',
    'scale_by_param_block_rms',
    'scale_by_rms',
    'scale_by_rss',
    'scale_by_schedule',
    'scale_by_trust_ratio',
    'set_to_zero',
    'sgd',
    'stateless',
    'trace',
    'unit_norm',
)
