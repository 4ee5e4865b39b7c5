"""Every flag of every program, and every argument, with values that are wrong.

Each ends the program with exit code 2 and one line before anything is made, or
is a value that means something. The flags are read from absl: a new one is
tested by itself, and has to have bounds.

Covers: settings.flag_types, machine.model_size.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pathlib
import time
from unittest import mock

import pytest
from absl import flags
from absl.testing import absltest, parameterized

from launch import data as data_lib
from launch import experiment as experiment_lib
from launch import parts, programs, training_program
from launch.machine import model_size
from launch.settings import arguments, flag_types
from pipelines import spec as spec_lib
from tests.launch import runs

_PROGRAMS = ('train', 'evaluate', 'export')
_VALUES = (
    '',
    ' ',
    'nan',
    'NaN',
    'inf',
    '-inf',
    '1e39',
    '1e400',
    '-1e400',
    '-1',
    '-5',
    '0',
    '-0.0',
    '1.5',
    '2147483648',
    '9223372036854775808',
    '9' * 400,
    '9' * 5000,
    '-' + '9' * 400,
    '0x10',
    '1_0',
    'true',
    'None',
    'a\nb',
    'a\0b',
    '\udcff',
    '\x1b[31m',
    'x' * 300,
    'x/' * 5000,
    '~nosuchuser',
    'gs://b/x',
    'file:///x',
    'foo://x',
    '{[]:1}',
    '((1,2),3)',
    '=',
    '=1',
    'a',
    'a=',
    ',',
    ',,',
    '1,2,',
    '1,nan',
    '1e39,1',
    '1000000,1000000',
    '(' * 300,
    '\U0001f408',
    "__import__('os')",
    '[' * 5000,
    '1and 2',
    "b'x'",
    '{1}',
    '1j',
    '\\d',
)
# Those that an argument may take for something: each is tried out then.
_ARGUMENT_VALUES = (
    '',
    'nan',
    'inf',
    '1e39',
    '1e400',
    '-1',
    '0',
    '1.5',
    '1000000',
    '2147483648',
    '9' * 400,
    'true',
    'None',
    'a',
    '(',
    ',',
    '1,2,',
    '1,nan',
    '1000000,1000000',
    '{[]:1}',
    '((1,2),3)',
    '1j',
    '1and 2',
    '[' * 5000,
)
_NAMES = {
    kind: parts.names(kind)
    for kind in ('model', 'loss', 'optimizer', 'schedule')
}


@contextlib.contextmanager
def _naming(case):
  """Names the case that fails: thousands of subtests would take minutes."""
  try:
    yield
  except Exception as error:
    raise AssertionError(f'{case}: {error!r}') from error


@contextlib.contextmanager
def _own_flags(program):
  """Gives absl the flags of one program alone."""
  own = runs.flags_of(program)
  for name, flag in own.items():
    flags.FLAGS[name] = flag
  try:
    yield own
  finally:
    for name, flag in own.items():
      delattr(flags.FLAGS, name)
      flag.unparse()


class FlagTest(parameterized.TestCase):

  @parameterized.parameters(*_PROGRAMS)
  def test_numbers_have_bounds(self, program):
    for name, flag in runs.flags_of(program).items():
      if flag.flag_type() in ('int', 'float'):
        with self.subTest(name):
          self.assertTrue(math.isfinite(flag.parser.lower_bound))
          self.assertTrue(math.isfinite(flag.parser.upper_bound))
      is_folder = name.endswith(('dir', 'checkpoint', 'init_from'))
      self.assertEqual(flag.flag_type() == 'path', is_folder, name)

  @parameterized.parameters(*_PROGRAMS)
  def test_a_value_is_refused_in_one_line_or_means_something(self, program):
    with _own_flags(program) as own:
      for name, flag in own.items():
        for value in _VALUES:
          with _naming(f'--{name}={value[:40]!r}'):
            self._check(name, flag, value)

  def _check(self, name, flag, value):
    out, err = io.StringIO(), io.StringIO()
    try:
      with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        programs.parse(['program', f'--{name}={value}'])
    except SystemExit as end:
      self.assertEqual((end.code, out.getvalue()), (2, ''))
      self.assertEqual(err.getvalue().count('\n'), 1, err.getvalue())
      self.assertLess(len(err.getvalue()), 2_000)
      self.assertIn(name, err.getvalue())
    else:
      self.assertEqual((out.getvalue(), err.getvalue()), ('', ''))
      self.assertTrue(value.isprintable(), 'It cannot be shown.')
      if isinstance(flag.value, (int, float)):
        self.assertTrue(math.isfinite(flag.value))
      is_remote = value.startswith('gs://')  # As for --data_dir.
      if flag.flag_type() == 'path' and value and not is_remote:
        self.assertEqual(flag_types.check_path(flag.value), flag.value)
    finally:
      flag.unparse()

  @pytest.mark.medium
  def test_what_means_nothing_to_training_comes_before_the_training(self):
    root = pathlib.Path(runs.scratch(self))
    for kind, own in _NAMES.items():
      for value in _VALUES:
        for argument in (
            f'--{kind}={value}',
            f'--{kind}_arg={value}',
            f'--{kind}_arg=a={value}',
        ):
          if value.partition('=')[0] in own or not value.isprintable():
            continue
          with mock.patch.object(training_program, '_run') as run:
            ended = runs.call(
                'train', f'--workdir={root}/x', f'--{kind}={own[0]}', argument
            )
          with _naming(argument[:60]):
            self.assertEqual((ended.code, ended.out), (2, ''))
            self.assertEqual(ended.err.count('\n'), 1, ended.err)
            run.assert_not_called()
    self.assertEmpty(os.listdir(root))


class PathTest(parameterized.TestCase):

  @parameterized.parameters(
      ('x', 'x'),
      ('/a/b', '/a/b'),
      ('a b', 'a b'),
      ('~', '/home/me'),
      ('~/x', '/home/me/x'),
      ('\u732b', '\u732b'),
      ('x' * 255, 'x' * 255),
  )
  def test_one_that_can_be(self, path, expected):
    with mock.patch.dict(os.environ, {'HOME': '/home/me'}):
      self.assertEqual(flag_types.check_path(path), expected)

  @parameterized.parameters(
      '',
      ' ',
      '~nosuchuser',
      '~nosuchuser/x',
      'gs://b',
      's3://b/x',
      'file:///x',
      'x' * 256,
      '\u732b' * 86,
      'x/' * 2001,
  )
  def test_one_that_cannot(self, path):
    with self.assertRaises(ValueError):
      flag_types.check_path(path)


def _cases(*kinds):
  for kind in kinds:
    for name in _NAMES[kind]:
      known = parts.known_arguments(kind, name)
      if known:
        yield kind, name, tuple(known)


class ArgumentTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    # A small machine, so that what fits takes no time to make.
    patch = mock.patch.object(model_size, 'machine_bytes', lambda: 10**8)
    patch.start()
    self.addCleanup(patch.stop)

  def _experiment(self, **changes):
    data = data_lib.DataSpec(
        spec_lib.of_images((8, 8, 1), 'abc'), {'train': 100}
    )
    plain = {'model': 'mlp', 'model_arg': {'hidden_sizes': (4,)}}
    config = runs.config(**{**plain, **changes})
    experiment = experiment_lib.Experiment(config, data, 10)
    _ = experiment.optimizer  # As a run makes it before it begins.
    return experiment

  @parameterized.parameters(*_cases('model', 'loss', 'schedule'))
  def test_a_value_is_refused_or_works(self, kind, name, known):
    self._check(kind, name, known)

  @parameterized.parameters(*_cases('optimizer'))
  @pytest.mark.slow
  def test_an_optimizers_value_is_refused_or_works(self, kind, name, known):
    self._check(kind, name, known)

  def _check(self, kind, name, known):
    for argument in known:
      for value in _ARGUMENT_VALUES:
        with _naming(f'{argument}={value[:40]!r}'):
          try:
            given = arguments.parse(f'{kind}_arg', [f'{argument}={value}'])
            experiment = self._experiment(
                **{kind: name, f'{kind}_arg': given, 'label_smoothing': 0.0}
            )
            sizes = given[argument]
            sizes = sizes if isinstance(sizes, tuple) else (sizes,)
            if kind == 'model' and max(map(_number, sizes), default=0) > 99:
              experiment.build()
          except programs.UserError as error:
            self.assertIn(f'--{kind}', str(error))
            self.assertLess(len(str(error)), 12_000)

  @parameterized.parameters(
      ('schedule', 'linear', {'end_factor': -5.0}, 'learning rate of step'),
      ('schedule', 'polynomial', {'power': -3.0}, 'learning rate|power'),
      ('schedule', 'piecewise', {'factor': -1.0}, 'learning rate|factor'),
      ('schedule', 'cosine', {'end_factor': 1e29}, 'learning rate of step'),
      ('optimizer', 'sgd', {'momentum': 'high'}, 'expected a number'),
      ('optimizer', 'adam', {'mu_dtype': 'int32'}, 'one of float16'),
      ('optimizer', 'adamw', {'mask': 3}, 'a regular expression'),
      ('optimizer', 'adamw', {'mask': '('}, 'not a valid regular expression'),
      ('optimizer', 'muon', {'ns_steps': 10**6}, 'at most 256'),
      ('loss', 'softmax_focal_loss', {'gamma': float('nan')}, 'finite'),
      ('loss', 'huber', {'delta': (1.0, 2.0)}, 'like the default'),
      ('model', 'vit', {'num_layers': 10**6}, 'at most 256'),
      ('model', 'mlp', {'hidden_sizes': (1,) * 2000}, 'at most 1,000'),
      ('model', 'mlp', {'hidden_sizes': (10**30,)}, 'got more'),
      ('model', 'mlp', {'hidden_sizes': '{[]:1}'}, 'like the default'),
      ('model', 'resnet', {'width': 0}, 'width: expected'),
  )
  def test_it_is_said_what_was_wrong(self, kind, name, given, message):
    with self.assertRaisesRegex(programs.UserError, rf'--{kind}.*({message})'):
      self._experiment(**{kind: name, f'{kind}_arg': given})

  def test_arguments_that_may_be_none(self):
    for argument in ('clipping_threshold', 'momentum', 'weight_decay_mask'):
      self._experiment(optimizer='adafactor', optimizer_arg={argument: None})

  @parameterized.parameters(
      ('mlp', {'hidden_sizes': (10**6, 10**6)}),
      ('convnet', {'channels': (10**6,), 'hidden_size': 10**6}),
      ('resnet', {'width': 256, 'channels': (1024, 1024, 1024)}),
      ('vit', {'hidden_size': 10**6}),
      ('row_rnn', {'hidden_sizes': (10**6,)}),
      ('wide_and_deep', {'hidden_sizes': (10**6, 10**6)}),
  )
  def test_a_model_that_no_machine_holds_takes_no_memory(self, name, given):
    started = time.process_time()
    experiment = self._experiment(model=name, model_arg=given)
    with self.assertRaisesRegex(
        programs.UserError, f'--model_arg: {name} would have more than'
    ):
      experiment.build()
    self.assertLess(time.process_time() - started, 10)

  def test_batches_that_no_machine_holds(self):
    model_size.check_batch(128, 32, 32)
    with self.assertRaisesRegex(programs.UserError, '--image_size=4096,4096'):
      model_size.check_batch(10**9, 4096, 4096)


def _number(value):
  is_number = isinstance(value, int) and not isinstance(value, bool)
  return value if is_number else 0


class ProcessTest(absltest.TestCase):
  """The last word is one line, and nothing is written."""

  def test_some(self):
    root = pathlib.Path(runs.scratch(self))
    (root / 'self').write_text(f'--flagfile={root}/self\n')
    for argument in (
        '--workdir=~nosuchuser/x',
        '--num_virtual_devices=1000000',
        f'--flagfile={root}/self',
        b'--workdir=\xff',
        '--learning_rate=nan',
        '--model_arg=hidden_sizes={[]:1}',
        '--workdir=gs://bucket/x',
    ):
      ended = runs.finish(runs.start('train', '--model=mlp', argument))
      with self.subTest(argument):
        self.assertEqual((ended.code, ended.out), (2, ''))
        self.assertEqual(ended.err.count('\n'), 1, ended.err)
    self.assertEqual(os.listdir(root), ['self'])


if __name__ == '__main__':
  absltest.main()
