"""Schedules: pure functions from a step to a float32 number.

A tensor of steps, of any shape, gives a tensor of numbers, one for each. What a
schedule is made of may be scalar tensors, as `optimizers.inject_hyperparams`
gives them; but not where parts join (`boundaries`, `warmup_steps` with
`decay_steps`, `transition_steps` and `pct_start` of one cycle).

The names are those of Optax without the suffix ``_schedule``, since they are
read with the module's name: ``optax.cosine_decay_schedule`` is
``schedules.cosine_decay``.
"""

from .composition import join, sgdr, warmup_cosine_decay
from .decays import (
    constant,
    cosine_decay,
    exponential_decay,
    inverse_sqrt,
    linear,
    polynomial,
)
from .piecewise import (
    cosine_onecycle,
    linear_onecycle,
    piecewise_constant,
    piecewise_interpolate,
)
from .schedule import Schedule

__all__ = (
    'Schedule',
    'constant',
    'cosine_decay',
    'cosine_onecycle',
    'exponential_decay',
    'inverse_sqrt',
    'join',
    'linear',
    'linear_onecycle',
    'piecewise_constant',
    'piecewise_interpolate',
    'polynomial',
    'sgdr',
    'warmup_cosine_decay',
)
