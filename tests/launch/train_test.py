"""Tests of launch.train: its flags, and what it says of mistakes."""

from __future__ import annotations

import fcntl
import gzip
import os
import pathlib
import pty
import re
import signal
import struct
import termios

import pytest
from absl.testing import absltest, parameterized

from pipelines import archives
from tests.launch import runs


def _archives(directory, content):
  """Writes archives under the names of Fashion-MNIST's."""
  directory.mkdir()
  for name in archives.expected('fashion_mnist'):
    (directory / name).write_bytes(content)


class MistakesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def assert_refused(self, ended, message):
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertRegex(ended.err, rf'^\S+: .*{message}.*\n$')
    self.assertEqual(ended.err.count('\n'), 1, ended.err)

  @parameterized.parameters(
      ('--dataset=tiny_shaped', "'tiny_shaped'.*did you mean tiny_shapes"),
      ('--model=perceptron', '--model=perceptron: unknown; there are: conv'),
      ('--model=unet', '--model=unet: it is for segmentation, and .*convnet, '),
      ('--model=tabular', '--model=tabular: it is for tables, and '),
      ('--model=text_classifier', 'it is for text classification, and '),
      ('--loss=hinges', '--loss=hinges: unknown; there are: '),
      (
          '--loss=hinge_loss',
          '--loss=hinge_loss: labels: expected the shape of logits',
      ),
      (
          '--loss=dice_loss',
          '--loss=dice_loss: it is for another task; there are: abs',
      ),
      ('--optimizer=adma', '--optimizer=adma: unknown; there are: '),
      ('--schedule=step', '--schedule=step: unknown; there are: '),
      ('--strategy=tpu', '--strategy=tpu: value should be one of'),
      ('--normalise', "Unknown command line flag 'normalise'. Did you mean"),
      ('--global_batch_size=0', '--global_batch_size=0'),
      ('--global_batch_size=242', '242 is more than the 240 training examples'),
      ('--class_weights=1,2', '2 weights for 4 classes'),
      ('--class_weights=1,2,x,4', '--class_weights=1,2,x,4: expected numbers'),
      ('--class_weights=1,2,nan,4', 'expected numbers from 0 to'),
      ('--class_weights=', '--class_weights'),
      ('--learning_rate=-1', '--learning_rate=-1: expected a number from 0 to'),
      ('--max_minutes=0', '--max_minutes=0: expected a number above 0'),
      ('--keep_best=some', '--keep_best=some: expected true or false'),
      ('--num_epochs=nan', '--num_epochs=nan: expected an integer[.]'),
      ('--num_steps=1.5', '--num_steps=1.5: expected an integer[.]'),
      ('--label_smoothing=2', '--label_smoothing=2'),
      ('--seed=-1', '--seed=-1'),
      ('--num_epochs=0', '=0: expected an integer from 1 to 1,000,000[.]'),
      ('--random_flip=twice', '--random_flip=twice: value should be one of'),
      ('--max_shift=-1', '--max_shift=-1'),
      ('--max_shift=8', '--max_shift=8: expected less than the 8 pixels'),
      ('--random_erasing=1.5', '--random_erasing=1.5'),
      ('--random_erasing=nan', 'nan'),
      ('--test_time_augmentation=all', 'value should be one of'),
      ('--num_steps=half', '--num_steps=half'),
      ('--validation_examples=265', '265 is not in '),
      ('--image_size=8', '--image_size=8: expected HEIGHT,WIDTH'),
      ('--image_size=8,0', '--image_size=8,0: expected HEIGHT,WIDTH'),
      ('--image_size=a,b', '--image_size=a,b: expected numbers'),
      ('--model_arg=depth=3', '--model_arg=depth: no such argument; there are'),
      ('--model_arg=dropout_rate=high', '--model_arg=dropout_rate=high'),
      ('--model_arg=dropout_rate=1.5', 'rate: .*1.5'),
      ('--model_arg=hidden_sizes=0,', 'expected at least 1, got 0'),
      ('--model_arg=activation=softmix', 'softmix'),
      ('--model_arg=hidden_sizes=1000000,1000000', 'mlp would have more than'),
      ('--model_arg=activation', 'expected NAME=VALUE'),
      ('--optimizer_arg=momentun=0.9', 'momentun: no such argument'),
      ('--optimizer_arg=b1=7', 'b1'),
      ('--loss_arg=delta=1', 'delta: no such argument; there are: none'),
      ('--schedule_arg=warmup_fraction=1', 'no such argument'),
      ('--data_dir=/nowhere/at/all', "'tiny_shapes'"),
      ('tiny_shapes', "unexpected argument 'tiny_shapes'"),
      ('--flagfile=/nowhere', 'nowhere'),
  )
  def test_one_line_and_nothing_written(self, argument, message):
    config = runs.config(model_arg={})
    ended = runs.call(
        'train',
        *runs.arguments(config),
        f'--workdir={self.root}/run',
        argument,
        num_replicas=2,
    )
    self.assert_refused(ended, message)
    self.assertEmpty(os.listdir(self.root))

  @pytest.mark.medium
  def test_a_directory_of_other_files(self):
    flags = runs.arguments(runs.config(num_steps=1))
    names = ('.hidden', 'lost+found', 'train.log')
    for name in names:
      pathlib.Path(self.root, name).touch()
    quiet = runs.call('train', *flags, f'--workdir={self.root}')
    self.assertEqual(quiet.code, 0, quiet)
    self.assertNotIn('other files', quiet.out)
    folder = pathlib.Path(self.root, 'used')
    folder.mkdir()
    for name in ('mine.py', 'photos', *names):
      (folder / name).touch()
    noted = runs.call('train', *flags, f'--workdir={folder}')
    self.assertEqual(noted.code, 0, noted)
    self.assertIn(f'{folder} also has other files: mine.py and 1 m', noted.out)
    self.assertContainsSubset(['mine.py', 'photos'], os.listdir(folder))

  def test_no_workdir(self):
    ended = runs.call('train', *runs.arguments(runs.config()))
    self.assert_refused(ended, '--workdir is missing')

  @parameterized.parameters(
      (gzip.compress(b'some images')[:-9], 'truncated'),
      (gzip.compress(b'others'), 'of another data set'),
      (b'', 'truncated'),
  )
  def test_archives_that_are_not_the_sets(self, content, message):
    _archives(self.root / 'archives', content)
    (self.root / 'data').mkdir()
    ended = runs.call(
        'train',
        '--dataset=fashion_mnist',
        f'--data_dir={self.root}/data',
        f'--archives_dir={self.root}/archives',
        f'--workdir={self.root}/run',
    )
    self.assert_refused(ended, message)
    self.assertFalse((self.root / 'run').exists())
    self.assertEmpty(list((self.root / 'data').rglob('fashion_mnist')))


