"""Tests of what launch.benchmark concludes from what it measures.

Covers: measuring, step_times.
"""

from __future__ import annotations

import pathlib
import re

import numpy as np
from absl.testing import absltest, parameterized

from launch.benchmarking import bottleneck, measuring, prefixes, step_times
from launch.machine import costs
from tests.launch import runs

_PARTS = (*prefixes.NAMES, 'host', 'other')


class SplitTest(absltest.TestCase):

  def split(self, is_resident, **columns):
    """Splits three rounds, the last of which was ten times as slow."""
    slow = np.array([1.0, 1.0, 10.0])
    seconds = dict(
        step=10.0,
        input=1.0,
        forward=3.0,
        backward=7.0,
        update=8.0,
        host=0.5,
        pipeline=0.5,
    )
    seconds.update(columns)
    return step_times.split(
        {name: value * slow for name, value in seconds.items()}, is_resident
    )

  def test_data_in_memory(self):
    self.assertEqual(
        self.split(True),
        dict(zip(_PARTS, (1.5, None, 2.0, 4.0, 1.0, 1.5, 0.0), strict=True)),
    )

  def test_streamed_data(self):
    # The steps take 7.0, the host 0.5: 2.5 are left.
    found = self.split(False)
    self.assertEqual((found['input'], found['host']), (0.5, 0.5))
    self.assertEqual(found['other'], 2.0)
    found = self.split(False, pipeline=9.0)
    self.assertEqual((found['input'], found['other']), (2.5, 0.0))

  def test_negative_differences_are_the_others(self):
    found = self.split(True, update=6.0, host=2.0)
    self.assertEqual((found['update'], found['host']), (0, 3.5))
    self.assertEqual(found['other'], -1.0)
    # No more than three times what was measured by itself.
    found = self.split(True, host=0.3)
    self.assertAlmostEqual(found['host'], 0.9)
    self.assertAlmostEqual(found['other'], 0.6)
    found = self.split(True, all_reduce=1.5)
    self.assertEqual((found['all_reduce'], found['forward']), (0.5, 1.5))


class FloorTest(absltest.TestCase):

  def test_by_hand(self):
    rates = {'product': 10.0, 'convolution': 5.0}
    dense = costs.Layer('Dense', forward=20, backward=40)
    self.assertEqual(measuring.floor(dense, 'forward', rates), 2.0)
    self.assertEqual(measuring.floor(dense, 'backward', rates), 4.0)
    convolved = costs.Layer('Conv2D', forward=20, backward=40, convolved=60)
    self.assertEqual(measuring.floor(convolved, 'backward', rates), 8.0)
    mixed = costs.Layer('Net', forward=20, backward=40, convolved=30)
    self.assertAlmostEqual(measuring.floor(mixed, 'forward', rates), 3.0)
    no_products = costs.Layer('Flatten')
    self.assertEqual(measuring.floor(no_products, 'forward', rates), 0.0)


