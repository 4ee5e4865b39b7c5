"""Arguments out of range are refused, by name, where they are given."""

from __future__ import annotations

from absl.testing import absltest, parameterized

from core import optimizers

SGD = optimizers.sgd(0.1)


class RefusalsTest(parameterized.TestCase):
  @parameterized.parameters(
      (optimizers.sgd, (-0.1,), 'learning_rate'),
      (optimizers.sgd, (float('nan'),), 'learning_rate'),
      (optimizers.sgd, (0.1, 1.0), 'momentum'),
      (optimizers.sgd, (0.1, None, True), 'nesterov'),
      (optimizers.adam, (0.1, 1.0), 'b1'),
      (optimizers.adam, (0.1, 0.9, -0.1), 'b2'),
      (optimizers.adam, (0.1, 0.9, 0.9, -1.0), 'eps'),
      (optimizers.adam, (0.1, 0.9, 0.9, 0.0, -1.0), 'eps_root'),
      (optimizers.nadam, (-0.1,), 'learning_rate'),
      (optimizers.adamw, (0.1, 0.9, 0.9, 0, 0, None, -1.0), 'weight_decay'),
      (optimizers.lamb, (0.1, 1.0), 'b1'),
      (optimizers.lars, (0.1, 0.0, None, -1.0), 'trust_coefficient'),
      (optimizers.scale_by_trust_ratio, (-1.0,), 'min_norm'),
      (optimizers.lion, (0.1, 1.5), 'b1'),
      (optimizers.rmsprop, (0.1, 1.0), 'decay'),
      (optimizers.rmsprop, (0.1, 0.9, 0, -1.0), 'initial_scale'),
      (optimizers.adagrad, (0.1, -1.0), 'initial_accumulator_value'),
      (optimizers.adafactor, (0.1, 128, -1.0), 'decay_rate'),
      (optimizers.adafactor, (0.1, 128, 0.8, -1), 'decay_offset'),
      (optimizers.scale_by_factored_rms, (True, 0.8, -1), 'step_offset'),
      (optimizers.trace, (1.0,), 'decay'),
      (optimizers.scale_by_param_block_rms, (-1.0,), 'min_scale'),
      (optimizers.muon, (0.1, (1.0, 1.0, 1.0), 0), 'ns_steps'),
      (optimizers.muon, (0.1, (1.0, 1.0, 1.0), 5, 1.0), 'beta'),
      (optimizers.orthogonalize, ([[[1.0]]],), 'matrix'),
      (optimizers.clip, (0.0,), 'max_delta'),
      (optimizers.clip_by_norm, (-1.0,), 'max_norm'),
      (optimizers.clip_by_global_norm, (0.0,), 'max_norm'),
      (optimizers.clip_by_block_rms, (0.0,), 'threshold'),
      (optimizers.adaptive_grad_clip, (0.0,), 'clipping'),
      (optimizers.adaptive_grad_clip, (0.1, 0.0), 'eps'),
      (optimizers.add_decayed_weights, (-1.0,), 'weight_decay'),
      (optimizers.multi_steps, (SGD, 0), 'every_k_schedule'),
      (optimizers.apply_if_finite, (SGD, -1), 'max_consecutive_errors'),
      (optimizers.lookahead, (SGD, 0, 0.5), 'sync_period'),
      (optimizers.lookahead, (SGD, 5, 1.5), 'slow_step_size'),
      (optimizers.ema, (1.0,), 'decay'),
  )
  def test_names_the_argument(self, make, arguments, name):
    with self.assertRaisesRegex(ValueError, f'^{name}: '):
      make(*arguments)


if __name__ == '__main__':
  absltest.main()
