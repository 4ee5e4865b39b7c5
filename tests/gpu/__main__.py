"""Asks what nobody knows of Quatrain on a GPU, and writes the answers down.

  python -m tests.gpu --workdir=/tmp/gpu
  python -m tests.gpu --workdir=/tmp/gpu --questions=runs,right --minutes=9

The questions are, in this order:

  runs      Does every model train, whatever it computes in, wherever its
            examples are, compiled or not; is it evaluated and exported?
  core      Do tests of core pass where operations are placed on the GPU?
  right     Are the losses of 50 steps those of the CPU, are two runs equal to
            the bit, does a run go on to the bit?
  defaults  Which devices and libraries there are, what a missing library
            leads to, what is logged, how long the first and the second start
            take, what is copied between host and device.
  speed     How long the recipes train, and on which kernels the time goes.
  peers     `tests.benchmarks` in bfloat16, with --pythons as there.

An answer is a line of answers.jsonl as soon as it is known, and one on stdout.
What is in the work directory already is not run again: a second start goes on,
also after --minutes. Without a GPU, the CPU takes its place, for a rehearsal.
The exit code is 1 if an answer is bad or missing.
"""

from __future__ import annotations

import sys
import time

from absl import app, flags

from tests.faults import processes
from tests.gpu import answers, defaults, making, right, running, speed

_QUESTIONS = {
    'runs': running.ask,
    'core': running.ask_core,
    'right': right.ask,
    'defaults': defaults.ask,
    'speed': speed.ask,
    'peers': speed.ask_peers,
}

_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'What is kept between starts. Default: nothing.'
)
_ASKED = flags.DEFINE_list(
    'questions', list(_QUESTIONS), f'Some of {", ".join(_QUESTIONS)}.'
)
_MODELS = flags.DEFINE_list(
    'models', list(making.MODELS), f'Some of {", ".join(making.MODELS)}.'
)
_NUM_PARALLEL = flags.DEFINE_integer(
    'num_parallel',
    max(1, making.num_cpus() - 4),
    'How many runs are made at a time, where no time is measured.',
    lower_bound=1,
)
_MINUTES = flags.DEFINE_float(
    'minutes', 600.0, 'When to start nothing more.', lower_bound=0.1
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'Where TFDS keeps prepared sets. Default: as of TFDS.'
)
_PYTHONS = flags.DEFINE_list(
    'pythons', [], 'NAME=PYTHON of the peers, as for tests.benchmarks.'
)
_NUM_SEEDS = flags.DEFINE_integer(
    'num_seeds', 3, 'How often the speedrun is run.', lower_bound=1
)


def main(argv: list[str]) -> int:
  """Runs the program; returns 1 if an answer is bad or missing."""
  unknown = [
      *argv[1:],
      *sorted({*_ASKED.value} - {*_QUESTIONS}),
      *sorted({*_MODELS.value} - {*making.MODELS}),
  ]
  if unknown:
    print(f'tests.gpu: unknown: {", ".join(unknown)}.', file=sys.stderr)
    return 2
  try:
    with processes.campaign(_WORKDIR.value, 'gpu-') as folder:
      workshop = making.Workshop(
          folder,
          models=_MODELS.value,
          num_parallel=_NUM_PARALLEL.value,
          deadline=time.monotonic() + 60 * _MINUTES.value,
          data_dir=_DATA_DIR.value,
          pythons=_PYTHONS.value,
          num_seeds=_NUM_SEEDS.value,
      )
      written = answers.Answers(folder / 'answers.jsonl')
      for name in _QUESTIONS:
        if name in _ASKED.value:
          written.add(name, _QUESTIONS[name], workshop)
      print(written.summary())
      return int(not written.all_good)
  except BlockingIOError:
    print(f'tests.gpu: --workdir={_WORKDIR.value} is in use.', file=sys.stderr)
    return 2


if __name__ == '__main__':
  app.run(main)
