"""Writes exports, and compares them with the model, for `launch.export`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import export as export_lib
from core import scratch

from .. import finished_run, notes, programs, tasks
from ..files import json_files
from ..settings import typed_json
from . import formats as export_formats
from . import parity
from . import report as export_report

REPORT = 'parity.json'


@dataclasses.dataclass(frozen=True)
class Options:
  """How to export.

  Attributes:
    output_dir: The folder of the exports.
    formats: Names of `export_formats.FORMATS`.
    quantize: How to quantize the TF Lite model. Default: no quantization.
    may_leave_out: Whether to skip a format that does not support the model,
      instead of failing.
    calibration_examples: The number of training examples that calibrate int8.
    runtime: The files of onnxruntime that a page needs.
  """

  output_dir: pathlib.Path
  formats: Sequence[str]
  quantize: str | None = None
  may_leave_out: bool = False
  calibration_examples: int = 256
  runtime: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


def export(run: finished_run.Run, options: Options) -> int:
  """Exports a run's model, in all given formats or none.

  The files are written to a scratch folder, compared there, and then moved.

  Returns:
    The exit code.

  Raises:
    UserError: If a format does not support the model.
    Failure: If an export differs from the model. Then none is kept.
  """
  target = options.output_dir
  for name in options.formats:
    _check_replaceable(target, export_formats.FORMATS[name])
  described, reference = _reference(run, options.formats)
  contents = export_formats.Contents(
      module=described.module
      or export_lib.Function(
          run.model,
          described.function,
          described.signature,
          described.label_names,
      ),
      quantize=options.quantize,
      calibration=_calibration(run, described, options),
      runtime=options.runtime,
      title=' on '.join(
          typed_json.name_of(part)
          for part in (run.config.model, run.config.dataset)
          if part is not None  # Tasks may have their own model.
      ),
      inputs=reference.inputs[0],
      outputs=reference.columns[0],
  )
  before: dict[str, Any] = {}
  with contextlib.suppress(programs.UserError):  # It will be replaced.
    before = _known(target)
  quantize = options.quantize
  if 'tflite' not in options.formats:
    quantize = before.get('quantize')
  is_new = not target.exists()
  try:
    os.makedirs(target, exist_ok=True)
    with scratch.folder('.export_', target) as folder:
      written = _write(contents, options, folder)
      report = export_report.compare(
          run, described, reference, written, quantize
      )
      if contents.calibration:
        report['calibration'] = {
            'split': 'train',
            'num_examples': len(contents.calibration),
            'seed': run.config.seed,
        }
      export_report.show(report, reference)
      if wrong := export_report.wrong(report):
        raise programs.Failure(f'{wrong}; nothing is kept.')
      _put_in_place(folder, written, target)
    for file, facts in before.get('files', {}).items():
      if (target / file).exists():  # `verify` compares it, too.
        report['files'].setdefault(file, facts)
    json_files.write(target / REPORT, report)
  except (FileExistsError, NotADirectoryError) as error:
    raise programs.UserError(f'--output_dir={target}: {error}') from error
  except tf.errors.OpError as error:
    raise programs.Failure(
        f'--output_dir={target}: {programs.reason(error)}.'
    ) from error
  finally:
    if is_new:
      with contextlib.suppress(OSError):  # It is not empty.
        target.rmdir()
  print(f'{run.checkpoint}; {target / REPORT}')
  return 0


def verify(run: finished_run.Run, options: Options) -> int:
  """Compares existing exports with the model, without writing anything.

  Without formats in the options, it compares all exports.

  Returns:
    The exit code.

  Raises:
    UserError: If an export does not exist.
    Failure: If an export differs from the model, or from its hash in
      parity.json.
  """
  target = options.output_dir
  there = {
      name: target / each.file
      for name, each in export_formats.FORMATS.items()
      if (target / each.file).exists()
  }
  wanted = list(options.formats or there)
  missing = [name for name in wanted if name not in there]
  if missing or not wanted:
    raise programs.UserError(
        f'--verify: {target} has no {missing[0] if missing else "export"}.'
    )
  known = _known(target)
  described, reference = _reference(run, wanted)
  report = export_report.compare(
      run,
      described,
      reference,
      {name: there[name] for name in wanted},
      known.get('quantize'),
      known.get('files', {}),
  )
  export_report.show(report, reference)
  if wrong := export_report.wrong(report):
    before = known.get('step', run.step)
    then = f'; they were made at step {before}' if before != run.step else ''
    raise programs.Failure(
        f'{wrong}; compared with {run.checkpoint}, step {run.step}{then}.'
    )
  print(f'{run.checkpoint}; {target}: verified')
  return 0


def _known(target: pathlib.Path) -> dict[str, Any]:
  """Reads parity.json; empty if there is none."""
  path = target / REPORT
  text = json_files.read(path)
  return json_files.decode(path, text) if text else {}


def _reference(
    run: finished_run.Run, formats: Sequence[str]
) -> tuple[tasks.Export, parity.Reference]:
  """Computes the model's outputs, which exports are compared with.

  Raises:
    UserError: If the formats include int8, and no metric can be computed.
  """
  described = run.experiment.task.export()
  # Without a test split, exports are compared on the training split.
  split = 'test' if 'test' in run.dataset.num_examples else 'train'
  reference = parity.Reference(run, split, list(described.signature))
  if export_formats.INT8 in formats and reference.metric is None:
    raise programs.UserError(
        f'--formats={export_formats.INT8}: it is judged by the metric of the '
        'task, which cannot be computed from what `predict` returns; override '
        '`Task.predictions`.'
    )
  return described, reference


def _calibration(
    run: finished_run.Run, described: tasks.Export, options: Options
) -> list[dict[str, np.ndarray]]:
  """Returns inputs of training examples, chosen by the run's seed."""
  if export_formats.INT8 not in options.formats:
    return []
  data = run.dataset.split('train')
  size = min(options.calibration_examples, data.num_examples)
  [keys] = data.epochs(run.config.seed, 0, size).take(1)
  loaded = data.load(keys)
  arrays = {name: loaded[name].numpy() for name in described.signature}
  return [
      {name: array[i : i + 1] for name, array in arrays.items()}
      for i in range(size)
  ]


