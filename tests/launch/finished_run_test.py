"""Tests of launch.finished_run."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import shutil
from unittest import mock

from absl.testing import absltest, parameterized

from core import checkpoint_files, checkpoint_manifests, variables
from launch import config as config_lib
from launch import finished_run, programs
from tests import small_datasets, virtual_devices
from tests.launch import runs


def _load(workdir, checkpoint=None, data_dir=None):
  place = config_lib.Config(
      workdir=str(workdir) if workdir else workdir, data_dir=data_dir
  )
  return finished_run.load(place, checkpoint, virtual_devices.mirrored(1))


class LoadTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def copy(self):
    return shutil.copytree(runs.finished(), self.root / 'run')

  def test_the_newest_weights(self):
    workdir = runs.finished()
    run = _load(workdir)
    self.assertEqual(run.step, 40)
    self.assertEqual(run.checkpoint, f'{workdir}/checkpoints/ckpt-40')
    self.assertEqual(
        variables.digest(variables.named({'model': run.model})),
        runs.digest(workdir),
    )
    self.assertEqual(run.dataset.num_examples['test'], runs.NUM_TEST)

  def test_all_files_are_hashed_once(self):
    with mock.patch.object(
        checkpoint_manifests, '_describe', wraps=checkpoint_manifests._describe
    ) as described:
      run = _load(runs.finished())
    hashed = [call.args[0] for call in described.call_args_list]
    files = checkpoint_files.files(run.checkpoint)
    self.assertCountEqual(
        hashed, [file for file in files if not file.endswith('.json')]
    )

  def test_a_workdir_that_was_moved(self):
    workdir = self.copy()
    self.assertEqual(
        _load(workdir).checkpoint, f'{workdir}/checkpoints/ckpt-40'
    )

  def test_a_given_checkpoint(self):
    path = f'{runs.finished()}/checkpoints/ckpt-20'
    run = _load(runs.finished(), path)
    self.assertEqual((run.checkpoint, run.step), (path, 20))

  def test_the_best_one_is_offered_where_others_are_damaged(self):
    workdir = self.copy()
    for path in (workdir / 'checkpoints').glob('ckpt-*.index'):
      path.write_bytes(b'')
    best = f'--checkpoint=best takes {workdir}/checkpoints/best/ckpt-'
    last = str(workdir / 'checkpoints/ckpt-40')
    for checkpoint in (None, 'last', last):
      with self.assertRaisesRegex(programs.UserError, f'be read.*{best}'):
        _load(workdir, checkpoint)
    self.assertIn('/best/', _load(workdir, 'best').checkpoint)
    shutil.rmtree(workdir / 'checkpoints/best')
    with self.assertRaisesRegex(programs.UserError, 'a backup[.]$'):
      _load(workdir)

  @parameterized.parameters(
      ('checkpoint', 40), ('ckpt-40.index', 20), ('ckpt-40.data*', 20)
  )
  def test_files_of_checkpoints_that_are_gone(self, pattern, step):
    workdir = self.copy()
    [path] = (workdir / 'checkpoints').glob(pattern)
    path.unlink()
    before = sorted(workdir.rglob('*'))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
      self.assertEqual(_load(workdir).step, step)
    self.assertEqual('ckpt-40: cannot be' in out.getvalue(), step == 20)
    self.assertEqual(sorted(workdir.rglob('*')), before)

  def test_no_checkpoint(self):
    workdir = self.copy()
    shutil.rmtree(workdir / 'checkpoints')
    with self.assertRaisesRegex(programs.UserError, 'no checkpoint was saved'):
      _load(workdir)

  def test_no_workdir(self):
    with self.assertRaisesRegex(programs.UserError, '--workdir is missing'):
      _load(None)

  def test_other_data(self):
    small_datasets.write(self.root / 'data', num_train=30, num_test=5)
    with self.assertRaisesRegex(
        programs.UserError, 'tiny_shapes has .*5.* here, the run saw .*265|61'
    ):
      _ = _load(runs.finished(), data_dir=str(self.root / 'data')).dataset

  def test_config_of_another_model(self):
    workdir = self.copy()
    values = json.loads((workdir / 'config.json').read_text())
    values['config']['model_arg']['hidden_sizes'] = [9]
    (workdir / 'config.json').write_text(json.dumps(values))
    with self.assertRaisesRegex(
        programs.UserError, r'hidden/0/linear/b is float32 \[16\] in the check'
    ):
      _load(workdir)


if __name__ == '__main__':
  absltest.main()
