"""Tests of launch.settings.command_line and of the flags that it hands on.

Covers: flag_names.
"""

from __future__ import annotations

import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from launch import parts, training_program
from launch.settings import flag_names
from tests.launch import runs

_CONVNET = runs.ROOT / 'launch' / 'recipes' / 'fashion_mnist_convnet.flags'
_MODELS = (
    'convnet',
    'mlp',
    'reconstructing_mlp',
    'resnet',
    'row_rnn',
    'sparse_mlp',
    'speednet',
    'vit',
    'wide_and_deep',
)
_OTHERS = [
    *(('model', name) for name in _MODELS),
    *(
        (kind, name)
        for kind in ('loss', 'optimizer', 'schedule')
        for name in parts.names(kind)
    ),
]


def _parse(*arguments):
  """Returns how a command line ends, and the config that it makes, if any."""
  with mock.patch.object(training_program, '_run') as run:
    ended = runs.call('train', *arguments)
  return ended, run.call_args and run.call_args.args[0]


class DroppedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))

  def _file(self, name, *lines):
    path = self.folder / name
    path.write_text('\n'.join(lines))
    return f'--flagfile={path}'

  @parameterized.parameters(*_OTHERS)
  def test_whatever_replaces_a_recipes_part(self, kind, name):
    before = _parse(f'--flagfile={_CONVNET}')[1]
    ended, config = _parse(f'--flagfile={_CONVNET}', f'--{kind}={name}')
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(getattr(config, kind), name)
    if getattr(before, kind) == name:
      self.assertEqual((config, ended.out), (before, ''))
      return
    self.assertEqual(getattr(config, f'{kind}_arg'), {})
    self.assertEqual(ended.out.count('\n'), 1, ended.out)
    former = getattr(before, kind) or 'the default'
    self.assertIn(f'--{kind}={name} replaces {former}', ended.out)
    for key, value in getattr(before, f'{kind}_arg').items():
      self.assertIn(f'drops --{kind}_arg={key}={value};', ended.out)
    # What goes on being in force is said, since it was made for another one.
    self.assertIn(f'in force from {_CONVNET}: --dataset', ended.out)
    self.assertIn('--learning_rate=0.02', ended.out)

  @parameterized.parameters(
      # Whatever was given last by one name counts.
      (
          (
              '--optimizer=sgd --optimizer_arg=momentum=0.5 '
              '--optimizer_arg=nesterov=true --optimizer_arg=momentum=0.9'
          ),
          'sgd',
          {'momentum': 0.9, 'nesterov': True},
          '',
      ),
      # The same name again keeps its arguments, another one drops them.
      (
          '--optimizer=sgd --optimizer_arg=momentum=0.5 --optimizer=sgd',
          'sgd',
          {'momentum': 0.5},
          '',
      ),
      (
          '--optimizer=sgd --optimizer_arg=momentum=0.5 --optimizer=adam',
          'adam',
          {},
          'drops --optimizer_arg=momentum=0.5',
      ),
      (
          '--optimizer sgd --optimizer_arg momentum=0.5 --optimizer adam',
          'adam',
          {},
          'drops --optimizer_arg=momentum=0.5',
      ),
      (
          (
              '-optimizer=sgd -optimizer_arg=momentum=0.5 -optimizer=adam '
              '-optimizer_arg=b1=0.5 -optimizer=sgd'
          ),
          'sgd',
          {},
          '=momentum=0.5; --optimizer=sgd .* -optimizer_arg=b1=0.5',
      ),
      # Before any name: arguments of the one to come.
      (
          '--optimizer_arg=momentum=0.5 --optimizer=sgd',
          'sgd',
          {'momentum': 0.5},
          '',
      ),
  )
  def test_on_the_command_line(self, line, name, arguments, said):
    ended, config = _parse('--workdir=x', *line.split())
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(config.optimizer, name)
    self.assertEqual(config.optimizer_arg, arguments)
    self.assertRegex(ended.out, said or '^$')
    self.assertEqual(ended.out.count('\n'), bool(said))

  def test_files_in_files(self):
    inner = self._file(
        'inner',
        '# Muon.',
        '',
        '  --optimizer=muon',
        '--optimizer_arg=beta=0.5',
        '// More.',
        '--optimizer_arg=ns_steps=2',
        '--normalize',
        '--seed=3',
    )
    outer = self._file('outer', inner, '--optimizer=sgd', '--seed=4')
    ended, config = _parse('--workdir=x', outer, '--nonormalize')
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(
        (config.optimizer, config.optimizer_arg, config.seed, config.normalize),
        ('sgd', {}, 4, False),
    )
    self.assertRegex(
        ended.out,
        r'--optimizer=sgd replaces muon and drops --optimizer_arg=beta=0.5 '
        r'--optimizer_arg=ns_steps=2; still in force from \S+inner, \S+outer: '
        r'--optimizer=sgd --seed=4\n$',
    )

  def test_arguments_of_the_default_in_a_file_that_does_not_name_it(self):
    file = self._file(
        'file', '--model_arg=channels=8,8', '--label_smoothing=0.1'
    )
    ended, config = _parse('--workdir=x', file)
    self.assertEqual(ended.out, '')
    self.assertEqual(config.model_arg, {'channels': (8, 8)})
    ended, config = _parse('--workdir=x', file, '--model=mlp')
    self.assertEqual((config.model_arg, config.label_smoothing), ({}, 0.1))
    ended, config = _parse('--workdir=x', file, '--loss=softmax_focal_loss')
    self.assertEqual(config.label_smoothing, 0)
    self.assertIn('drops --label_smoothing=0.1', ended.out)

  def test_a_mistake_is_one_line_still(self):
    ended, _ = _parse(f'--flagfile={_CONVNET}', '--optimizer=adma')
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertEqual(ended.err.count('\n'), 1)

  @parameterized.parameters(
      (b'--seed=1\n--flagfile=SELF\n', 'includes itself'),
      (b'\xff\xfe-\x00-\x00', 'UTF-8'),
      (b'--dataset=a\x00b', 'printable'),
      (
          b'--seed 1',
          "SELF: Unknown command line flag 'seed 1'. Did you mean --seed",
      ),
      (b'seed=1', "unexpected argument 'seed=1'"),
      (b'--workdir', 'SELF: --workdir needs a value'),
      (b'--flagfile=/nowhere/at/all', '/nowhere/at/all: No such file'),
      (b'x' * 2**21, 'too long'),
      (b'--seed=1\n' * 20_000, 'more than 10,000 flags'),
      (None, 'Is a directory'),
  )
  def test_a_file_that_is_none(self, content, message):
    path = self.folder / 'file'
    if content is None:
      path.mkdir()
    else:
      path.write_bytes(content.replace(b'SELF', bytes(path)))
    ended, config = _parse('--workdir=x', f'--flagfile={path}')
    self.assertEqual((ended.code, ended.out, config), (2, '', None))
    self.assertRegex(ended.err, message.replace('SELF', str(path)))
    self.assertEqual(ended.err.count('\n'), 1)

  def test_a_device(self):
    ended, _ = _parse('--flagfile=/dev/zero')
    self.assertIn('/dev/zero: not a file', ended.err)


