"""What is trained on each number of workers and replicas."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tests.launch.tasks import small_sets

Flags = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Shape:
  """Where a run is computed.

  Attributes:
    num_workers: The number of processes.
    num_replicas: The number of replicas of each.
  """

  num_workers: int
  num_replicas: int

  @property
  def name(self) -> str:
    """Workers x replicas."""
    return f'{self.num_workers}x{self.num_replicas}'

  @property
  def flags(self) -> Flags:
    """The flags of `launch.train` that say so."""
    if self.num_workers > 1:
      return {'strategy': 'multi_worker'}
    return {'num_virtual_devices': str(self.num_replicas)}


SHAPES = tuple(
    Shape(*each) for each in ((1, 1), (1, 2), (1, 3), (2, 1), (3, 1))
)
ONE = SHAPES[0]

# 13 examples are in no equal parts on two or three replicas, and step 5 is in
# the middle of the second epoch.
NUM_STEPS, HALF = 10, 5
_COMMON: Flags = {
    'global_batch_size': '13',
    'log_every_steps': '1',
    'learning_rate': '0.01',
    'jit_compile': 'off',
}
_IMAGES: Flags = {
    **_COMMON,
    'dataset': 'tiny_shapes',
    'validation_examples': str(small_sets.SIZES['validation']),
}
_MLP: Flags = {**_IMAGES, 'model': 'mlp', 'model_arg': 'hidden_sizes=16,'}


@dataclasses.dataclass(frozen=True)
class Case:
  """A run.

  Attributes:
    name: What it is called.
    about: What is in it.
    flags: The flags of `launch.train`, but for places and lengths.
    pairs: The shapes that it is interrupted on, and goes on on.
    variants: Flags with which it is run on one replica too, by their names.
  """

  name: str
  about: str
  flags: Sequence[tuple[str, str]]
  pairs: Sequence[tuple[Shape, Shape]]
  variants: Mapping[str, Flags]

  @property
  def is_half(self) -> bool:
    """Whether it is computed in float16."""
    return ('precision', 'float16') in self.flags


def _by(shift: int) -> list[tuple[Shape, Shape]]:
  """Returns a pair for each shape: a line of a Latin square."""
  return [
      (shape, SHAPES[(index + shift) % len(SHAPES)])
      for index, shape in enumerate(SHAPES)
  ]


def _case(
    name: str,
    about: str,
    flags: Flags,
    pairs: Sequence[tuple[Shape, Shape]],
    *arguments: str,
    variants: Mapping[str, Flags] | None = None,
) -> Case:
  repeated = [('model_arg', each) for each in arguments]
  return Case(name, about, (*flags.items(), *repeated), pairs, variants or {})


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        _case(
            'mlp',
            'dropout, mirrored, moved and erased images',
            {
                **_MLP,
                'random_flip': 'random',
                'max_shift': '2',
                'random_erasing': '0.5',
            },
            [pair for shift in (1, 2, 3, 4) for pair in _by(shift)],
            'dropout_rate=0.2',
        ),
        _case(
            'resnet',
            'batch norm over all replicas, without ReLU',
            {**_IMAGES, 'model': 'resnet', 'model_arg': 'channels=4,8'},
            _by(1),
            'blocks_per_stage=1,1',
            'stem_channels=4',
            # Of a unit at 0, to its rounding, ReLU's derivative may be 0 or 1.
            'activation=silu',
        ),
        _case(
            'float16',
            'a model computed in float16, with its loss scale',
            {**_MLP, 'precision': 'float16'},
            _by(2),
            variants={
                'float32': {'precision': 'float32'},
                'micro-batches of 5': {'micro_batch_size': '5'},
            },
        ),
        _case(
            'averages',
            'an average of the weights, which is evaluated',
            {**_MLP, 'ema_decay': '0.9'},
            _by(3),
        ),
        _case(
            'streaming',
            'examples that are not resident, mirrored',
            {**_MLP, 'resident_gb': '0', 'random_flip': 'random'},
            _by(4),
        ),
        _case(
            'text',
            'texts of one to six words, padded and masked',
            {**_COMMON, 'dataset': f'{small_sets.__name__}:text'},
            _by(2),
            'dropout_rate=0.1',
        ),
    )
}
