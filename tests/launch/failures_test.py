"""What ends a run from outside: full disks, lost directories, signals.

Covers: extras, training.finishing.
"""

from __future__ import annotations

import errno
import importlib.util
import pathlib
import re
import shutil
import signal
from unittest import mock

from absl.testing import absltest, parameterized

from launch import workdir
from launch.hooks import saving
from launch.reporting import writing
from launch.training import finishing, preparing
from tests.launch import runs


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.workdir = pathlib.Path(runs.scratch(self)) / 'run'

  def files(self):
    """Reads what is in the work directory."""
    return {
        path: path.read_bytes()
        for path in self.workdir.rglob('*')
        if path.is_file()
    }


class FailingMachineTest(_TestCase):
  """A full disk: one line with what is saved, and how to go on."""

  def fail_at(self, step, error):
    """Has metrics.jsonl fail from a step on."""

    def failing(directory, row):
      if row['step'] >= step:
        raise error
      return append(directory, row)

    append = workdir.Workdir.append_metrics
    return mock.patch.object(workdir.Workdir, 'append_metrics', failing)

  def test_is_told_in_one_line(self):
    full = OSError(errno.ENOSPC, 'No space left on device')
    with self.fail_at(28, full):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 1)
    self.assertRegex(
        ended.err,
        f'^.*: --workdir={self.workdir}: No space left on device; step 20 of '
        '40 is saved. Once that is fixed, the same command goes on from '
        'there.\n$',
    )
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))
    self.assertEqual(runs.rows(self.workdir), runs.rows(runs.finished()))

  def test_plots_are_no_reason_to_lose_a_result(self):
    with mock.patch.object(
        writing, 'write', side_effect=ValueError('no\nfont')
    ):
      ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('report/ is not complete: no\n', ended.out)
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))

  def test_plots_that_find_the_disk_full_are_made_again(self):
    full = OSError(errno.ENOSPC, 'No space left on device')
    with mock.patch.object(writing, 'write', side_effect=full):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 1)
    self.assertIn('left on device; step 40 of 40 is saved. Once', ended.err)
    self.assertFalse((self.workdir / 'result.json').exists())
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertTrue((self.workdir / 'report' / 'curves.png').exists())

  def test_a_run_that_is_killed_in_its_plots_makes_them_again(self):
    with mock.patch.object(
        writing,
        'write',
        side_effect=lambda *_: signal.raise_signal(signal.SIGTERM),
    ):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 128 + signal.SIGTERM)
    self.assertFalse((self.workdir / 'result.json').exists())
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertTrue((self.workdir / 'report' / 'curves.png').exists())
    self.assertEqual(
        runs.result(self.workdir)['test'], runs.result(runs.finished())['test']
    )

  def test_a_package_of_the_extra_that_is_missing_is_told_at_once(self):
    find = importlib.util.find_spec
    with mock.patch.object(
        importlib.util,
        'find_spec',
        lambda name: None if name == 'tensorboard' else find(name),
    ):
      ended = runs.call('train', f'--workdir={self.workdir}')
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertRegex(
        ended.err,
        r"^\S+: No module named 'tensorboard'; pip install "
        rf"'{re.escape(str(runs.ROOT))}\[launch\]' brings it\.\n$",
    )
    self.assertFalse(self.workdir.exists())

  def test_a_checkpoint_that_lost_its_manifest_is_told(self):
    shutil.copytree(runs.finished(), self.workdir)
    (self.workdir / 'result.json').unlink()
    newest = self.workdir / 'checkpoints' / 'ckpt-40'
    newest.with_suffix('.manifest.json').unlink()
    ended = runs.train(self.workdir)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(f'resumed from {newest}\nit has no manifest; ', ended.out)
    self.assertEqual(runs.digest(self.workdir), runs.digest(runs.finished()))

  def test_the_work_directory_is_removed(self):
    def remove(hook, step):
      shutil.rmtree(self.workdir)
      return save(hook, step)

    save = saving.Saving._save
    with mock.patch.object(saving.Saving, '_save', remove):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 1)
    self.assertIn('was removed during the run; nothing is', ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse(self.workdir.exists())


class SignalTest(_TestCase):
  """A signal where nothing has to be saved first."""

  @parameterized.parameters(
      (preparing, 'prepare', signal.SIGTERM),
      (preparing, 'build', signal.SIGHUP),
      (finishing, 'finish', signal.SIGINT),
  )
  def test_leaves_with_one_line(self, module, during, number):
    if module is finishing:
      shutil.copytree(runs.finished(), self.workdir)
      (self.workdir / 'result.json').unlink()
    # Under nohup SIGHUP stays ignored.
    handler = signal.signal(number, signal.SIG_DFL)
    self.addCleanup(signal.signal, number, handler)
    before = self.files()
    with mock.patch.object(
        module,
        during,
        side_effect=lambda *_, **__: signal.raise_signal(number),
    ):
      ended = runs.train(self.workdir)
    self.assertEqual(ended.code, 128 + number)
    name = signal.Signals(number).name
    self.assertRegex(ended.err, f'^.*: interrupted by {name}; give the same.*$')
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertEqual(self.files(), before)


if __name__ == '__main__':
  absltest.main()
