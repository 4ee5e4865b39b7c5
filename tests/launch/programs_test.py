"""Tests of launch.programs: how a program starts and ends.

Covers: about.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import pathlib
import re
import signal
import subprocess
import sys
import time
from unittest import mock

from absl.testing import absltest, parameterized

from launch import about, parts, programs, tasks
from tests.launch import runs

_FLAGS = {
    'train': (
        '--dataset --data_dir --archives_dir --validation_examples --model '
        '--loss --class_weights --label_smoothing --optimizer --learning_rate '
        '--schedule --global_batch_size --num_epochs --num_steps --seed '
        '--log_every_steps --eval_every_epochs --checkpoint_every_steps '
        '--keep_checkpoints --workdir --strategy --num_virtual_devices '
        '--model_arg --loss_arg --optimizer_arg --schedule_arg --image_size '
        '--normalize --l1_penalty --l2_penalty --clip_global_norm --flagfile'
    ),
    'evaluate': '--workdir --split --checkpoint --data_dir --strategy',
    'export': (
        '--workdir --formats --checkpoint --output_dir --quantize --verify '
        '--calibration_examples --web_runtime_dir'
    ),
}


def _raise(error):
  raise error


# What a run does not need, or not before its end, and where it took seconds.
_IMPORTS = """
import gc, sys
from launch import programs
tf = programs.import_tensorflow()
from launch import training_program
heavy = {'IPython', 'jax', 'keras', 'matplotlib', 'optax', 'pandas', 'sklearn',
         'tensorboard', 'tf_keras', 'torch'}
