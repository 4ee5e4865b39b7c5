"""Eager = graph = XLA, for batches of a known size and of any."""

from __future__ import annotations

import functools

import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.core.conformance import member, table, table_optimizers
from tests.core.optimizers import comparison

_WEIGHTS = (1.0, 1.0, 0.0, 1.0, 0.5, 1.0)


class CompilationTest(parameterized.TestCase):

  @parameterized.named_parameters(*table.named())
  def test_eager_is_graph_is_xla(self, name):
    line = table.MEMBERS[name]
    subject = line.make()
    batch = member.tensors(line.batch(_WEIGHTS))
    of_any_size = {
        name: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
        for name, value in batch.items()
    }
    expected = member.results(subject, batch)
    for name, options in (
        ('any_size', {'input_signature': [of_any_size]}),
        ('compilation', {'jit_compile': True}),
    ):
      traced = tf.function(
          functools.partial(member.observe, subject), **options
      )
      with line.holds(self, name):
        actual = member.results(subject, batch, lambda _, b, f=traced: f(b))
        for some, others in zip(actual, expected, strict=True):
          member.assert_same(some, others, 2e-5)

  @parameterized.named_parameters(*table_optimizers.named())
  def test_an_optimizer_eager_is_graph_is_xla(self, name):
    optimizer = table_optimizers.MEMBERS[name]
    start, steps = comparison.parameters(), comparison.gradients(6)
    _, expected = comparison.run(optimizer, start, steps)
    for jit_compile in (False, True):
      _, actual = comparison.run(
          optimizer, start, steps, jit_compile=jit_compile
      )
      comparison.assert_same(actual, expected, rtol=1e-5)


if __name__ == '__main__':
  absltest.main()
