"""Bad calls of augmentation, see `bad_calls`."""

from __future__ import annotations

import numpy as np

from core import augmentation
from tests.core.conformance import bad_calls

_line = bad_calls.line
_SEED = [1, 2]
_IMAGES = np.ones([3, 6, 5, 1], np.float32)
_INDEX = np.arange(3)
_VIEWS = augmentation.flip_views()
_BAD_IMAGES = [_IMAGES[0], _IMAGES[..., None]]
_BAD_SEEDS = [1, [1, 2, 3]]

AUGMENTATION = {
    'alternating_flips': _line(
        {
            'index': [_INDEX[:2], _INDEX[:, None], _INDEX / 2],
            'epoch': [_INDEX[:2], 1, _INDEX / 2],
        },
        index=_INDEX,
        epoch=_INDEX,
    ),
    'augment': _line({
        'flip': 'always',
        'max_shift': -1,
        'padding': 'wrap',
        'erasing_probability': [-0.1, 1.1],
    }),
    'average': _line(
        {'views': [[]]}, views=_VIEWS, outputs={'logits': _IMAGES[:2]}
    ),
    'erase': _line(
        {
            'images': _BAD_IMAGES,
            'boxes': [np.ones([3, 3], int), np.ones([2, 4], int), _IMAGES],
        },
        images=_IMAGES,
        boxes=np.ones([3, 4], int),
    ),
    'flip': _line(
        {'images': _BAD_IMAGES, 'flipped': [True, _IMAGES > 0]},
        images=_IMAGES,
        flipped=_INDEX > 1,
    ),
    'flip_shift_views': _line({'padding': 'wrap'}),
    'noise': _line(
        {'seed': _BAD_SEEDS, 'images': [*_BAD_IMAGES, _IMAGES.astype(int)]},
        seed=_SEED,
        images=_IMAGES,
    ),
    'random_boxes': _line(
        {
            'seed': _BAD_SEEDS,
            'images': _BAD_IMAGES,
            'probability': [-0.1, 1.1],
            'area': [(0.0, 0.5), (0.5, 0.2), (0.5, 1.5)],
            'aspect': [(0.0, 0.5), (3.0, 0.3)],
        },
        seed=_SEED,
        images=_IMAGES,
    ),
    'random_flips': _line({'seed': _BAD_SEEDS}, seed=_SEED, batch_size=3),
    'random_offsets': _line(
        {'seed': _BAD_SEEDS, 'max_shift': -1},
        seed=_SEED,
        batch_size=3,
        max_shift=2,
    ),
    'shift': _line(
        {
            'images': _BAD_IMAGES,
            'offsets': [np.ones([3, 1], int), np.ones([2, 2], int), _IMAGES],
            'padding': 'wrap',
        },
        images=_IMAGES,
        offsets=np.ones([3, 2], int),
    ),
    'stack': _line(
        {'views': [[]], 'batch': {'label': _INDEX}},
        views=_VIEWS,
        batch={'image': _IMAGES},
    ),
}
