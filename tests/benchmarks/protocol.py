"""What every contender shares: arguments, data, the clock, the report.

A contender is a process: it trains one case and prints one line of JSON. This
module is all that contenders have in common, and imports nothing heavy:

    run = protocol.start()
    for _ in run.epochs():
      ...
      run.end_epoch(loss, accuracy)   # Numbers: the device has finished.
    run.finish(accuracy=..., num_parameters=..., device=..., versions=...)

Data are uint8 images and integer labels in files that the driver made, so that
no contender has to decode PNGs. Every contender shuffles every epoch.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import platform
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tests.benchmarks import cases

# The driver says when it started the process, by time.time().
STARTED = 'QUATRAIN_BENCHMARK_STARTED'
PRECISIONS = ('float32', 'tensorfloat32', 'bfloat16')
# Divides every split that is scored.
EVAL_BATCH_SIZE = 500
STARTED_AT = float(os.environ.get(STARTED, time.time()))


class Split(NamedTuple):
  """The examples of a split.

  Attributes:
    images: uint8 ``[num_examples, 28, 28, 1]``.
    labels: int32 ``[num_examples]``.
  """

  images: np.ndarray
  labels: np.ndarray

  def scaled(self) -> np.ndarray:
    """Returns the images as float32 in [0, 1]."""
    return np.multiply(self.images, 1 / 255, dtype=np.float32)


class Run:
  """A contender's run: its case, its data, and what is measured.

  Attributes:
    case: What is to be done.
    variant: Which of the contender's ways is taken.
    precision: One of `PRECISIONS`. bfloat16 keeps weights in float32.
    seed: The seed of weights and order.
    num_steps: The number of steps in an epoch.
  """

  def __init__(self, options: argparse.Namespace):
    case = cases.CASES[options.case]
    given = ('num_examples', 'num_epochs', 'num_warmup_epochs')
    self.case = case = dataclasses.replace(
        case,
        **{
            name: value
            for name in given
            if (value := getattr(options, name)) is not None
        },
    )
    self.variant = options.variant
    self.precision = options.precision
    self.seed = options.seed
    self.num_steps = case.num_examples // case.batch_size
    self._folder = pathlib.Path(options.data)
    self._rows: dict[str, list[float]] = {
        name: [] for name in ('seconds', 'loss', 'train_accuracy')
    }
    self._first_step_s: float | None = None
    self._first_epoch_s: float | None = None
    self._epoch_started = 0.0

  @functools.cached_property
  def train(self) -> Split:
    """The training examples, full batches only."""
    num_examples = self.num_steps * self.case.batch_size
    split = _load(self._folder, 'train', num_examples)
    if not 0 < num_examples <= len(split.labels):
      raise ValueError(
          f'num_examples: expected {self.case.batch_size} at least, and no '
          f'more than there are, got {self.case.num_examples}.'
      )
    return split

  @functools.cached_property
  def test(self) -> Split:
    """The examples to score."""
    return _load(self._folder, self.case.split)

  @property
  def learning_rates(self) -> list[float]:
    """The learning rate of each step of the whole training."""
    return cases.learning_rates(
        self.case, self.case.num_epochs * self.num_steps
    )

  def epochs(self) -> Iterator[int]:
    """Yields the number of each epoch, and starts its clock."""
    for epoch in range(self.case.num_epochs):
      self.start_epoch()
      yield epoch

  def start_epoch(self) -> None:
    """Starts the clock of an epoch."""
    self._epoch_started = time.perf_counter()

  def end_step(self) -> None:
    """Takes the time of the first step; the device must have finished it."""
    if self._first_step_s is None:
      self._first_step_s = since_start()

  @property
  def is_first_step(self) -> bool:
    """Whether no step's end was told yet."""
    return self._first_step_s is None

  def end_epoch(self, loss: float, accuracy: float) -> None:
    """Stops the clock of an epoch.

    Args:
      loss: The mean training loss, a number that was read from the device.
      accuracy: The training accuracy of the epoch.
    """
    seconds = time.perf_counter() - self._epoch_started
    self.add_epoch(seconds, loss, accuracy, since_start())

  def add_epoch(
      self, seconds: float, loss: float, accuracy: float, end_s: float
  ) -> None:
    """Takes down an epoch that was timed elsewhere.

    Args:
      seconds: What it took.
      loss: The mean training loss.
      accuracy: The training accuracy.
      end_s: When it ended, in seconds from process start.
    """
    self._rows['seconds'].append(seconds)
    self._rows['loss'].append(float(loss))
    self._rows['train_accuracy'].append(float(accuracy))
    if self._first_epoch_s is None:
      self._first_epoch_s = end_s

  def finish(
      self,
      *,
      accuracy: float | None,
      num_parameters: int,
      device: str,
      versions: dict[str, str],
  ) -> None:
    """Prints the line of JSON.

    Args:
      accuracy: Of the split that the case scores; None if nothing was learned.
      num_parameters: The number of trainable parameters.
      device: `cpu`, or the name of the accelerator.
      versions: The version of each package that matters.
    """
    end_s = since_start()
    images = self.num_steps * self.case.batch_size
    timed = self._rows['seconds'][self.case.num_warmup_epochs :]
    line = {
        'images_per_second': [images / seconds for seconds in timed],
        'epoch_seconds': self._rows['seconds'],
        'loss': self._rows['loss'],
        'train_accuracy': self._rows['train_accuracy'],
        'accuracy': accuracy if accuracy is None else float(accuracy),
        'first_step_s': self._first_step_s,
        'first_epoch_s': self._first_epoch_s,
        'end_s': end_s,
        'peak_rss_gb': peak_rss_gb(),
        'num_parameters': int(num_parameters),
        'device': device,
        'versions': {'python': platform.python_version(), **versions},
    }
    print(json.dumps(line), flush=True)


def start() -> Run:
  """Reads the arguments of the process and opens the data.

  Returns:
    The run.
  """
  parser = argparse.ArgumentParser()
  parser.add_argument('--case', required=True, choices=cases.CASES)
  parser.add_argument('--variant', required=True)
  parser.add_argument('--data', required=True, help='A folder of .npy files.')
  parser.add_argument('--precision', default='float32', choices=PRECISIONS)
  parser.add_argument('--seed', type=int, default=0)
  for name in ('num_examples', 'num_epochs', 'num_warmup_epochs'):
    parser.add_argument(f'--{name}', type=int, help="Default: the case's.")
  return Run(parser.parse_args())


def since_start() -> float:
  """Returns the seconds since the process was started."""
  return time.time() - STARTED_AT


def peak_rss_gb() -> float | None:
  """Returns the most memory that the process held, in 10^9 bytes.

  Linux' VmHWM: `getrusage` would count what the parent held before exec.

  Returns:
    Gigabytes; None where the system does not tell.
  """
  try:
    lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  except OSError:
    return None
  line = next(line for line in lines if line.startswith('VmHWM'))
  return int(line.split()[1]) * 1024 / 1e9


def _load(
    folder: pathlib.Path, split: str, num_examples: int | None = None
) -> Split:
  images, labels = (
      np.load(folder / f'{split}_{name}.npy')[:num_examples]
      for name in ('images', 'labels')
  )
  return Split(images, labels)
