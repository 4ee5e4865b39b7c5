"""Schedules: pure functions from a step to a float32 number.

Steps may be a tensor of any shape; the result has its shape. The arguments of
schedules may be scalar tensors, as with `optimizers.inject_hyperparams`, except
where parts are joined (``boundaries``, ``warmup_steps`` with ``decay_steps``,
and ``transition_steps`` and ``pct_start`` of one-cycle schedules).

Names are Optax's without the suffix ``_schedule``, since they are read with the
module's name: ``optax.cosine_decay_schedule`` is ``schedules.cosine_decay``.
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
