"""Tests of training.data_loops: however the data come, a run is the same."""

from __future__ import annotations

import collections
import pathlib
import shutil
import signal
from typing import Any
from unittest import mock

import numpy as np
import pytest
from absl.testing import absltest, parameterized

from core import training
from launch import experiment as experiment_lib
from launch import reading
from launch.evaluating import evaluation
from tests import small_datasets, virtual_devices
from tests.launch import runs

_FULL_DISK = collections.namedtuple('usage', 'total used free')(9, 9, 0)
_MLP: dict[str, Any] = {}
_STREAMED = dict(resident_gb=0.0)
_CONVNET = dict(model='convnet', model_arg={'channels': (4,), 'hidden_size': 8})
_RESNET = dict(
    model='resnet', model_arg={'blocks_per_stage': (1,), 'channels': (4,)}
)


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def train(self, name, code=0, **changes):
    ended = runs.train(self.root / name, **changes)
    self.assertEqual((ended.code, ended.err), (code, ''))
    return self.root / name, ended.out

  def assert_alike(self, workdir, expected, rtol=1e-4):
    for row, other in zip(runs.rows(workdir), runs.rows(expected), strict=True):
      self.assertEqual(row['step'], other['step'])
      np.testing.assert_allclose(row['loss'], other['loss'], rtol=rtol)

  def assert_same(self, workdir, expected):
    self.assertEqual(runs.digest(workdir), runs.digest(expected))
    self.assertEqual(runs.rows(workdir), runs.rows(expected))
    self.assertEqual(
        runs.result(workdir)['test'], runs.result(expected)['test']
    )


class CallSizeTest(_TestCase):

  @parameterized.parameters(1, 7)
  @pytest.mark.medium
  def test_steps_per_loop_changes_no_bit(self, steps_per_loop):
    workdir, _ = self.train('run', steps_per_loop=steps_per_loop)
    self.assert_same(workdir, runs.finished())
    self.assertEqual(runs.result(workdir)['num_train_step_traces'], 1)


class JitTest(_TestCase):

  @parameterized.parameters(
      (_MLP, 1, {'off': 'none', 'auto': 'loop'}),
      (_MLP, 2, {'off': 'none', 'auto': 'parts'}),
      (_STREAMED, 1, {'off': 'none', 'auto': 'step'}),
      # XLA refuses the gradient of max pooling in a deterministic run.
      (_CONVNET, 1, {'off': 'none', 'on': 'update'}),
  )
  @pytest.mark.medium
  def test_modes_agree_but_for_rounding(self, changes, num_replicas, expected):
    self._assert_modes_agree(changes, num_replicas, expected)

  @parameterized.parameters(
      (_RESNET, 1, {'off': 'none', 'auto': 'update', 'on': 'step'}),
      # A batch norm sums over replicas in the middle of the gradient.
      (_RESNET, 2, {'off': 'none', 'on': 'update'}),
  )
  @pytest.mark.slow
  def test_modes_of_batch_norm_agree(self, changes, num_replicas, expected):
    self._assert_modes_agree(changes, num_replicas, expected)

  def _assert_modes_agree(self, changes, num_replicas, expected):
    workdirs = {}
    for jit, compiled in expected.items():
      workdirs[jit], out = self.train(
          jit,
          num_replicas=num_replicas,
          jit_compile=jit,
          num_steps=22,
          **changes,
      )
      result = runs.result(workdirs[jit])
      self.assertEqual(result['compiled'], compiled)
      self.assertEqual(result['num_train_step_traces'], 1)
      warning = '--jit_compile=on: XLA computes this model more slowly on a CPU'
      self.assertEqual(out.count(warning), compiled == 'step' and jit == 'on')
    for workdir in workdirs.values():
      self.assert_alike(workdir, workdirs['off'])

  @pytest.mark.medium
  def test_convolutions_in_a_compiled_loop_are_warned_of(self):
    workdir, out = self.train(
        'run', jit_compile='force', num_steps=3, **_RESNET
    )
    self.assertEqual(runs.result(workdir)['compiled'], 'loop')
    warning = (
        '--jit_compile=force: a compiled loop around this model is slow on'
        ' a CPU'
    )
    self.assertEqual(out.count(warning), 1)
    expected, out = self.train('auto', num_steps=3, **_RESNET)
    self.assertNotIn('--jit_compile', out)
    self.assert_alike(workdir, expected)


class StreamTest(_TestCase):

  @pytest.mark.medium
  def test_a_stream_is_resumed_to_the_bit(self):
    self._assert_is_resumed(is_full=False)

  @pytest.mark.slow
  def test_records_are_resumed_to_the_bit_where_the_disk_is_full(self):
    self._assert_is_resumed(is_full=True)

  def _assert_is_resumed(self, is_full):
    data = str(self.root / 'data')
    small_datasets.write(
        data, num_train=runs.NUM_TRAIN + runs.NUM_VALIDATION, num_test=61
    )
    if is_full:
      self.enter_context(
          mock.patch.object(shutil, 'disk_usage', return_value=_FULL_DISK)
      )
    changes = dict(data=data, resident_gb=0.0)
    whole, _ = self.train('whole', **changes)
    with runs.signal_at(27, signal.SIGTERM):
      workdir, _ = self.train('run', code=128 + signal.SIGTERM, **changes)
    self.train('run', **changes)
    self.assert_same(workdir, whole)
    self.assertEqual(runs.result(workdir)['compiled'], 'step')
    caches = list(pathlib.Path(data).rglob('images.npy'))
    self.assertEqual(bool(caches), not is_full)

  @pytest.mark.medium
  def test_a_buffer_has_another_order(self):
    """Other batches, the same evaluation: after no step nothing differs."""
    streamed, _ = self.train('run', resident_gb=0.0)
    self.assertNotEqual(runs.digest(streamed), runs.digest(runs.finished()))
    self.assertGreater(runs.result(streamed)['validation_accuracy'], 0.9)

  @parameterized.parameters((1, 'off'), (1, 'auto'), (2, 'auto'))
  @pytest.mark.medium
  def test_scores_are_the_same(self, num_replicas, jit):
    scores = {}
    for resident_gb in (4.0, 0.0):
      config = runs.config(resident_gb=resident_gb, jit_compile=jit)
      dataset = runs.dataset(config)
      data = reading.describe_data(config, dataset)
      experiment = experiment_lib.Experiment(config, data, 20)
      strategy = virtual_devices.mirrored(num_replicas)
      with strategy.scope():
        experiment.build()
        state = training.TrainState(experiment.model, experiment.optimizer)
      evaluator = evaluation.Evaluator(experiment, dataset, strategy)
      scores[resident_gb] = [
          evaluator.run(state, split).to_json()
          for split in ('train', 'validation', 'test')
      ]
      self.assertEqual(evaluator.num_traces, 1)
    self.assertEqual(scores[4.0], scores[0.0])


if __name__ == '__main__':
  absltest.main()
