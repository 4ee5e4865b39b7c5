"""Losses: pure functions from labels and predictions to a value an example.

What holds for all of them:

- ``fn(labels, predictions, *, ...) -> [batch_size]``: nothing is reduced over
  the batch. `mean` makes the scalar, and leaves out examples of weight 0.
- Labels and predictions with further axes are averaged over these.
- Half-precision predictions are computed in float32, and the loss is float32.
- Value and gradient are finite for any logits that models come to.
- Labels out of range raise ValueError where values can be looked at (eager)
  and give NaN for that example in a graph; see `arguments`.
- Over replicas, each loss sees the local batch. That changes no value, save
  for losses that compare the examples of a batch, which say so.

Penalties on parameters, ``fn(tensors, *, ...) -> []``, end in `_penalty`.
"""

from .classification import (
    softmax_cross_entropy,
    softmax_cross_entropy_with_probabilities,
)
from .penalties import l1_penalty, l2_penalty
from .reduction import mean, total
from .regression import (
    absolute_error,
    huber,
    log_cosh,
    quantile,
    squared_error,
)

__all__ = [
    'absolute_error',
    'huber',
    'l1_penalty',
    'l2_penalty',
    'log_cosh',
    'mean',
    'quantile',
    'softmax_cross_entropy',
    'softmax_cross_entropy_with_probabilities',
    'squared_error',
    'total',
]
