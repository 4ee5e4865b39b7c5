"""Every public name of core.optimizers, a line each."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from core import optimizers, schedules

W = r'.*/w'
CYCLE = {
    'init_value': 0.0,
    'peak_value': 0.1,
    'warmup_steps': 10,
    'decay_steps': 45,
}


def members(of: Any) -> dict[str, optimizers.GradientTransformation]:
  """Makes one of each.

  Args:
    of: The package, or what has its names: each factory, or one made of it.
  """
  sgd, adam = of.sgd(0.1), of.adam(0.1)
  return {
      'adafactor': of.adafactor(
          0.1, 3, momentum=0.9, weight_decay_rate=0.01, weight_decay_mask=W
      ),
      'adafactor__not_factored': of.adafactor(),
      'adagrad': of.adagrad(0.1),
      'adagrad__from_zero': of.adagrad(0.1, 0.0, 0.0),
      'adam': of.adam(0.1),
      'adam__arguments': of.adam(0.1, 0.8, 0.95, 1e-3, 1e-4, nesterov=True),
      'adam__schedule': of.adam(schedules.warmup_cosine_decay(**CYCLE)),
      'adamw': of.adamw(0.1, weight_decay=0.1, mask=W),
      'adamw__schedule': of.adamw(
          0.1, weight_decay=schedules.linear(0.5, 0.125, 48), mask=W
      ),
      'adaptive_grad_clip': of.chain(of.adaptive_grad_clip(0.3), sgd),
      'adaptive_grad_clip__axis': of.chain(
          of.partition({
              W: of.adaptive_grad_clip(0.3, axis=1),
              '.*': of.identity(),
          }),
          sgd,
      ),
      'add_decayed_weights': of.chain(of.add_decayed_weights(0.1, W), sgd),
      'apply_if_finite': of.apply_if_finite(adam, 3),
      'centralize': of.chain(of.centralize(), of.sgd(0.1, 0.9)),
      'chain': of.chain(of.scale(2.0), of.scale(-0.1)),
      'clip': of.chain(of.clip(0.5), sgd),
      'clip_by_block_rms': of.chain(of.clip_by_block_rms(0.5), sgd),
      'clip_by_global_norm': of.chain(of.clip_by_global_norm(3.0), adam),
      'clip_by_norm': of.chain(of.clip_by_norm(0.5), sgd),
      'constrain': of.chain(
          sgd, of.constrain({W: of.unit_norm, 'scale': of.non_negative})
      ),
      'create': of.chain(
          of.create(
              lambda nest: tf.nest.map_structure(tf.zeros_like, nest),
              lambda gradients, last, parameters: (
                  tf.nest.map_structure(tf.add, gradients, last),
                  gradients,
              ),
          ),
          sgd,
      ),
      'ema': of.chain(of.ema(0.9), sgd),
      'identity': of.chain(of.identity(), sgd),
      'inject_hyperparams': of.inject_hyperparams(of.adam)(0.1),
      'inject_hyperparams__schedule': of.inject_hyperparams(of.adamw)(
          schedules.linear(0.1, 0.2, 9),
          b1=schedules.linear(0.5, 0.9, 5),
          mask=W,
      ),
      'lamb': of.lamb(0.1, weight_decay=0.1, mask=W),
      'lars': of.lars(0.1, 0.1, W, 0.01, 1e-3, W, 0.8, True),
      'lion': of.lion(0.01, weight_decay=0.1, mask=W),
      'lookahead': of.lookahead(adam, 2, 0.5),
      'masked': of.chain(of.masked(of.trace(0.9), W), sgd),
      'max_norm': of.chain(sgd, of.constrain({W: of.max_norm})),
      'multi_steps': of.multi_steps(adam, 4),
      'multi_steps__sum_of_a_schedule': of.multi_steps(
          adam, lambda n: 1 + n // 3, False
      ),
      'muon': of.muon(0.1, weight_decay=0.1, adam_weight_decay=0.2),
      'muon__arguments': of.muon(
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
      'nadam': of.nadam(0.1),
      'non_negative': of.chain(sgd, of.constrain({'.*': of.non_negative})),
      'partition': of.partition({W: adam, '.*': of.sgd(0.01, 0.9)}),
      'rmsprop': of.rmsprop(0.1),
      'rmsprop__centered': of.rmsprop(
          0.1, eps=0.01, centered=True, bias_correction=True
      ),
      'rmsprop__momentum': of.rmsprop(
          0.1, 0.8, 1e-3, 0.5, False, momentum=0.9, nesterov=True
      ),
      'scale': of.scale(-0.1),
      'scale_by_adam': of.chain(of.scale_by_adam(), sgd),
      'scale_by_factored_rms': of.chain(
          of.scale_by_factored_rms(min_dim_size_to_factor=3), sgd
      ),
      'scale_by_learning_rate': of.scale_by_learning_rate(0.1),
      'scale_by_lion': of.chain(of.scale_by_lion(), sgd),
      'scale_by_muon': of.partition(
          {W: of.chain(of.scale_by_muon(), sgd), '.*': sgd}
      ),
      'scale_by_param_block_rms': of.chain(of.scale_by_param_block_rms(), sgd),
      'scale_by_rms': of.chain(of.scale_by_rms(), sgd),
      'scale_by_rss': of.chain(of.scale_by_rss(), sgd),
      'scale_by_schedule': of.scale_by_schedule(
          schedules.linear(-0.5, -0.1, 5)
      ),
      'scale_by_trust_ratio': of.chain(of.scale_by_trust_ratio(), sgd),
      'set_to_zero': of.partition({'scale': of.set_to_zero(), '.*': sgd}),
      'sgd': of.sgd(0.1),
      'sgd__momentum': of.sgd(0.1, 0.9),
      'sgd__nesterov': of.sgd(0.1, 0.9, True),
      'stateless': of.chain(
          of.stateless(
              lambda gradients, parameters: tf.nest.map_structure(
                  lambda g, p: g + tf.sign(p), gradients, parameters
              )
          ),
          sgd,
      ),
      'trace': of.chain(of.trace(0.9), sgd),
      'unit_norm': of.chain(sgd, of.constrain({W: of.unit_norm})),
  }


MEMBERS = members(optimizers)
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
