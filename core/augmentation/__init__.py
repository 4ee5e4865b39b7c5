"""Augmentation in the graph: shifts, flips and erasing of images, by a seed.

A transformation takes its parameters as a tensor, which a second function draws
for a batch with `core.random`: N replicas together draw what one replica would.
`augment` combines them for training; views average predictions in evaluation.

Images are ``[batch_size, height, width, channels]``, uint8 or floating; they
keep their type, and moved pixels keep their values to the bit.
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
