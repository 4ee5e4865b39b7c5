"""Does every model train, whatever it computes in, compiled or not?"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from launch.machine import devices
from tests.gpu import answers, making

_NUM_STEPS = '20'
_VARIANTS = {
    'float32': {},
    'auto': {'precision': 'auto'},
    'float16': {'precision': 'float16'},
    'streamed': {'resident_gb': '0'},
    'streamed, auto': {'resident_gb': '0', 'precision': 'auto'},
    'not compiled': {'jit_compile': 'off'},
    'one device': {'strategy': 'one_device'},
    'micro-batches': {'micro_batch_size': '32'},
}
# Of the run of the first variant.
_AFTER = ('evaluate', 'export')
# In them, XLA and TensorFlow's kernels compute everything of core.
_TESTS = (
    'tests/core/conformance/compilation_test.py',
    'tests/core/layers',
    'tests/core/losses',
    'tests/core/metrics',
)


def ask(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Trains every model in every variant, evaluates and exports it.

  Args:
    workshop: What makes runs.

  Yields:
    An answer for each run: what was compiled, and its score.
  """
  jobs = [
      making.train(
          f'runs/{model}/{name}', model, {'num_steps': _NUM_STEPS, **flags}
      )
      for name, flags in _VARIANTS.items()
      for model in workshop.models
  ]
  for job, made in zip(jobs, workshop.make(jobs), strict=True):
    yield _answer(job, made)
  first = next(iter(_VARIANTS))
  jobs = [
      making.Job(
          f'runs/{model}/{program}',
          f'launch.{program}',
          (),
          begin=f'runs/{model}/{first}',
      )
      for program in _AFTER
      for model in workshop.models
      if (workshop.folder / f'runs/{model}/{first}/run').exists()
  ]
  for job, made in zip(jobs, workshop.make(jobs), strict=True):
    yield _answer(job, made)


def ask_core(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Runs tests of core where operations are placed on the GPU.

  Args:
    workshop: What makes runs.

  Yields:
    The last lines of pytest for each part.
  """
  jobs = [
      making.Job(
          f'core/{pathlib.PurePath(path).stem}',
          'pytest',
          ('-q', '-m', 'not slow', '-p', 'no:cacheprovider', '--tb=line', path),
          tuple(making.EXACT.items()),
          timeout_s=540,
      )
      for path in _TESTS
  ]
  for job, made in zip(jobs, workshop.make(jobs), strict=True):
    lines = made.text('out').splitlines()
    failed = [line for line in lines if line.startswith(('FAILED', 'ERROR'))]
    yield answers.Answer(
        job.name, ' | '.join([*lines[-1:], *failed[:10]]), made.code == 0
    )


def _answer(job: making.Job, made: making.Made) -> answers.Answer:
  if made.code != 0:
    return answers.Answer(job.name, made.failure(), False)
  said = f'{made.seconds:.1f} s'
  if job.module == 'launch.train':
    said += f', {made.score()}'
  is_left_out = devices.has_nvidia_driver() and 'on the CPU' in said
  return answers.Answer(job.name, said, not is_left_out)
