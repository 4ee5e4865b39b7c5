"""Trains a model and exports it in one format after another."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import launch
from launch import config as config_lib
from launch import finished_run, programs
from launch.exporting import formats as export_formats
from launch.exporting import writing as exporting
from launch.settings import typed_json
from launch.web import runtime
from tests import virtual_devices
from tests.exports import cases

FORMATS = tuple(export_formats.FORMATS)


class Found(NamedTuple):
  """The result of an export.

  Attributes:
    code: The exit code of the program.
    rows: The rows of parity.json; empty if nothing is kept.
    said: Why it is refused.
  """

  code: int
  rows: tuple[dict[str, Any], ...] = ()
  said: str = ''


class Row(NamedTuple):
  """A model and the results of its exports.

  Attributes:
    case: The case.
    metric: The name of its metric.
    value: The model's own value of the metric.
    num_parameters: The number of trained parameters.
    found: The results by format.
  """

  case: cases.Case
  metric: str
  value: float
  num_parameters: int
  found: dict[str, Found]


def train(
    case: cases.Case, folder: str, num_steps: int
) -> tuple[finished_run.Run, int]:
  """Trains a model; returns the run and the number of its parameters."""
  arrays = cases.splits(case)
  config = config_lib.Config(
      workdir=os.path.join(folder, 'run'),
      model=case.model,
      model_arg=case.arguments,
      num_steps=num_steps,
      global_batch_size=64,
      learning_rate=0.003,
      jit_compile='off',
      strategy='one_device',
      normalize='image' in arrays['train'],
      eval_every_epochs=1000,
      validation_examples=50,
  )
  with contextlib.redirect_stdout(io.StringIO()):
    result = launch.run(None, arrays, config)
  run = finished_run.load(
      config_lib.Config(workdir=config.workdir),
      None,
      virtual_devices.mirrored(1),
      {'dataset': typed_json.Given(arrays)},
  )
  return run, int(result.values['num_parameters'])


def measure(
    case: cases.Case, folder: str, formats: Sequence[str], num_steps: int
) -> Row:
  """Trains and exports a model.

  Args:
    case: The model and its data.
    folder: A folder for the files.
    formats: The names of the formats.
    num_steps: The number of training steps.

  Returns:
    The results.
  """
  run, num_parameters = train(case, folder, num_steps)
  found, value, metric = {}, 0.0, ''
  for name in formats:
    output = pathlib.Path(folder) / name
    options = exporting.Options(
        output, [name], runtime=runtime.files() if name == 'web' else {}
    )
    out = io.StringIO()
    try:
      with contextlib.redirect_stdout(out):
        code = exporting.export(run, options)
    except programs.Failure as error:
      found[name] = Found(error.exit_code, said=str(error))
      continue
    report = json.loads((output / exporting.REPORT).read_text())
    metric, value = report['metric'], report['model']['metric']
    found[name] = Found(code, tuple(report['exports']))
  return Row(case, metric, value, num_parameters, found)
