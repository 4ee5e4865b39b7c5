"""A small table of prices, and a run of it: a task that is not of images."""

from __future__ import annotations

import csv
import functools
import pathlib

import numpy as np

from tests.launch import runs

NUM_ROWS = 300
KINDS = ('flat', 'house', 'hut')
COLUMNS = ('rooms', 'area', 'kind', 'price')
CONFIG = dict(
    validation_examples=None,
    model='tabular',
    model_arg={'hidden_sizes': (16,)},
    loss='squared_error',
    learning_rate=0.02,
    log_every_steps=10,
    checkpoint_every_steps=10,
)


def rows(kinds: tuple[str, ...] = KINDS, seed: int = 0) -> list[list]:
  """Returns rows of `COLUMNS`."""
  generator = np.random.default_rng(seed)
  found = []
  for index in range(NUM_ROWS):
    rooms = int(generator.integers(1, 6))
    area = round(float(generator.uniform(30, 200)), 1)
    kind = kinds[index % len(kinds)]
    bonus = {'flat': 0, 'house': 50_000, 'hut': -20_000}.get(kind, 0)
    found.append([rooms, area, kind, 1000 * area + 20_000 * rooms + bonus])
  return found


def write(
    path: pathlib.Path, rows: list[list], columns=COLUMNS
) -> pathlib.Path:
  """Writes rows as a CSV file."""
  with open(path, 'w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(rows)
  return path


@functools.cache
def folder() -> pathlib.Path:
  """Returns a folder with `houses.csv`."""
  directory = pathlib.Path(runs.kept_directory())
  write(directory / 'houses.csv', rows())
  return directory


def dataset() -> str:
  """Returns the name of the data set."""
  return f'csv:{folder()}/houses.csv?label=price'


def train(workdir, num_replicas=1, **changes) -> runs.Ended:
  """Trains on the table."""
  return runs.train(
      workdir, num_replicas, dataset=dataset(), **{**CONFIG, **changes}
  )


@functools.cache
def finished() -> pathlib.Path:
  """Returns the work directory of a finished run, which is not to change."""
  workdir = folder() / 'finished'
  ended = train(workdir, num_epochs=10)
  if ended.code:
    raise AssertionError(ended)
  return workdir