print(sorted(heavy & sys.modules.keys()), gc.isenabled())
from tensorflow.keras import optimizers
print(optimizers.Adam.__name__, tf.keras.optimizers.Adam is optimizers.Adam)
"""


class CallTest(parameterized.TestCase):

  @parameterized.parameters(
      (lambda: 0, 0, ''),
      (lambda: None, 0, ''),
      (lambda: 143, 143, ''),
      (
          lambda: _raise(programs.UserError('--a=1: no\n  such b.')),
          2,
          ': --a=1: no such b.\n',
      ),
      (lambda: _raise(programs.Failure('lost.')), 1, ': lost.\n'),
      (
          lambda: _raise(MemoryError('too\nmuch')),
          1,
          (
              ': out of memory (too); a smaller --global_batch_size or model'
              ' takes less.\n'
          ),
      ),
      (
          lambda: _raise(KeyboardInterrupt),
          128 + signal.SIGINT,
          ': interrupted.\n',
      ),
      (
          lambda: signal.raise_signal(signal.SIGTERM),
          128 + signal.SIGTERM,
          ': interrupted by SIGTERM; give the same command again.\n',
      ),
      (
          lambda: _raise(OSError(28, 'No space left', '/a/b')),
          1,
          ': /a/b: No space left.\n',
      ),
  )
  def test_end(self, main, code, message):
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
      self.assertEqual(programs.call(main), code)
    self.assertEndsWith(err.getvalue(), message)
    self.assertEqual(err.getvalue().count('\n'), bool(message))

  def test_a_mistake_of_ours_keeps_its_traceback(self):
    with self.assertRaises(ZeroDivisionError):
      programs.call(lambda: 1 // 0)

  def test_a_mistake_of_the_users_names_its_line(self):
    def part():
      return 1 // 0

    err = io.StringIO()
    with contextlib.redirect_stderr(err):
      self.assertEqual(programs.call(lambda: part()), 1)
    self.assertRegex(
        err.getvalue(),
        rf'ZeroDivisionError: .* \({re.escape(__file__)}, line \d+\)\.\n$',
    )


# What matplotlib does where a font is missing.
_FONTS = """
import logging
from launch import programs
programs.run(lambda: logging.getLogger('matplotlib.font_manager').warning('!'))
"""


class RunTest(absltest.TestCase):

  def test_fonts_of_the_machine_are_no_news(self):
    ended = subprocess.run(
        [sys.executable, '-c', _FONTS],
        cwd=runs.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    self.assertEqual((ended.returncode, ended.stderr), (0, ''))


class HelpTest(parameterized.TestCase):

  @parameterized.parameters(*_FLAGS)
  def test_reads_well(self, program):
    started = time.monotonic()
    ended = runs.finish(runs.start(program, '--help'))
    seconds = time.monotonic() - started
    self.assertEqual((ended.code, ended.err), (0, ''))
    lines = ended.out.splitlines()
    self.assertIn(f'python -m launch.{program}', ended.out)
    for flag in _FLAGS[program].split():
      self.assertRegex(ended.out, rf'(?m)^(  |Flags \(and ){flag}\b')
    for before, line in itertools.pairwise(lines):
      self.assertLessEqual(len(line), 80, line)
      if before.startswith('  --'):
        self.assertRegex(line, r'^      \S', before)
    self.assertLess(seconds, 5)

  def test_names_what_there_is(self):
    """The help is written by hand, since it does not wait for TensorFlow."""
    out = ' '.join(runs.finish(runs.start('train', '--help')).out.split())
    for name in parts.names('model'):
      self.assertRegex(out, rf'--model The model: [^:.]*\b{name}\b')
    for kind, names in (
        ('loss', tasks.losses()),
        ('optimizer', parts.names('optimizer')),
        ('schedule', parts.names('schedule')),
    ):
      for name in names:
        self.assertRegex(out, rf'--{kind} [^(]*\b{name}\b')

  @parameterized.parameters(*_FLAGS)
  def test_version(self, program):
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        self.assertRaises(SystemExit) as end,
    ):
      programs.parse([f'launch.{program}', '--version'])
    self.assertEqual((end.exception.code, err.getvalue()), (0, ''))
    text = (runs.ROOT / 'pyproject.toml').read_text()
    version = re.search('^version = "(.*)"', text, re.M)[1]
    self.assertEndsWith(out.getvalue(), f'of Quatrain {version}\n')

  def test_whoever_reads_it_may_stop_early(self):
    command = f'{sys.executable} -m launch.train --help | head -1'
    done = subprocess.run(
        ['bash', '-c', command],
        cwd=runs.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    self.assertEqual(done.stderr, '')
    self.assertEqual(done.stdout.count('\n'), 1)

  def test_no_tensorflow(self):
    code = (
        'import sys, launch.train; '
        'sys.exit(any(m in sys.modules for m in ("tensorflow", "numpy")))'
    )
    subprocess.run([sys.executable, '-c', code], cwd=runs.ROOT, check=True)


class ImportTest(absltest.TestCase):

  def test_nothing_heavy_at_the_start_and_keras_on_demand(self):
    done = subprocess.run(
        [sys.executable, '-c', _IMPORTS],
        capture_output=True,
        cwd=runs.ROOT,
        text=True,
        check=False,
    )
    self.assertEqual(done.stdout, '[] True\nAdam True\n', done.stderr)


class ParseTest(parameterized.TestCase):

  @parameterized.parameters(
      ('--bogus=1', "Unknown command line flag 'bogus'"),
      ('more', "unexpected argument 'more'; flags begin with --"),
      ('--seed=x', 'flag --seed=x'),
      ('--strategy=tpu', 'flag --strategy=tpu: value should be one of <auto|'),
      ('--flagfile=/nowhere', 'nowhere'),
  )
  def test_what_is_no_flag(self, argument, message):
    ended = runs.call('train', '--workdir=x', argument)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)


class ExtraTest(absltest.TestCase):

  def test_outside_a_checkout_the_installed_wheel_knows_its_extras(self):
    told = about.how_to_get('tf2onnx')
    self.assertEqual(told, f"; pip install '{runs.ROOT}[onnx]' brings it")
    with mock.patch.object(about, '_CHECKOUT', pathlib.Path('/none')):
      told = about.how_to_get('tf2onnx')
    self.assertEqual(told, "; pip install 'quatrain[onnx]' brings it")
    self.assertEqual(about.how_to_get('numpy'), '')


if __name__ == '__main__':
  absltest.main()
