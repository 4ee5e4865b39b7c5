"""Whether operations must be deterministic.

Covers: preparing.
"""

from __future__ import annotations

from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized

from launch.training import data_loops
from tests.launch import runs


class DeterminismTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = runs.scratch(self) + '/run'

  @parameterized.parameters(True, False)
  def test_a_flag_turns_it_on(self, deterministic):
    with mock.patch.object(
        tf.config.experimental, 'enable_op_determinism'
    ) as enable:
      ended = runs.train(self.workdir, num_steps=1, deterministic=deterministic)
    self.assertEqual(ended.code, 0, ended.err)
    self.assertEqual(enable.called, deterministic)

  def test_an_operation_without_a_deterministic_kernel(self):
    def over(*_):
      raise tf.errors.UnimplementedError(
          None,
          None,
          'A deterministic GPU implementation of X is not available.',
      )

    with mock.patch.object(data_loops.ResidentLoops, 'over', lambda *_: over):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 1)
    self.assertRegex(
        ended.err,
        r': A deterministic GPU implementation of X is not '
        r'available, but with --nodeterministic, which does not repeat a run '
        r'to the bit; nothing is saved yet.*\n$',
    )


if __name__ == '__main__':
  absltest.main()