class BottleneckTest(parameterized.TestCase):

  def explain(self, parts, config=None, **changes):
    """Explains a step of 1 ms in a run of 1000 s."""
    found = {
        'parts': {**dict.fromkeys(_PARTS, 0.0), 'all_reduce': None, **parts},
        'seconds_per_step': 1e-3,
        'num_steps': 10**6,
        'is_resident': False,
        'first_step_seconds': 5.0,
        'floor_seconds': 0.5e-3,
        'too_fast': [],
        'warnings': [],
        'half_seconds': None,
        'steps_per_call': 500,
        'input_seconds': 1e-3,
        'data_bytes': 1e9,
        'load': 1.0,
        'machine': {'cpus': 2},
        'memory_bytes': {'machine': 16e9},
        **changes,
    }
    bound, lines = bottleneck.explain(found, config or runs.config())
    return bound, ' '.join(lines)

  @parameterized.parameters(
      (0.5, {}, '--resident_gb=1 keeps the data in memory'),
      (0.5, dict(data_bytes=9e9), 'do not fit into the memory of this'),
      (4.0, {}, 'No flag changes this'),
      (4.0, dict(is_resident=True), 'shuffling and gathering'),
  )
  def test_input(self, resident_gb, changes, message):
    bound, said = self.explain(
        dict(input=0.8e-3, forward=0.2e-3),
        runs.config(resident_gb=resident_gb),
        **changes,
    )
    self.assertEqual(bound, 'input')
    self.assertStartsWith(
        said, 'Input-bound: waiting for the batch takes 80 % of a step. '
    )
    self.assertIn(message, said)

  @parameterized.parameters(
      (dict(half_seconds=0.5e-3), '--precision=bfloat16 a step takes 0.5 ms'),
      (dict(floor_seconds=0.1e-3), 'A larger --global_batch_size may help'),
      (dict(floor_seconds=0.8e-3), 'near the peak speed of the device'),
      (dict(load=9.0), 'its load is 9.0, on 2 CPUs'),
      (dict(num_steps=100), 'steps of the run take 0.1 s, and its start 5.0 s'),
      (dict(warnings=['It is emulated.']), 'It is emulated.'),
      (dict(too_fast=['backward']), 'backward pass cannot be told apart'),
  )
  def test_model(self, changes, message):
    parts = dict(forward=0.3e-3, backward=0.6e-3, update=0.1e-3)
    bound, said = self.explain(parts, **changes)
    self.assertEqual(bound, 'model')
    self.assertIn(message, said)
    _, before = self.explain(parts)
    self.assertEqual(
        before,
        'Compute-bound: the forward and backward pass take 90 % of a step.',
    )

  @parameterized.parameters(
      (500, {}, None),
      (2, dict(steps_per_loop=2), 'Without --steps_per_loop=2'),
      (5, dict(log_every_steps=7), '--log_every_steps=70 interrupts fewer'),
      (5, dict(log_every_steps=100), 'takes 5 steps; it stops at the end'),
  )
  def test_host(self, steps_per_call, flags, message):
    bound, said = self.explain(
        dict(host=1e-3), runs.config(**flags), steps_per_call=steps_per_call
    )
    self.assertEqual(bound, 'host')
    if message:
      self.assertIn(message, said)
    else:
      self.assertNotIn('--', said)

  @parameterized.parameters((0.12e-3, True), (0.08e-3, False))
  def test_a_small_part_of_the_host(self, seconds, is_told):
    bound, said = self.explain(
        dict(host=seconds, forward=1e-3 - seconds),
        runs.config(log_every_steps=100),
        steps_per_call=90,
    )
    self.assertEqual(bound, 'model')
    self.assertEqual('--log_every_steps=1000' in said, is_told)

  def test_several_replicas(self):
    bound, said = self.explain(
        dict(all_reduce=0.6e-3, forward=0.4e-3),
        runs.config(num_virtual_devices=2),
    )
    self.assertEqual(bound, 'all_reduce')
    self.assertIn('--num_virtual_devices is only for trying', said)

  def test_two_causes_with_one_remedy_name_it_once(self):
    _, said = self.explain(
        dict(update=0.5e-3, forward=0.5e-3), runs.config(jit_compile='off')
    )
    self.assertIn('larger --global_batch_size updates less often', said)
    self.assertEqual(said.count('--jit_compile=auto'), 1)

  def test_parts_that_explain_nothing(self):
    bound, said = self.explain(dict(other=0.7e-3, forward=0.3e-3))
    self.assertEqual(bound, 'other')
    self.assertIn('measure again', said)
    # The parts take longer by themselves than the step does.
    bound, said = self.explain(dict(other=-1e-3, forward=2e-3))
    self.assertEqual(bound, 'model')
    self.assertIn('100 % of a step', said)
    self.assertIn('measure again', said)

  def test_the_share_is_that_of_the_table(self):
    _, said = self.explain(dict(host=0.6e-3, forward=0.5e-3, other=-0.1e-3))
    self.assertIn('takes 60 % of a step', said)

  def test_each_flag_that_it_names_is_one(self):
    text = pathlib.Path(bottleneck.__file__).read_text()
    named = set(re.findall(r'--([a-z]\w+)', text))
    self.assertContainsSubset(named, set(runs.flags_of('benchmark')))
    self.assertGreater(len(named), 8)


if __name__ == '__main__':
  absltest.main()
