"""Runs of older versions are evaluated, exported and resumed.

Each folder of golden/ has the work directories that a release wrote: `finished`
(a stretched schedule, an average of weights, normalized images), `stopped` by
SIGTERM at step 5, and the rows of `whole`, the same run without the signal. The
data are those of `small_datasets.write` below. A release adds its own folder.
"""

from __future__ import annotations

import functools
import json
import pathlib
import shutil

import numpy as np
from absl.testing import absltest, parameterized

from tests import small_datasets
from tests.launch import runs

_GOLDEN = pathlib.Path(__file__).parent / 'golden'
_RELEASES = [(path.name,) for path in sorted(_GOLDEN.iterdir())]
_COMMON = dict(
    validation_examples=8,
    global_batch_size=6,
    model_arg={'hidden_sizes': (4,)},
    log_every_steps=2,
    checkpoint_every_steps=2,
)


@functools.cache
def _data():
  directory = runs.kept_directory()
  small_datasets.write(
      directory, num_train=44, num_test=9, image_shape=(4, 4, 1)
  )
  return directory


class GoldenTest(parameterized.TestCase):

  def copy(self, release, name):
    target = pathlib.Path(runs.scratch(self)) / name
    return shutil.copytree(_GOLDEN / release / name, target)

  def assert_close(self, values, expected):
    for name, value in expected.items():
      if isinstance(value, float):
        np.testing.assert_allclose(values[name], value, rtol=1e-4, err_msg=name)
      else:
        self.assertEqual(values[name], value, name)

  @parameterized.parameters(*_RELEASES)
  def test_is_evaluated_and_exported(self, release):
    workdir = self.copy(release, 'finished')
    place = (f'--workdir={workdir}', f'--data_dir={_data()}')
    ended = runs.call('evaluate', *place)
    self.assertEqual((ended.code, ended.err), (0, ''))
    scored = json.loads((workdir / 'evaluation_test.json').read_text())
    result = runs.result(workdir)
    self.assertEqual(scored['step'], result['num_steps'])
    self.assert_close(scored['values'], result['test']['values'])
    self.assertEqual(
        scored['confusion_matrix'], result['test']['confusion_matrix']
    )
    ended = runs.call('export', *place, '--formats=saved_model')
    self.assertEqual(ended.code, 0, ended.err)

  @parameterized.parameters(*_RELEASES)
  def test_a_complete_run_is_known_as_one(self, release):
    workdir = self.copy(release, 'finished')
    ended = runs.train(
        workdir,
        data=_data(),
        **{
            **_COMMON,
            'num_epochs': 1,
            'schedule': 'warmup_cosine',
            'schedule_arg': {'warmup_fraction': 0.6},
            'normalize': True,
            'ema_decay': 0.9,
            'checkpoint_every_steps': 3,
            'keep_checkpoints': 2,
        },
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('is complete: test_accuracy 0.5556', ended.out)

  @parameterized.parameters(*_RELEASES)
  def test_is_resumed(self, release):
    workdir = self.copy(release, 'stopped')
    ended = runs.train(workdir, data=_data(), jit_compile='off', **_COMMON)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('checkpoints/ckpt-5\n', ended.out)
    expected = runs.rows(_GOLDEN / release / 'whole')
    rows = runs.rows(workdir)
    self.assertLen(rows, len(expected))
    for row, same in zip(rows, expected):
      self.assert_close(row, same)
    values = json.loads((workdir / 'config.json').read_text())
    self.assertEqual(
        values['history'][0]['changes']['jit_compile'], ['auto', 'off']
    )

  @parameterized.parameters(*_RELEASES)
  def test_one_whose_checkpoints_are_gone_is_refused(self, release):
    workdir = self.copy(release, 'stopped')
    shutil.rmtree(workdir / 'checkpoints')
    ended = runs.train(workdir, data=_data(), **_COMMON)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn('though metrics.jsonl goes to step 4', ended.err)


if __name__ == '__main__':
  absltest.main()
