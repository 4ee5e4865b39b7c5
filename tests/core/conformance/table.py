"""The one table: every public loss, metric, layer, model and optimizer.

A new member is a line in the table of its kind. What a line cannot have is
stated in it, with the reason; a public name without a line, or without a reason
in `OTHERS`, fails.
"""

from __future__ import annotations

from core import layers, losses, metrics, models, optimizers
from tests.core.conformance import (
    member,
    table_layers,
    table_losses,
    table_metrics,
    table_models,
    table_optimizers,
)

_TABLES = {
    'layers': table_layers.MEMBERS,
    'losses': table_losses.MEMBERS,
    'metrics': table_metrics.MEMBERS,
    'models': table_models.MEMBERS,
}
MEMBERS: dict[str, member.Member] = {
    f'{kind}.{name}': line
    for kind, table in _TABLES.items()
    for name, line in table.items()
}
# What is public, by package; what has a line; and what needs none, with why.
NAMES = {
    'layers': (layers.__all__, table_layers.MEMBERS, table_layers.OTHERS),
    'losses': (losses.__all__, table_losses.MEMBERS, {}),
    'metrics': (
        metrics.__all__,
        {
            name: None
            for kind in table_metrics.KINDS.values()
            for name in kind.table
        },
        {
            'Collection': 'the type of what collection returns',
            'Metric': 'the type of all others',
            'collection': 'what all others are tried in',
            'of': 'what all others are tried in, by named_test',
        },
    ),
    'models': (models.REGISTRY, table_models.MEMBERS, {}),
    'optimizers': (
        optimizers.__all__,
        table_optimizers.MEMBERS,
        table_optimizers.OTHERS,
    ),
}


def named(*kinds: str) -> list[tuple[str, str]]:
  """Lists the names of some kinds, by default of all, for parameterized."""
  return [
      (name.replace('.', '_'), name)
      for name in MEMBERS
      if not kinds or name.split('.')[0] in kinds
  ]
