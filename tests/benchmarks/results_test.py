"""Tests of the file of a campaign, and of medians and ratios."""

from __future__ import annotations

import json
import pathlib
import tempfile
import unittest

from absl.testing import absltest, parameterized

from tests.benchmarks import results

_SETTINGS = {'rounds': 2, 'sizes': {'synthetic': True}}


def scratch(test: unittest.TestCase) -> str:
  """Makes a folder that goes when a test ends."""
  folder = tempfile.TemporaryDirectory()
  test.addCleanup(folder.cleanup)
  return folder.name


def run(
    contender: str,
    number: int = 0,
    speeds: tuple[float, ...] = (1.0,),
    *,
    case: str = 'mlp_b32',
    precision: str = 'float32',
    **values,
) -> results.Run:
  """Makes what the driver records of a process."""
  return {
      'round': number,
      'case': case,
      'contender': contender,
      'precision': precision,
      'status': results.OK,
      'images_per_second': list(speeds),
      'accuracy': 0.9,
      'peak_rss_gb': 1.0,
      'first_step_s': 2.0,
      'first_epoch_s': 3.0,
      'end_s': 4.0,
      **values,
  }


def failed(contender: str, number: int = 0, **values) -> results.Run:
  """Makes what the driver records of a process without a result."""
  key = {'case': 'mlp_b32', 'precision': 'float32', 'status': results.FAILED}
  return {
      **key,
      'round': number,
      'contender': contender,
      'error': 'a\nb',
      **values,
  }


class TableTest(parameterized.TestCase):

  def test_speeds_are_medians_of_medians_and_ratios_are_paired(self):
    runs = [
        run('notebook', 0, (90.0, 100.0, 900.0)),
        run('flax_scan', 0, (200.0,)),
        run('pytorch', 0, (210.0,)),
        run('quatrain', 0, (400.0,)),
        # The machine is half as fast in this round: ratios stay.
        run('notebook', 1, (50.0,)),
        run('flax_scan', 1, (120.0,)),
        run('pytorch', 1, (100.0,)),
        run('quatrain', 1, (210.0,)),
        run('flax_scan', 2, (300.0,)),
    ]
    rows = {row.contender: row for row in results.table(runs, 'mlp_b32')}
    self.assertEqual(rows['notebook'].speed, (75.0, 50.0, 100.0))
    self.assertEqual(rows['flax_scan'].speed, (200.0, 120.0, 300.0))
    self.assertEqual(rows['quatrain'].over_baseline, (4.1, 4.0, 4.2))
    # Flax has the highest median of the peers.
    self.assertEqual(rows['quatrain'].over_peer, (1.875, 1.75, 2.0))
    self.assertEqual(rows['flax_scan'].over_peer, (1.0, 1.0, 1.0))
    self.assertEqual(rows['flax_scan'].rounds, 3)
    self.assertEqual(next(iter(rows)), 'quatrain')

  def test_in_a_race_the_seconds_to_the_end_count(self):
    runs = [
        run('notebook', speeds=(9.0,), case='cpu_recipe', end_s=60.0),
        run('quatrain', speeds=(1.0,), case='cpu_recipe', end_s=20.0),
    ]
    first, second = results.table(runs, 'cpu_recipe')
    self.assertEqual(
        (first.contender, second.contender), ('quatrain', 'notebook')
    )
    self.assertAlmostEqual(first.over_baseline.median, 3.0)
    self.assertEqual(first.values['end_s'].median, 20.0)

  def test_the_fastest_peer_is_of_the_same_precision(self):
    runs = [
        run('notebook', speeds=(10.0,)),
        run('quatrain', speeds=(30.0,)),
        run('pytorch', speeds=(50.0,), precision='bfloat16'),
        run('quatrain', speeds=(100.0,), precision='bfloat16'),
    ]
    rows = {
        (row.contender, row.precision): row
        for row in results.table(runs, 'mlp_b32')
    }
    self.assertEqual(rows['quatrain', 'float32'].over_peer.median, 3.0)
    self.assertEqual(rows['quatrain', 'bfloat16'].over_peer.median, 2.0)
    self.assertEqual(rows['quatrain', 'bfloat16'].over_baseline.median, 10.0)

  def test_what_failed_is_told_and_the_rest_is_computed(self):
    runs = [
        run('quatrain', 0, (2.0,)),
        failed('notebook', 0),
        failed('flax_scan', 0, status=results.SKIPPED, error='no use'),
        run('pytorch', 0, (1.0,)),
        failed('pytorch', 1, status=results.TIMEOUT),
    ]
    rows = {row.contender: row for row in results.table(runs, 'mlp_b32')}
    self.assertIsNone(rows['notebook'].speed)
    self.assertEqual(rows['notebook'].problem, 'failed in 1 rounds: b')
    self.assertEqual(rows['flax_scan'].problem, 'not run: no use')
    self.assertEqual(rows['pytorch'].problem, 'timeout in 1 rounds: b')
    self.assertIsNone(rows['quatrain'].over_baseline)
    self.assertEqual(rows['quatrain'].over_peer.median, 2.0)

  def test_a_case_without_runs_has_no_rows(self):
    self.assertEmpty(results.table([run('notebook')], 'cnn_b128'))


class ResultsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(scratch(self)) / 'x' / 'r.json'

  def test_every_run_is_saved_and_a_campaign_goes_on(self):
    campaign = results.Results(self.path, _SETTINGS, {})
    campaign.append(run('notebook', 0))
    campaign.append(failed('pytorch', 0))
    self.assertLen(json.loads(self.path.read_text())['runs'], 2)

    campaign = results.Results(
        self.path, {**_SETTINGS, 'rounds': 9}, {}, resume=True
    )
    key = {'round': 0, 'case': 'mlp_b32', 'precision': 'float32'}
    self.assertTrue(campaign.has({**key, 'contender': 'notebook'}))
    self.assertFalse(campaign.has({**key, 'round': 1, 'contender': 'notebook'}))
    # Tried again.
    self.assertFalse(campaign.has({**key, 'contender': 'pytorch'}))

  def test_a_file_is_not_overwritten_nor_mixed_with_other_sizes(self):
    results.Results(self.path, _SETTINGS, {}).append(run('notebook'))
    with self.assertRaisesRegex(ValueError, 'resume it by --resume'):
      results.Results(self.path, _SETTINGS, {})
    other = {'rounds': 2, 'sizes': {'synthetic': False}}
    with self.assertRaisesRegex(ValueError, "not with {'synthetic': False}"):
      results.Results(self.path, other, {}, resume=True)


if __name__ == '__main__':
  absltest.main()
