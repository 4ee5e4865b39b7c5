"""Tests of launch.hooks.progress."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import termios
import time
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

from launch.hooks import progress
from launch.training import periods
from tests.launch import runs


class _Clock:
  """Stands in for the clock."""

  def __init__(self, test):
    self.now = 100.0
    patch = mock.patch.object(time, 'monotonic', lambda: self.now)
    patch.start()
    test.addCleanup(patch.stop)


class _Terminal:
  """A terminal, and what was written to it."""

  def __init__(self, test, columns):
    self._reader, writer = pty.openpty()
    test.addCleanup(os.close, self._reader)
    self.resize(columns)
    self.stream = os.fdopen(writer, 'w')
    test.addCleanup(self.stream.close)

  def resize(self, columns):
    size = struct.pack('HHHH', 24, columns, 0, 0)
    fcntl.ioctl(self._reader, termios.TIOCSWINSZ, size)

  def read(self):
    found = b''
    while select.select([self._reader], [], [], 0)[0]:
      found += os.read(self._reader, 100_000)
    return found.decode()


def _progress(num_steps, steps_per_epoch, batch_size, speed=0.0, **kwargs):
  """Makes a line of a run of some length, and of some steps per second."""
  at = periods.Periods(steps_per_epoch, num_steps)
  return progress.Progress(at, batch_size, lambda: speed, **kwargs)


class TerminalTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.clock = _Clock(self)

  def _progress(self, columns, **kwargs):
    terminal = _Terminal(self, columns)
    line = _progress(300, 100, 64, stream=terminal.stream, **kwargs)
    return terminal, line

  def test_one_line_is_written_over_and_over(self):
    terminal, line = self._progress(120)
    for step, loss, speed in ((0, 2.30259, 0), (10, 1.5, 5), (20, 0.25, 4)):
      with mock.patch.object(line, '_speed', lambda speed=speed: speed):
        line(step, {'loss': loss, 'accuracy': 0.5})
    written = terminal.read()
    self.assertNotIn('\n', written)
    start, first, second, third = written.split('\r')
    self.assertEqual(start, '')
    self.assertEqual(
        first, 'epoch 1/3  step 0/300  loss 2.3026  accuracy 0.5000'
    )
    self.assertEqual(
        second,
        'epoch 1/3  step 10/300  loss 1.5000  accuracy 0.5000  320 '
        'examples/s  ETA 0:58',
    )
    self.assertEqual(
        third.rstrip(),
        'epoch 1/3  step 20/300  loss 0.2500  accuracy 0.5000  256 '
        'examples/s  ETA 1:10',
    )
    line.clear()
    self.assertRegex(terminal.read(), f'^\r {{{len(third.rstrip())}}}\r$')
    line.clear()
    terminal.stream.write('.')
    terminal.stream.flush()
    self.assertEqual(terminal.read(), '.')

  def test_a_shorter_line_leaves_nothing_of_a_longer_one(self):
    terminal, line = self._progress(120)
    line(100, {'loss': 12345.0})
    line(100, {'loss': 1.0})
    _, first, second = terminal.read().split('\r')
    self.assertLen(second, len(first))

  @parameterized.parameters(2, 20, 41, 80)
  def test_never_wider_than_the_terminal(self, columns):
    terminal, line = self._progress(120)
    line = _progress(300, 100, 64, 7.0, stream=terminal.stream)
    for step in range(3):
      line(step, {'loss': 1.0, 'accuracy': 0.5})
      self.clock.now += 1
      terminal.resize(columns)
    for part in terminal.read().split('\r')[2:]:
      self.assertLess(len(part), columns)

  @parameterized.parameters((120, True), (80, False))
  def test_what_fits(self, columns, has_epoch):
    terminal = _Terminal(self, columns)
    line = _progress(51480, 429, 128, 100.0, stream=terminal.stream)
    line(20_000, {'loss': 0.1234, 'accuracy': 0.9375})
    last = terminal.read().split('\r')[-1]
    self.assertRegex(
        last.replace('  ', ' '),
        r'step 20000/51480 loss 0.1234 accuracy 0.9375 12,800 examples/s ETA '
        r'5:15 *$',
    )
    self.assertEqual('epoch 47/120' in last, has_epoch)

  @parameterized.parameters(
      (
          120,
          (
              'epoch 47/120  step 20000/51480  loss 0.1234  accuracy 0.9375  '
              'best accuracy 0.8812  12,800 examples/s  ETA 5:15'
          ),
      ),
      (
          100,
          (
              'step 20000/51480 loss 0.1234 accuracy 0.9375 best accuracy'
              ' 0.8812 12,800 examples/s ETA 5:15'
          ),
      ),
      (
          80,
          (
              'step 20000/51480 loss 0.1234 accuracy 0.9375 best accuracy'
              ' 0.8812 ETA 5:15'
          ),
      ),
      (70, 'step 20000/51480 loss 0.1234 best accuracy 0.8812 ETA 5:15'),
      (45, 'step 20000/51480 loss 0.1234 ETA 5:15'),
      (30, 'step 20000/51480 ETA 5:15'),
      (20, 'step 20000/51480 ETA'),
  )
  def test_the_best_value(self, columns, expected):
    """Where it is narrow, what is known longest goes first."""
    terminal = _Terminal(self, columns)
    line = _progress(
        51480,
        429,
        128,
        100.0,
        stream=terminal.stream,
        best=lambda: ('accuracy', 0.88123),
    )
    line(20_000, {'loss': 0.1234, 'accuracy': 0.9375})
    self.assertEqual(
        terminal.read().split('\r')[-1].rstrip(), expected[: columns - 1]
    )

  def test_the_time_left_has_that_of_hooks(self):
    """Of whole epochs: a validation a second, but the first, which traces."""
    seconds, found = 0.0, []
    terminal = _Terminal(self, 120)
    line = _progress(
        100, 10, 64, 10.0, stream=terminal.stream, hook_seconds=lambda: seconds
    )
    for step in range(2, 42, 2):
      line(step, {})
      text = terminal.read().split('\r')[-1].rstrip()
      found.append(int(text.rpartition(':')[2]))
      if not step % 10:
        seconds += 9.0 if step == 10 else 1.0
    expected = [
        round((100 - step) * (0.1 if step < 22 else 0.2))
        for step in range(2, 42, 2)
    ]
    self.assertEqual(found, expected)

  def test_a_terminal_that_does_not_know_its_width(self):
    terminal, line = self._progress(0)
    line(1, {'loss': 1.0})
    self.assertIn('loss 1.0000', terminal.read())

  def test_what_is_said_takes_the_place_of_the_line(self):
    terminal, line = self._progress(80)
    line(1, {'loss': 1.0})
    line.above(terminal.stream.write)('said')
    terminal.stream.flush()
    self.assertRegex(terminal.read(), r'\r *\rsaid$')

  def test_closing_clears(self):
    terminal, line = self._progress(80)
    line(1, {'loss': 1.0})
    line.close()
    self.assertRegex(terminal.read(), r'\r *\r$')

  def test_silent(self):
    terminal, line = self._progress(80, silent=True)
    line(1, {'loss': 1.0})
    line.close()
    terminal.stream.write('.')
    terminal.stream.flush()
    self.assertEqual(terminal.read(), '.')


class PlainTest(absltest.TestCase):

  def test_one_line_in_a_notebook(self):
    """Its standard output is no terminal, and yet takes lines back."""
    of_notebook = {'__module__': 'ipykernel.iostream'}
    stream = type('OutStream', (io.StringIO,), of_notebook)()
    line = _progress(3, 50, 8, 4.0, stream=stream)
    for step in (1, 2, 3):
      line(step, {'loss': 1.0})
    shown = line._stream.getvalue()
    self.assertNotIn('\n', shown)
    self.assertLen(re.findall(r'\repoch 1/1  step \d/3', shown), 3)
    line.close()
    self.assertRegex(line._stream.getvalue(), r'\r +\r$')

  def test_whole_lines_every_few_seconds(self):
    clock = _Clock(self)
    stream = io.StringIO()
    line = _progress(100, 50, 8, 4.0, stream=stream)
    for step in range(1, 101):
      line(step, {'loss': 1.0})
      clock.now += 0.25
    lines = stream.getvalue().splitlines()
    for each in lines:
      self.assertRegex(
          each,
          r'^epoch [12]/2  step \d+/100  loss 1\.0000  32 examples/s  '
          r'ETA 0:\d\d$',
      )
    steps = [int(re.search(r'step (\d+)', each)[1]) for each in lines]
    self.assertEqual(steps, [21, 41, 61, 81])


class EpochTest(parameterized.TestCase):

  @parameterized.parameters((1, 5), (7, 21), (7, 20), (7, 22), (10, 3))
  def test_it_is_that_of_the_step_taken_last(self, steps_per_epoch, num_steps):
    _Clock(self)
    stream = io.StringIO()
    with mock.patch.object(progress, 'PLAIN_EVERY_SECS', 0.0):
      line = _progress(num_steps, steps_per_epoch, 8, stream=stream)
      for step in range(num_steps + 1):
        line(step, {})
    # One epoch per pass over the data; the last may be cut short.
    passes = [i // steps_per_epoch + 1 for i in range(num_steps)]
    expected = [f'epoch {epoch}/{passes[-1]}' for epoch in [passes[0], *passes]]
    shown = [each.partition('  ')[0] for each in stream.getvalue().splitlines()]
    self.assertEqual(shown, expected)


class RunTest(absltest.TestCase):

  @pytest.mark.medium
  def test_a_run_that_goes_on_knows_its_best_value(self):
    workdir = os.path.join(runs.scratch(self), 'run')
    runs.train(workdir, num_epochs=1)
    [row] = runs.rows(workdir, 'validation')
    with mock.patch.object(progress, '_NOTEBOOK', '_io'):  # Of StringIO.
      ended = runs.train(workdir, num_epochs=2)
    shown = re.findall(r'\r([^\r\n]*step [^\r\n]*)', ended.out)
    best = f'best accuracy {row["accuracy"]:.4f}'
    self.assertIn('epoch 2/2 step 21/40 ', shown[0].replace('  ', ' '))
    self.assertIn(best, shown[0])
    self.assertIn('step 40/40 ', shown[-1])


class DurationTest(parameterized.TestCase):

  @parameterized.parameters(
      (0.2, '0:00'),
      (59.6, '1:00'),
      (61, '1:01'),
      (3599, '59:59'),
      (3600, '1:00:00'),
      (100 * 3600 + 62, '100:01:02'),
  )
  def test_format(self, seconds, expected):
    self.assertEqual(progress.duration(seconds), expected)


if __name__ == '__main__':
  absltest.main()
