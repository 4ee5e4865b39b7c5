"""Tests of launch.hooks.profile: which steps are traced, and what is said."""

from __future__ import annotations

import pathlib
import re
import types

import pytest
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import programs
from launch.hooks import profile
from launch.training import periods
from tests.launch import runs


def _profile(steps, directory='', said=None, **kwargs):
  now = types.SimpleNamespace(
      at=periods.Periods(20, 40), say=(said or []).append
  )
  return profile.Profile(steps, directory, now, **{'is_chief': True, **kwargs})


class ProfileTest(parameterized.TestCase):

  def test_where_the_graph_is_cut(self):
    """Workers that do not trace are cut alike."""
    hook = _profile((5, 8), is_chief=False)
    self.assertEqual(
        [hook.next(step) for step in (0, 4, 5, 7, 8, 39)],
        [5, 5, 8, 8, 40, 40],
    )
    hook(8, {})
    hook.close()
    self.assertEqual(_profile(None).next(3), 40)

  @pytest.mark.medium
  def test_the_trace_and_what_took_most_time(self):
    directory, said = runs.scratch(self), ['']
    hook = _profile((1, 3), directory, said)

    @tf.function
    def product(x):
      return tf.linalg.matmul(x, x)

    x = tf.random.stateless_normal([300, 300], [0, 1])
    product(x)
    hook.next(1)
    self.assertTrue(tf.reduce_all(tf.math.is_finite(product(x))))
    hook(2, {})  # Another hook's.
    hook(3, {})
    [_, text] = said
    path = re.search(r'steps 2 to 3 are traced in (\S+);', text)[1]
    self.assertLen(list(pathlib.Path(path).glob('*.xplane.pb')), 1)
    self.assertIn(f'tensorboard --logdir={directory} ', text)
    first = text.splitlines()[3].split()
    self.assertIn('MatMul', first[0])
    self.assertGreater(float(first[2]), 0)
    hook(3, {})
    hook.end(4)
    self.assertLen(said, 2)

  def test_an_error_drops_the_trace(self):
    directory = runs.scratch(self)
    hook = _profile((1, 3), directory)
    hook.next(1)
    hook.close()
    self.assertEmpty(list(pathlib.Path(directory).rglob('*.pb')))
    tf.profiler.experimental.start(directory)  # No trace is running.
    tf.profiler.experimental.stop(save=False)

  def test_another_trace_is_running(self):
    directory, said = runs.scratch(self), ['']
    hook = _profile((1, 3), directory, said)
    tf.profiler.experimental.start(directory)
    try:
      self.assertEqual(hook.next(1), 3)
      hook(3, {})
    finally:
      tf.profiler.experimental.stop(save=False)
    self.assertEqual(said, [''])

  @pytest.mark.medium
  def test_a_run_is_as_without(self):
    watched = runs.watched()
    self.assertEqual(runs.digest(watched.workdir), runs.digest(runs.finished()))
    self.assertIn('steps 19 to 22 are traced in ', watched.failed.out)
    self.assertIn(
        '--profile_steps=18:22: step 20 is passed already; steps 21 to 22 will '
        'be traced.',
        watched.ended.out,
    )
    self.assertIn('steps 21 to 22 are traced in ', watched.ended.out)
    self.assertLen(
        list((watched.workdir / 'summaries').rglob('*.xplane.pb')), 2
    )

  @parameterized.parameters('5', '5:', '5:5', '9:3', '-1:3', '1:2:3', 'a:b')
  def test_what_is_no_range(self, steps):
    ended, config = runs.parsed(f'--profile_steps={steps}')
    self.assertEqual((ended.code, config), (2, None))
    self.assertRegex(
        ended.err,
        rf'^\S+: --profile_steps: expected FIRST:LAST .*{steps}.*\n$',
    )

  def test_a_run_that_is_shorter(self):
    with self.assertRaisesRegex(
        programs.UserError, '--profile_steps=5:41: the run has 40 steps.'
    ):
      _profile((5, 41))
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    ended = runs.train(workdir, profile_steps='5:41')
    self.assertEqual(ended.code, 2, ended)
    self.assertFalse(workdir.exists())


if __name__ == '__main__':
  absltest.main()
