"""Tests of launch.publish.

Covers: publishing.sending, publishing.trackers.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import threading
import time
from unittest import mock

import tensorflow as tf
from absl.testing import absltest, parameterized
from tensorboard.backend.event_processing import event_accumulator

from launch import workdir
from tests.launch import runs


def _has(package):
  return importlib.util.find_spec(package) is not None


class _PublishTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.run_dir = self.root / 'first'
    shutil.copytree(runs.finished(), self.run_dir)
    self.rows = [
        json.loads(line)
        for line in (self.run_dir / 'metrics.jsonl').read_text().splitlines()
    ]
    self.result = runs.result(self.run_dir)

  def publish(self, *args):
    return runs.call('publish', str(self.run_dir), *args)

  def as_it_was_while_it_ran(self, num_rows):
    """Leaves the first rows alone, and no result."""
    (self.run_dir / 'result.json').unlink()
    lines = [json.dumps(row) + '\n' for row in self.rows[:num_rows]]
    (self.run_dir / 'metrics.jsonl').write_text(''.join(lines))

  def complete(self):
    for name in 'metrics.jsonl', 'result.json':
      shutil.copy(pathlib.Path(runs.finished()) / name, self.run_dir)

  def expected(self, split, name):
    return [
        (row['step'], row[name])
        for row in self.rows
        if row['split'] == split and name in row
    ]


class TensorBoardTest(_PublishTest):

  def board(self, name='first', split='.'):
    found = event_accumulator.EventAccumulator(
        str(self.root / 'boards' / name / split), {'tensors': 0}
    )
    found.Reload()
    return found

  def scalars(self, split, name, run='first'):
    return [
        (event.step, float(tf.make_ndarray(event.tensor_proto)))
        for event in self.board(run, split).Tensors(name)
    ]

  def assert_all_rows(self, run='first'):
    for split in 'train', 'validation':
      actual, wanted = (
          self.scalars(split, 'loss', run),
          self.expected(split, 'loss'),
      )
      self.assertEqual([s for s, _ in actual], [s for s, _ in wanted])
      self.assertEqual(
          [event.wall_time for event in self.board(run, split).Tensors('loss')],
          [time for _, time in self.expected(split, 'wall_time')],
      )
      for (_, value), (_, loss) in zip(actual, wanted, strict=True):
        self.assertAlmostEqual(value, loss, places=6)

  def test_rows_flags_and_result(self):
    args = '--to=tensorboard', f'--output={self.root}/boards'
    ended = self.publish(*args)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(f'{len(self.rows)} rows, and its result', ended.out)
    self.assert_all_rows()
    board = self.board()
    [accuracy] = board.Tensors('test_accuracy')
    self.assertAlmostEqual(
        float(tf.make_ndarray(accuracy.tensor_proto)),
        self.result['test_accuracy'],
        places=6,
    )
    plugin = board.SummaryMetadata('_hparams_/session_start_info').plugin_data
    self.assertIn(b'learning_rate', plugin.content)
    self.assertIn(b'0.003', plugin.content)
    # Again: nothing is sent twice.
    self.assertIn('nothing new', self.publish(*args).out)
    self.assert_all_rows()
    # Of a run that went on, the rows that came and its new result.
    row = {**self.rows[-1], 'step': self.rows[-1]['step'] + 1}
    with (self.run_dir / 'metrics.jsonl').open('a') as file:
      file.write(json.dumps(row) + '\n')
    self.assertIn(' 1 row, and its result', self.publish(*args).out)
    self.complete()
    # Another run of the same name has a folder of its own.
    (self.run_dir / 'published.json').unlink()
    self.assertEqual(self.publish(*args).code, 0)
    self.assert_all_rows('first_2')

  def test_what_is_new_is_sent_while_the_run_goes_on(self):
    args = '--to=tensorboard', f'--output={self.root}/boards'
    self.as_it_was_while_it_ran(num_rows=3)
    # Rows that are logged after the read are sent once, the next time.
    reads = iter([self.rows[:3]])
    with mock.patch.object(
        workdir.Workdir, 'read_metrics', lambda _: next(reads, self.rows)
    ):
      self.assertIn(' 3 rows sent', self.publish(*args).out)

    def go_on():
      time.sleep(1)
      self.complete()

    thread = threading.Thread(target=go_on)
    thread.start()
    ended = self.publish(*args, '--follow', '--poll_secs=0.2')
    thread.join()
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn('and its result', ended.out)
    self.assert_all_rows()

  @parameterized.parameters(
      ([], '--to is missing: expected one of mlflow'),
      (['--to=tensorboard'], '--to=tensorboard needs --output=DIRECTORY'),
      (['--to=mlflow', '--output=x'], '--output=x: it is for --to=tensorboard'),
      (['--to=tensorboard', '--output=x', 'none'], ': none: there is no run'),
      (['--to=paper'], '--to'),
  )
  def test_mistakes(self, args, message):
    ended = self.publish(*args)
    self.assertEqual(ended.code, 2, ended)
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertFalse((self.run_dir / 'published.json').exists())

  @parameterized.parameters('mlflow', 'wandb')
  def test_a_tracker_that_is_missing(self, package):
    find = importlib.util.find_spec
    with mock.patch.object(
        importlib.util,
        'find_spec',
        lambda name, *args: None if name == package else find(name, *args),
    ):
      ended = self.publish(f'--to={package}')
    self.assertEqual(ended.code, 2, ended)
    self.assertIn(f"No module named '{package}'; install it", ended.err)

  def test_what_fails_is_said_and_gone_on_with(self):
    boards = self.root / 'boards'
    boards.mkdir()
    args = '--to=tensorboard', f'--output={boards}'
    with mock.patch(
        'tensorflow.raw_ops.ImportEvent', side_effect=OSError('full')
    ):
      ended = self.publish(*args)
    self.assertEqual((ended.code, ended.err.count('\n')), (1, 1), ended.err)
    self.assertIn('full', ended.err)
    self.assertEqual(self.publish(*args).code, 0)
    self.assert_all_rows()


@absltest.skipUnless(_has('mlflow'), 'MLflow is not installed')
class MLflowTest(_PublishTest):

  def setUp(self):
    super().setUp()
    self.enter_context(
        mock.patch.dict(
            os.environ,
            {
                'MLFLOW_ALLOW_FILE_STORE': 'true',
                'MLFLOW_TRACKING_URI': (self.root / 'mlruns').as_uri(),
            },
        )
    )

  def test_a_folder(self):
    import mlflow

    args = '--to=mlflow', '--project=shoes'
    self.as_it_was_while_it_ran(num_rows=3)
    ended = self.publish(*args)
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.complete()
    for _ in range(2):
      self.assertEqual(self.publish(*args).code, 0)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name('shoes').experiment_id
    [run] = client.search_runs([experiment])
    self.assertEqual(run.info.run_name, 'first')
    self.assertEqual(run.info.status, 'FINISHED')
    self.assertEqual(run.data.params['learning_rate'], '0.003')
    self.assertEqual(
        run.data.tags['weights_sha256'], self.result['weights_sha256']
    )
    self.assertEqual(
        run.data.metrics['test_accuracy'], self.result['test_accuracy']
    )
    for split in 'train', 'validation':
      history = client.get_metric_history(run.info.run_id, f'{split}/loss')
      self.assertEqual(
          [(each.step, each.value) for each in history],
          self.expected(split, 'loss'),
      )
    files = client.list_artifacts(run.info.run_id, 'report')
    self.assertIn('report/curves.png', [file.path for file in files])


@absltest.skipUnless(_has('wandb'), 'Weights & Biases is not installed')
class WandBTest(_PublishTest):

  def test_a_folder(self):
    """Without its server: it writes what it would send."""
    self.enter_context(
        mock.patch.dict(
            os.environ, {'WANDB_MODE': 'offline', 'WANDB_DIR': str(self.root)}
        )
    )
    ended = self.publish('--to=wandb')
    self.assertEqual(ended.code, 0, ended)
    importlib.import_module('wandb').teardown()  # As at the end of a process.
    [log] = self.root.glob('wandb/offline-run-*/*.wandb')
    written = log.read_bytes()
    for text in 'train/loss', 'validation/accuracy', 'test_accuracy':
      self.assertIn(text.encode(), written)


if __name__ == '__main__':
  absltest.main()
