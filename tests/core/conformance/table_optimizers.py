"""Every public name of core.optimizers, a line each."""

from __future__ import annotations

import tensorflow as tf

from core import optimizers, schedules

W = r'.*/w'
CYCLE = {
    'init_value': 0.0,
    'peak_value': 0.1,
    'warmup_steps': 10,
    'decay_steps': 45,
}
_SGD = optimizers.sgd(0.1)
_ADAM = optimizers.adam(0.1)

MEMBERS = {
    'adafactor': optimizers.adafactor(
        0.1, 3, momentum=0.9, weight_decay_rate=0.01, weight_decay_mask=W
    ),
    'adafactor__not_factored': optimizers.adafactor(),
    'adagrad': optimizers.adagrad(0.1),
    'adagrad__from_zero': optimizers.adagrad(0.1, 0.0, 0.0),
    'adam': optimizers.adam(0.1),
    'adam__arguments': optimizers.adam(
        0.1, 0.8, 0.95, 1e-3, 1e-4, nesterov=True
    ),
    'adam__schedule': optimizers.adam(schedules.warmup_cosine_decay(**CYCLE)),
    'adamw': optimizers.adamw(0.1, weight_decay=0.1, mask=W),
    'adamw__schedule': optimizers.adamw(
        0.1, weight_decay=schedules.linear(0.5, 0.125, 48), mask=W
    ),
    'adaptive_grad_clip': optimizers.chain(
        optimizers.adaptive_grad_clip(0.3), _SGD
    ),
    'adaptive_grad_clip__axis': optimizers.chain(
        optimizers.partition({
            W: optimizers.adaptive_grad_clip(0.3, axis=1),
            '.*': optimizers.identity(),
        }),
        _SGD,
    ),
    'add_decayed_weights': optimizers.chain(
        optimizers.add_decayed_weights(0.1, W), _SGD
    ),
    'apply_if_finite': optimizers.apply_if_finite(_ADAM, 3),
    'centralize': optimizers.chain(
        optimizers.centralize(), optimizers.sgd(0.1, 0.9)
    ),
    'chain': optimizers.chain(optimizers.scale(2.0), optimizers.scale(-0.1)),
    'clip': optimizers.chain(optimizers.clip(0.5), _SGD),
    'clip_by_block_rms': optimizers.chain(
        optimizers.clip_by_block_rms(0.5), _SGD
    ),
    'clip_by_global_norm': optimizers.chain(
        optimizers.clip_by_global_norm(3.0), _ADAM
    ),
    'clip_by_norm': optimizers.chain(optimizers.clip_by_norm(0.5), _SGD),
    'constrain': optimizers.chain(_SGD, optimizers.constrain({
        W: optimizers.unit_norm, 'scale': optimizers.non_negative
    })),
    'create': optimizers.chain(
        optimizers.create(
            lambda parameters: tf.nest.map_structure(tf.zeros_like, parameters),
            lambda gradients, last, parameters: (
                tf.nest.map_structure(tf.add, gradients, last), gradients
            ),
        ),
        _SGD,
    ),
    'ema': optimizers.chain(optimizers.ema(0.9), _SGD),
    'identity': optimizers.chain(optimizers.identity(), _SGD),
    'lamb': optimizers.lamb(0.1, weight_decay=0.1, mask=W),
    'lars': optimizers.lars(0.1, 0.1, W, 0.01, 1e-3, W, 0.8, True),
    'lion': optimizers.lion(0.01, weight_decay=0.1, mask=W),
    'lookahead': optimizers.lookahead(_ADAM, 2, 0.5),
    'masked': optimizers.chain(
        optimizers.masked(optimizers.trace(0.9), W), _SGD
    ),
    'max_norm': optimizers.chain(
        _SGD, optimizers.constrain({W: optimizers.max_norm})
    ),
    'multi_steps': optimizers.multi_steps(_ADAM, 4),
    'multi_steps__sum_of_a_schedule': optimizers.multi_steps(
        _ADAM, lambda n: 1 + n // 3, False
    ),
    'muon': optimizers.muon(0.1, weight_decay=0.1, adam_weight_decay=0.2),
    'muon__arguments': optimizers.muon(
        0.1,
        ns_steps=3,
        beta=0.8,
        nesterov=False,
        adaptive=True,
        adam_learning_rate=0.005,
        adam_factor=2.0,
        consistent_rms=0.2,
        muon_mask=r'.*(linear|wide)/w',
    ),
    'nadam': optimizers.nadam(0.1),
    'non_negative': optimizers.chain(
        _SGD, optimizers.constrain({'.*': optimizers.non_negative})
    ),
    'partition': optimizers.partition(
        {W: _ADAM, '.*': optimizers.sgd(0.01, 0.9)}
    ),
    'rmsprop': optimizers.rmsprop(0.1),
    'rmsprop__centered': optimizers.rmsprop(
        0.1, eps=0.01, centered=True, bias_correction=True
    ),
    'rmsprop__momentum': optimizers.rmsprop(
        0.1, 0.8, 1e-3, 0.5, False, momentum=0.9, nesterov=True
    ),
    'scale': optimizers.scale(-0.1),
    'scale_by_adam': optimizers.chain(optimizers.scale_by_adam(), _SGD),
    'scale_by_factored_rms': optimizers.chain(
        optimizers.scale_by_factored_rms(min_dim_size_to_factor=3), _SGD
    ),
    'scale_by_learning_rate': optimizers.scale_by_learning_rate(0.1),
    'scale_by_lion': optimizers.chain(optimizers.scale_by_lion(), _SGD),
    'scale_by_muon': optimizers.partition({
        W: optimizers.chain(optimizers.scale_by_muon(), _SGD), '.*': _SGD
    }),
    'scale_by_param_block_rms': optimizers.chain(
        optimizers.scale_by_param_block_rms(), _SGD
    ),
    'scale_by_rms': optimizers.chain(optimizers.scale_by_rms(), _SGD),
    'scale_by_rss': optimizers.chain(optimizers.scale_by_rss(), _SGD),
    'scale_by_schedule': optimizers.scale_by_schedule(
        schedules.linear(-0.5, -0.1, 5)
    ),
    'scale_by_trust_ratio': optimizers.chain(
        optimizers.scale_by_trust_ratio(), _SGD
    ),
    'sgd': optimizers.sgd(0.1),
    'sgd__momentum': optimizers.sgd(0.1, 0.9),
    'sgd__nesterov': optimizers.sgd(0.1, 0.9, True),
    'stateless': optimizers.chain(
        optimizers.stateless(
            lambda gradients, parameters: tf.nest.map_structure(
                lambda g, p: g + tf.sign(p), gradients, parameters
            )
        ),
        _SGD,
    ),
    'trace': optimizers.chain(optimizers.trace(0.9), _SGD),
    'unit_norm': optimizers.chain(
        _SGD, optimizers.constrain({W: optimizers.unit_norm})
    ),
}
# What is no transformation, and where it is tried.
OTHERS = {
    'GradientTransformation': 'the type of all of the above',
    'Mask': 'a type',
    'ScalarOrSchedule': 'a type',
    'apply_updates': 'part of each test here',
    'ema_average': 'tried in averaging_test',
    'global_norm': 'tried in transformation_test',
    'orthogonalize': 'tried in matrices_test',
}


def named() -> list[tuple[str, str]]:
  """Lists the names; the lines are tuples, which parameterized takes apart."""
  return [(name, name) for name in MEMBERS]