def _check_replaceable(target: pathlib.Path, of: export_formats.Format) -> None:
  """Raises UserError if an export would replace something else."""
  path = target / of.file
  if not os.path.lexists(path):
    return
  is_folder = path.is_dir() and not path.is_symlink()
  is_export = is_folder == (of.contents is not None)
  if is_folder and of.contents is not None:
    is_export = set(os.listdir(path)) <= of.contents
  if not is_export:
    raise programs.UserError(
        f'--output_dir={target}: {path} is something other than an export; '
        'give a new directory, or remove it yourself.'
    )


def _write(
    contents: export_formats.Contents, options: Options, folder: pathlib.Path
) -> dict[str, pathlib.Path]:
  """Writes the formats into a folder; returns their paths."""
  written: dict[str, pathlib.Path] = {}
  for name in options.formats:
    each = export_formats.FORMATS[name]
    path = folder / each.file
    try:
      with notes.withheld(but=ValueError):
        each.write(contents, str(path))
    except export_lib.UnsupportedError as error:
      if not options.may_leave_out:
        raise programs.UserError(
            f'--formats={name}: {error} --formats=saved_model supports it.'
        ) from None
      print(f'{each.file} is left out: {error}')
      continue
    written[name] = path
  return written


def _put_in_place(
    folder: pathlib.Path,
    written: Mapping[str, pathlib.Path],
    target: pathlib.Path,
) -> None:
  """Moves new exports to their places, and old ones away."""
  (target / REPORT).unlink(missing_ok=True)  # It describes the old ones.
  for path in written.values():
    place = target / path.name
    if place.is_dir():
      place.rename(folder / f'old_{path.name}')
    path.replace(place)
