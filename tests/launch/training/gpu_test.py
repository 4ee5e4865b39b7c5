"""The loops of a run have GPU kernels for everything. It needs no GPU.

Covers: data_loops.
"""

from __future__ import annotations

import contextlib
import io
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

import launch
from core import distribution
from launch import config as config_lib
from launch.training import data_loops
from tests.core.conformance import gpu
from tests.exports import cases
from tests.launch import runs

_OF_IMAGES = {
    'normalize': True,
    'random_flip': 'random',
    'max_shift': 2,
    'random_erasing': 0.5,
}
_RUNS = {
    'images': (
        'convnet',
        {**_OF_IMAGES, 'test_time_augmentation': 'flip_shift'},
    ),
    'batch_norm': ('resnet', {'random_flip': 'alternating'}),
    'float16': ('mlp', {'precision': 'float16', 'ema_decay': 0.9}),
    'micro_batches': ('mlp', {**_OF_IMAGES, 'micro_batch_size': 16}),
    'masks': ('unet', {}),
    'tables': ('tabular', {}),
    'texts': ('text_classifier', {}),
}


class GPUTest(parameterized.TestCase):

  @parameterized.product(name=list(_RUNS), resident_gb=(0.0, 1.0))
  @pytest.mark.medium
  def test_a_run_that_xla_does_not_compile(self, name, resident_gb):
    model, changes = _RUNS[name]
    case = cases.CASES[model]
    config = config_lib.Config(
        workdir=runs.scratch(self),
        model=model,
        model_arg=case.arguments,
        num_steps=2,
        global_batch_size=32,
        validation_examples=50,
        resident_gb=resident_gb,
        jit_compile='off',
        strategy='one_device',
        **changes,
    )
    made = []
    for kind in data_loops.ResidentLoops, data_loops.StreamingLoops:
      self.enter_context(mock.patch.object(kind, '__init__', _kept(kind, made)))
    self.enter_context(
        mock.patch.object(distribution, 'on_gpu', return_value=True)
    )
    with contextlib.redirect_stdout(io.StringIO()):
      launch.run(None, cases.splits(case), config)
    traced = [
        function
        for loop in made
        for function in loop._list_all_concrete_functions()
    ]
    self.assertGreaterEqual(len(traced), 2)  # Of training and evaluation.
    for function in traced:
      self.assertEmpty(gpu.without_kernel(function))
      self.assertEmpty(gpu.refused(function))


def _kept(kind, made):
  """Returns a constructor that also keeps the loop."""
  construct = kind.__init__

  def constructed(self, *arguments, **options):
    construct(self, *arguments, **options)
    made.append(self._loop)

  return constructed


if __name__ == '__main__':
  absltest.main()
