"""What is raced: networks, batches, optimizers, as plain data.

Every contender builds its network from the same list of layers, so that none
trains something smaller. Weights start alike: convolutions from a truncated
normal distribution of variance 2 / fan-in, dense layers of 1 / fan-in, biases
at zero. Nothing but the standard library is imported: every contender's
environment can read it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

# Of batch normalization: what its moving averages keep, and its epsilon.
NORM_MOMENTUM = 0.9
NORM_EPSILON = 1e-5
NUM_CLASSES = 10
IMAGE_SHAPE = (28, 28, 1)

# A layer is a kind and its sizes:
#   conv, filters, padding    3x3 convolution with a bias
#   stem, filters             3x3 SAME convolution without a bias
#   block, filters, stride    x + f(x); f is twice norm, relu, 3x3 convolution;
#                             where the shape changes the shortcut is a 1x1
#                             convolution of the first relu
#   norm, relu, flatten       without sizes
#   pool                      maxima of 2x2 squares
#   average                   over height and width
#   dense, units              with a bias
Layers = tuple[tuple, ...]

_MLP: Layers = (
    ('flatten',),
    ('dense', 300),
    ('relu',),
    ('dense', 100),
    ('relu',),
    ('dense', NUM_CLASSES),
)
# The convolutional network of Keras' MNIST example, without its dropout.
_CNN: Layers = (
    ('conv', 32, 'VALID'),
    ('relu',),
    ('conv', 64, 'VALID'),
    ('relu',),
    ('pool',),
    ('flatten',),
    ('dense', 128),
    ('relu',),
    ('dense', NUM_CLASSES),
)
# What core/models/resnet.py makes of its default arguments.
_RESNET: Layers = (
    ('stem', 16),
    *(
        ('block', filters, stride)
        for filters, first in ((16, 1), (32, 2), (64, 2))
        for stride in (first, 1)
    ),
    ('norm',),
    ('relu',),
    ('average',),
    ('dense', NUM_CLASSES),
)
# Pooled before the relu, which changes nothing but the time.
_SMALL_CNN: Layers = (
    ('conv', 32, 'SAME'),
    ('pool',),
    ('relu',),
    ('conv', 64, 'SAME'),
    ('pool',),
    ('relu',),
    ('flatten',),
    ('dense', 128),
    ('relu',),
    ('dense', NUM_CLASSES),
)


@dataclasses.dataclass(frozen=True)
class Case:
  """One piece of work.

  Attributes:
    title: What a reader calls it.
    layers: The network.
    batch_size: The examples of a step.
    num_examples: The training examples of an epoch; what does not fill a batch
      is left out for everybody.
    num_epochs: The epochs to train, those of warm-up included.
    num_warmup_epochs: The first epochs, which are not timed: they compile.
    optimizer: `adam` (0.9, 0.999, 1e-8 or the framework's 1e-7), or `nesterov`
      (momentum 0.9).
    learning_rate: The learning rate, or the peak of its cycle.
    schedule: `constant`, or `onecycle`: two half cosine waves up and down.
    label_smoothing: The share of a label that is spread over all classes.
    split: What is scored at the end.
    is_race: Whether the seconds from process start to the score count, instead
      of images a second.
  """

  title: str
  layers: Layers
  batch_size: int
  num_examples: int = 55_000
  num_epochs: int = 4
  num_warmup_epochs: int = 1
  optimizer: str = 'adam'
  learning_rate: float = 1e-3
  schedule: str = 'constant'
  label_smoothing: float = 0.0
  split: str = 'validation'
  is_race: bool = False

  @property
  def has_convolutions(self) -> bool:
    """Whether the network is one of images."""
    return any(kind in ('conv', 'stem') for kind, *_ in self.layers)

  @property
  def has_norms(self) -> bool:
    """Whether the network behaves otherwise in training."""
    return any(kind in ('norm', 'block') for kind, *_ in self.layers)


CASES = {
    'mlp_b32': Case('MLP 784-300-100-10, batch 32', _MLP, 32),
    'mlp_b128': Case('MLP 784-300-100-10, batch 128', _MLP, 128, num_epochs=6),
    'mlp_b1024': Case(
        'MLP 784-300-100-10, batch 1024', _MLP, 1024, num_epochs=16
    ),
    'cnn_b128': Case(
        'CNN 3x3x32-3x3x64-pool-128-10, batch 128',
        _CNN,
        128,
        num_examples=7_680,
    ),
    'resnet_b128': Case(
        'ResNet of 3 stages of 2 blocks, 16-32-64 channels, batch 128',
        _RESNET,
        128,
        num_examples=5_120,
    ),
    'cpu_recipe': Case(
        'Race to the test score: 3x3x32-pool-3x3x64-pool-128-10, batch 128',
        _SMALL_CNN,
        128,
        # As many as Adam takes to 92 %, over seeds.
        num_epochs=4,
        num_warmup_epochs=0,
        learning_rate=3e-3,
        schedule='onecycle',
        label_smoothing=0.05,
        split='test',
        is_race=True,
    ),
}


def learning_rates(case: Case, num_steps: int) -> list[float]:
  """Lists the learning rate of every step.

  Args:
    case: The case.
    num_steps: The number of steps of the whole training.

  Returns:
    `num_steps` numbers: constant, or the cycle of
    `core.schedules.cosine_onecycle` with its default arguments.
  """
  if case.schedule == 'constant':
    return [case.learning_rate] * num_steps
  # The steps at which the pieces end, and what the peak is divided by there.
  knots = [(0, 25.0), (int(0.3 * num_steps), 1.0), (num_steps, 25.0 * 1e4)]
  rates = []
  for (first, before), (last, after) in itertools.pairwise(knots):
    begin, end = case.learning_rate / before, case.learning_rate / after
    for step in range(last - first):
      share = (1 + math.cos(math.pi * step / (last - first))) / 2
      rates.append(end + (begin - end) * share)
  return rates