class FormerNamesTest(absltest.TestCase):

  def test_are_read_in_silence_as_those_of_now(self):
    path = self.create_tempfile(content='--flip=random\n--average_decay=0.5')
    ended, config = _parse(
        '--workdir=x', f'--flagfile={path.full_path}', '--jit', 'off'
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(
        (config.random_flip, config.ema_decay, config.jit_compile),
        ('random', 0.5, 'off'),
    )

  def test_a_mistake_is_one_line(self):
    ended, _ = _parse('--workdir=x', '--flip=twice')
    self.assertEqual((ended.code, ended.err.count('\n')), (2, 1))
    self.assertIn('flip=twice: value should be one of', ended.err)
    ended, _ = _parse('--workdir=x', '--jit')
    self.assertEqual((ended.code, ended.err.count('\n')), (2, 1))


class HintTest(parameterized.TestCase):

  @parameterized.parameters(
      ('lr', '--learning_rate'),
      ('LR', '--learning_rate'),
      ('epochs', '--num_epochs'),
      ('max_epochs', '--num_epochs'),
      ('batch_size', '--global_batch_size'),
      ('batch-size', '--global_batch'),
      ('gpus', 'CUDA_VISIBLE_DEVICES'),
      ('num_gpus', 'CUDA_VISIBLE_DEVICES'),
      ('steps', '--num_steps'),
      ('logdir', '--workdir'),
      ('log_dir', '--workdir'),
      ('output_dir', '--workdir'),
      ('momentum', '--optimizer_arg'),
      ('dropout', '--model_arg'),
      ('warmup_steps', '--schedule_arg'),
      ('learning_rat', '--learning_rate'),
      ('randomflip', '--random_flip'),
      ('random_seed', '--seed'),
      ('fp16', '--precision'),
      ('grad_clip', '--clip_global_norm'),
      ('ema', '--ema_decay'),
  )
  def test_of_training(self, name, expected):
    for argument in ((f'--{name}=1',), (f'--{name}', '1')):
      ended, _ = _parse('--workdir=x', *argument)
      self.assertEqual((ended.code, ended.out), (2, ''))
      self.assertIn(f"Unknown command line flag '{name}'.", ended.err)
      self.assertRegex(ended.err, rf'Did you mean .*{expected}')
      self.assertEqual(ended.err.count('\n'), 1)

  def test_of_what_there_is(self):
    known = {'workdir', 'checkpoint'}
    self.assertIn('--workdir', flag_names.hint('log_dir', known))
    self.assertIn('--checkpoint', flag_names.hint('ckpt', known))
    for name in ('lr', 'zzzz', 'momentum', 'epochs'):
      self.assertEqual(flag_names.hint(name, known), '')

  def test_no_name_of_ours_is_taken_for_anothers(self):
    with mock.patch.object(training_program, 'run', return_value=0):
      runs.call('train', '--workdir=x')
    own = runs.flags_of('train')
    self.assertNotEmpty(own)
    wrong = [name for name in own if flag_names.is_of_others(name)]
    self.assertEmpty(wrong)


if __name__ == '__main__':
  absltest.main()