class ProcessTest(parameterized.TestCase):
  """What only a process of its own shows: streams, exit codes, signals."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))

  def test_a_mistake(self):
    (self.root / 'file').write_text('')
    ended = runs.finish(
        runs.start(
            'train',
            *runs.arguments(runs.config()),
            f'--workdir={self.root}/file/x',
        )
    )
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertEqual(
        ended.err,
        f'launch.train: --workdir={self.root}/file/x: {self.root}/file is not '
        'a directory.\n',
    )
    self.assertEqual(os.listdir(self.root), ['file'])

  def test_on_a_terminal_until_ctrl_c(self):
    config = runs.config(num_epochs=50_000)
    arguments = [*runs.arguments(config), f'--workdir={self.root}']
    reader, writer = pty.openpty()
    fcntl.ioctl(reader, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 100, 0, 0))
    self.addCleanup(os.close, reader)
    process = runs.start(
        'train', *arguments, '--num_virtual_devices=3', stdout=writer
    )
    os.close(writer)
    written, asked = '', False
    with runs.ending(process):
      while True:
        try:
          written += os.read(reader, 10_000).decode()
        except OSError:  # All is read, and the other end is closed.
          break
        if not asked and 'ETA' in written:
          asked = True
          process.send_signal(signal.SIGINT)
      code = process.wait()
      self.assertEqual((code, process.stderr.read()), (130, ''))
    self.assertIn('over 3 CPU replica(s)', written)
    self.assertRegex(
        written,
        r'\repoch \d+/50000  step \d+/1000000  loss \d\.\d{4}  accuracy '
        r'[01]\.\d{4}  [\d,]+ examples/s  ETA [\d:]+',
    )
    for line in re.split('[\r\n]', written):
      self.assertLess(len(line), 100, line)
    step = re.search(
        r'\r\n?Interrupted: saved step (\d+) of 1000000; the same command goes '
        r'on from there\.\r\n$',
        written,
    )
    self.assertIsNotNone(step, written[-500:])
    self.assertTrue((self.root / f'checkpoints/ckpt-{step[1]}.index').exists())


if __name__ == '__main__':
  absltest.main()
