"""Augmentation in the graph: images moved, mirrored and erased, by a seed.

A transformation takes what it does as a tensor; beside it stands the rule that
draws this tensor for a batch, by `core.random`: N replicas draw together what
one replica would draw alone. `augment` joins them for training, and views are
what a prediction is averaged over in evaluation.

Images are ``[batch_size, height, width, channels]``, uint8 or floating; they
keep their type, and pixels that are moved keep their value to the bit.
"""

from .composition import Augmenter, augment
from .erasing import erase, noise, random_boxes
from .flips import alternating_flips, flip, random_flips
from .shifts import random_offsets, shift
from .views import View, average, flip_shift_views, flip_views, stack

__all__ = (
    'Augmenter',
    'View',
    'alternating_flips',
    'augment',
    'average',
    'erase',
    'flip',
    'flip_shift_views',
    'flip_views',
    'noise',
    'random_boxes',
    'random_flips',
    'random_offsets',
    'shift',
    'stack',
)
