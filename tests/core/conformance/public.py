"""What is public in core, and what its docstrings need not have."""

from __future__ import annotations

import inspect

from core import (
    augmentation,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    schedules,
)

PACKAGES = {
    'augmentation': augmentation,
    'layers': layers,
    'losses': losses,
    'metrics': metrics,
    'optimizers': optimizers,
    'schedules': schedules,
}
_PUBLIC = {
    f'{package}.{name}': getattr(module, name)
    for package, module in PACKAGES.items()
    for name in module.__all__
} | {f'models.{name}': model for name, model in models.REGISTRY.items()}
MEMBERS = {
    name: member
    for name, member in _PUBLIC.items()
    # Types and tables, named tuples among them, have fields instead.
    if inspect.isfunction(member)
    or (inspect.isclass(member) and not issubclass(member, tuple))
}
# By part of a docstring, who needs none, and why.
NONE_NEEDED = {
    'Raises:': {
        name: 'any argument will do'
        for name in (
            'augmentation.flip_views',
            'optimizers.centralize',
            'optimizers.create',
            'optimizers.global_norm',
            'optimizers.identity',
            'optimizers.non_negative',
            'optimizers.scale_by_schedule',
            'optimizers.set_to_zero',
            'optimizers.stateless',
        )
    },
    'Reference:': {
        'layers.activation': 'looks a function up',
        'models.convnet': 'a small network of common parts',
        'models.reconstructing_mlp': 'an example of losses from inside',
        'models.sparse_mlp': 'the mlp with sparse inputs',
        'losses.compose': 'the contract of losses is of this project',
        'losses.mean': 'the contract of losses is of this project',
        'losses.total': 'the contract of losses is of this project',
        'losses.weighted_sum': 'the contract of losses is of this project',
        'optimizers.create': 'the contract of optimizers is of this project',
    },
}


def may_raise(name: str) -> bool:
  """Returns whether there are arguments of which not all will do."""
  takes = inspect.signature(MEMBERS[name]).parameters
  return bool(takes) and name not in NONE_NEEDED['Raises:']
