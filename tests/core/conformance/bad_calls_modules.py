"""Bad calls of layers, models, optimizers and schedules, see `bad_calls`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from core import optimizers, schedules
from tests.core.conformance import bad_calls

_line = bad_calls.line
_IMAGE = (None, 6, 6, 2)
_NOT_IMAGES = ((None, 6), (None, 6, 6, None))
_UNKNOWN_LAST = ((None, None), (3,))
_IMAGES = tf.ones([2, 4, 4, 1])

LAYERS = {
    'AttentionPooling': _line(
        {'num_heads': 0},
        ((None, 4), (None, 3, None), (None, 3, 3)),
        num_heads=2,
    ),
    'BatchNorm': _line({'decay_rate': [1.0, -0.1], 'eps': -1.0}, _UNKNOWN_LAST),
    'BlurPool': _line(
        {'filter_size': 0, 'stride': 0}, (*_NOT_IMAGES, (None, 1, 1, 2))
    ),
    'Conv2D': _line(
        {
            'output_channels': 0,
            'kernel_shape': 0,
            'stride': 0,
            'padding': 'FULL',
        },
        (*_NOT_IMAGES, (None, 1, 6, 2)),
        output_channels=3,
        kernel_shape=2,
        padding='VALID',
    ),
    'Dense': _line(
        {'output_size': 0, 'activation': 'swish'}, _UNKNOWN_LAST, output_size=3
    ),
    'Dropout': _line({'rate': [1.0, -0.1]}, ((),), rate=0.5),
    'Embedding': _line(
        {'vocab_size': 0, 'embed_dim': 0},
        ((),),
        vocab_size=3,
        embed_dim=2,
    ),
    'GaussianNoise': _line({'stddev': -1.0}, ((),), stddev=0.5),
    'MultiHeadAttention': _line(
        {
            'num_heads': 0,
            'key_size': 0,
            'value_size': 0,
            'output_size': 0,
            'dropout_rate': 1.0,
        },
        ((None, 3), (None, 3, None)),
        num_heads=2,
        key_size=3,
    ),
    'Normalization': _line({}, _UNKNOWN_LAST),
    'PatchEmbedding': _line(
        {'patch_size': 0, 'hidden_size': 0, 'position': 'rotary'},
        (*_NOT_IMAGES, (None, 7, 6, 1)),
        patch_size=2,
        hidden_size=4,
    ),
    'Residual': _line(
        {'scale_init': [None]},
        function=tf.identity,
        scale_init=0.1,
        per_channel=True,
    ),
    'Softmax': _line({}, ((None, 3), ()), axis=2),
    'SparseDense': _line(
        {'output_size': 0, 'activation': 'swish'}, _UNKNOWN_LAST, output_size=3
    ),
    'SqueezeAndExcitation': _line({'ratio': 0}, ((None, 3), (None, 3, None))),
    'StochasticDepth': _line({'rate': [1.0, -0.1]}, ((),), rate=0.5),
    'WhiteningConv2D': _line(
        {'kernel_shape': 0, 'padding': 'FULL'}, (*_NOT_IMAGES, (None, 1, 1, 2))
    ),
    'activation': _line({'name_or_function': 'swish'}, name_or_function='relu'),
    'masked_mean': _line(
        {
            'inputs': [tf.ones([2])],
            'mask': [tf.ones([2, 3]), tf.ones([2, 1], tf.bool)],
        },
        inputs=tf.ones([2, 3]),
        mask=tf.ones([2, 3], tf.bool),
    ),
    'max_pool2d': _line({'inputs': [_IMAGES[0]], 'size': 0}, inputs=_IMAGES),
    'scaled_variance': _line(
        {'num_blocks': 0, 'layers_per_block': 1}, num_blocks=3
    ),
    'sincos_positions': _line({'size': [0, 6]}, height=2, width=2, size=4),
    'whitening_filters': _line(
        {'images': [_IMAGES[0]], 'kernel_shape': [0, 5], 'epsilon': 0.0},
        images=_IMAGES,
    ),
}


def _model(image: bool = True, **bad: Any) -> bad_calls.Line:
  shapes = ((None, 8, None, 1),) if image else ()
  bad = {'num_classes': 0, 'activation': 'swish', **bad}
  return _line(bad, shapes, num_classes=3)


MODELS = {
    'convnet': _model(channels=[(0,)], hidden_size=0, dropout_rate=1.0),
    'mlp': _model(hidden_sizes=[(0,)], dropout_rate=1.0),
    'reconstructing_mlp': _model(
        num_units=0,
        num_blocks=0,
        num_loops=0,
        layers_per_block=0,
        reconstruction_weight=-1.0,
    ),
    'resnet': _model(
        blocks_per_stage=[(), (0, 1, 1)],
        channels=[(0, 1, 1), (4, 4)],
        width=0,
        stem_channels=0,
        dropout_rate=1.0,
        stochastic_depth_rate=1.0,
    ),
    'row_rnn': _line(
        {'num_classes': 0, 'hidden_sizes': [(), (0,)], 'dropout_rate': 1.0},
        num_classes=3,
    ),
    'sparse_mlp': _model(False, hidden_sizes=[(0,)], dropout_rate=1.0),
    'speednet': _model(
        channels=[(), (4, 0)],
        convolutions_per_block=1,
        whitening_size=-1,
        logit_scale=0.0,
    ),
    'tabular': _line(
        {
            'num_classes': 0,
            'vocabulary_sizes': [(0,)],
            'embedding_size': 0,
            'hidden_sizes': [(0,)],
            'activation': 'swish',
            'dropout_rate': 1.0,
            'missing': 'zero',
        },
        ((None, 3),),
        num_classes=3,
        vocabulary_sizes=(2,),
    ),
    'text_classifier': _line(
        {
            'num_classes': 0,
            'vocabulary_size': 0,
            'embedding_size': 0,
            'hidden_sizes': [(0,)],
            'pooling': 'max',
            'num_heads': [0, 3],
            'activation': 'swish',
            'dropout_rate': 1.0,
        },
        ((None, 3, 2), (3,)),
        num_classes=3,
        pooling='attention',
    ),
    'unet': _model(
        channels=[(), (4, 0)], dropout_rate=1.0, batch_norm_momentum=1.0
    ),
    'vit': _line(
        {
            'num_classes': 0,
            'patch_size': 0,
            'hidden_size': 0,
            'num_layers': -1,
            'num_heads': [0, 3],
            'mlp_size': 0,
            'dropout_rate': 1.0,
            'pooling': 'max',
            'position': 'rotary',
        },
        ((None, 8, None, 1), (None, 7, 7, 1)),
        num_classes=3,
    ),
    'wide_and_deep': _model(
        False,
        hidden_sizes=[(0,)],
        wide_input='image',
        auxiliary_weight=[-0.1, 1.1],
    ),
}

_SGD = optimizers.sgd(0.1)
_ADAM = 'adam'  # No transformation.
_MATRIX = {'w': tf.ones([2, 2])}
_RATES = [-0.1, float('nan')]
_MOMENTS = {'b1': [1.0, -0.1], 'b2': 1.0, 'eps': -1.0, 'eps_root': -1.0}
_DECAYED = {'weight_decay': -1.0, 'mask': '('}


def _optimizer(**bad: Any) -> bad_calls.Line:
  return _line({'learning_rate': _RATES, **bad}, learning_rate=0.1)


OPTIMIZERS = {
    'adafactor': _line(
        {
            'learning_rate': _RATES,
            'decay_rate': -1.0,
            'decay_offset': -1,
            'weight_decay_mask': '(',
        },
        learning_rate=0.1,
        weight_decay_rate=0.1,
    ),
    'adagrad': _optimizer(initial_accumulator_value=-1.0, eps=-1.0),
    'adam': _optimizer(**_MOMENTS),
    'adamw': _optimizer(**_MOMENTS, **_DECAYED),
    'adaptive_grad_clip': _line({'clipping': 0.0, 'eps': 0.0}, clipping=0.1),
    'add_decayed_weights': _line(_DECAYED),
    'apply_if_finite': _line(
        {'max_consecutive_errors': -1, 'inner': [_ADAM]},
        inner=_SGD,
        max_consecutive_errors=1,
    ),
    'apply_updates': _line(
        {'updates': [{'w': tf.ones([2, 2, 2])}]},
        parameters=_MATRIX,
        updates=_MATRIX,
    ),
    'chain': _line({}),  # Its arguments have no names: see foreign_test.
    'clip': _line({'max_delta': 0.0}, max_delta=1.0),
    'clip_by_block_rms': _line({'threshold': 0.0}, threshold=1.0),
    'clip_by_global_norm': _line({'max_norm': 0.0}, max_norm=1.0),
    'clip_by_norm': _line({'max_norm': -1.0}, max_norm=1.0),
    'constrain': _line(
        {'constraints': [{'(': optimizers.unit_norm}]},
        constraints={'.*': optimizers.unit_norm},
    ),
    'ema': _line({'decay': [1.0, -0.1]}, decay=0.9),
    'ema_average': _line(
        {'decay': 1.0}, state=optimizers.ema(0.9).init(_MATRIX), decay=0.9
    ),
    'inject_hyperparams': _line(
        {'inner_factory': [_SGD], 'static_args': 'no_such_argument'},
        inner_factory=optimizers.adam,
    ),
    'lamb': _optimizer(**_MOMENTS, **_DECAYED),
    'lars': _optimizer(
        weight_decay=-1.0,
        weight_decay_mask='(',
        trust_coefficient=-1.0,
        eps=-1.0,
        trust_ratio_mask='(',
        momentum=1.0,
    ),
    'lion': _optimizer(b1=1.5, b2=1.5, **_DECAYED),
    'lookahead': _line(
        {'sync_period': 0, 'slow_step_size': 1.5, 'fast_optimizer': [_ADAM]},
        fast_optimizer=_SGD,
        sync_period=5,
        slow_step_size=0.5,
    ),
    'masked': _line({'mask': '(', 'inner': [_ADAM]}, inner=_SGD, mask='.*'),
    'max_norm': _line({'tensor': 1.0, 'max_value': -1.0}, tensor=_MATRIX['w']),
    'multi_steps': _line(
        {'every_k_schedule': 0, 'opt': [_ADAM]}, opt=_SGD, every_k_schedule=2
    ),
    'muon': _optimizer(
        ns_coeffs=[(1.0, 2.0)],
        ns_steps=0,
        beta=1.0,
        eps=-1.0,
        weight_decay=-1.0,
        weight_decay_mask='(',
        adam_b1=1.0,
        adam_learning_rate=-1.0,
        adam_factor=-1.0,
        muon_mask='(',
    ),
    'nadam': _optimizer(**_MOMENTS),
    'orthogonalize': _line(
        {'matrix': [[1.0], [[[1.0]]]], 'ns_steps': 0}, matrix=_MATRIX['w']
    ),
    'partition': _line({'transforms': [{'(': _SGD}]}, transforms={'.*': _SGD}),
    'rmsprop': _optimizer(
        decay=1.0, eps=-1.0, initial_scale=-1.0, momentum=1.0
    ),
    'scale': _line({'step_size': [tf.zeros([1])]}, step_size=1.0),
    'scale_by_adam': _line(_MOMENTS),
    'scale_by_factored_rms': _line({'decay_rate': -1.0, 'step_offset': -1}),
    'scale_by_learning_rate': _optimizer(),
    'scale_by_lion': _line({'b1': 1.5, 'b2': 1.5}),
    'scale_by_muon': _line({'ns_steps': 0, 'beta': 1.0, 'eps': -1.0}),
    'scale_by_param_block_rms': _line({'min_scale': -1.0}),
    'scale_by_rms': _line({'decay': 1.0, 'eps': -1.0, 'initial_scale': -1.0}),
    'scale_by_rss': _line({'initial_accumulator_value': -1.0, 'eps': -1.0}),
    'scale_by_trust_ratio': _line(
        {'min_norm': -1.0, 'trust_coefficient': -1.0, 'eps': -1.0}
    ),
    'sgd': _optimizer(momentum=1.0, nesterov=True),
    'trace': _line({'decay': 1.0}, decay=0.9),
    'unit_norm': _line({'tensor': 1.0}, tensor=_MATRIX['w']),
}

_CONSTANT = schedules.constant(1.0)
SCHEDULES = {
    'constant': _line({'value': [tf.zeros([1])]}, value=1.0),
    'cosine_decay': _line({'decay_steps': 0}, init_value=1.0, decay_steps=5),
    'cosine_onecycle': _line(
        {'transition_steps': 0, 'pct_start': 1.0},
        transition_steps=10,
        peak_value=1.0,
    ),
    'exponential_decay': _line(
        {'transition_steps': 0, 'decay_rate': 0.0, 'transition_begin': -1},
        init_value=1.0,
        transition_steps=5,
        decay_rate=0.5,
    ),
    'inverse_sqrt': _line({'warmup_steps': 0}, peak_value=1.0, warmup_steps=5),
    'join': _line(
        {'schedules': [[]], 'boundaries': [[5, 4], [5]]},
        schedules=[_CONSTANT] * 3,
        boundaries=[5, 10],
    ),
    'linear': _line(
        {'transition_steps': 0, 'transition_begin': -1},
        init_value=0.0,
        end_value=1.0,
        transition_steps=5,
    ),
    'linear_onecycle': _line(
        {'transition_steps': [0, 1]}, transition_steps=10, peak_value=1.0
    ),
    'piecewise_constant': _line(
        {'boundaries_and_scales': {3: -1.0}}, init_value=1.0
    ),
    'piecewise_interpolate': _line(
        {'interpolate_type': 'cubic', 'boundaries_and_scales': {3: -1.0}},
        interpolate_type='linear',
        init_value=1.0,
    ),
    'polynomial': _line(
        {'power': -1, 'transition_steps': 0, 'transition_begin': -1},
        init_value=0.0,
        end_value=1.0,
        power=2,
        transition_steps=5,
    ),
    'sgdr': _line(
        {'cosine_kwargs': [[]]},
        cosine_kwargs=[{
            'init_value': 0.0,
            'peak_value': 1.0,
            'warmup_steps': 2,
            'decay_steps': 5,
        }],
    ),
    'warmup_cosine_decay': _line(
        {'warmup_steps': [-1, 10]},
        init_value=0.0,
        peak_value=1.0,
        warmup_steps=2,
        decay_steps=10,
    ),
}
