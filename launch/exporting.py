"""What `launch.export` does: write files, and compare them with the model."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from core import export as export_lib
from pipelines import batches

from . import finished_run, json_files, programs, tasks

_BATCH_SIZE = 250
Columns = dict[str, np.ndarray]


def export(
    run: finished_run.Run,
    formats: Sequence[str],
    *,
    output_dir: str,
    quantize: str | None,
    may_leave_out: bool = False,
) -> int:
  """Exports a run's model in some formats.

  Args:
    run: The run.
    formats: `saved_model`, `tflite` or both.
    output_dir: Where to write.
    quantize: How to quantize the TF Lite model; None is not at all.
    may_leave_out: Whether a model that TF Lite cannot hold is exported in the
      other format alone.

  Returns:
    The exit code: 1 if an unquantized export is not the same model.
  """
  described = run.experiment.task.export()
  module = described.module or export_lib.Function(
      run.model, described.function, described.signature, described.label_names
  )
  # A set without a test split is compared on what it has.
  split = 'test' if 'test' in run.dataset.num_examples else 'train'
  runners = {}
  try:
    os.makedirs(output_dir, exist_ok=True)
    if 'saved_model' in formats:
      path = os.path.join(output_dir, 'saved_model')
      export_lib.save_saved_model(module, path)
      runners[path] = export_lib.saved_model_function(path)
    if 'tflite' in formats:
      path = os.path.join(output_dir, 'model.tflite')
      try:
        export_lib.save_tflite(module, path, quantize=quantize)
        runners[path] = export_lib.tflite_function(path)
      except export_lib.UnsupportedError as error:
        if not may_leave_out or not runners:
          raise programs.UserError(
              f'--formats=tflite: {error} --formats=saved_model does without.'
          ) from None
        print(f'{path} is left out: {error}')
  except tf.errors.OpError as error:
    raise programs.Failure(
        f'--output_dir={output_dir}: {programs.reason(error)}.'
    ) from error
  except (FileExistsError, NotADirectoryError, ValueError) as error:
    raise programs.UserError(f'--output_dir={output_dir}: {error}') from error
  report = _compare(run, split, described, runners, quantize)
  _show(report)
  path = os.path.join(output_dir, 'parity.json')
  json_files.write(pathlib.Path(path), report)
  print(f'{run.checkpoint}; {path}')
  return 0 if all(row['agrees'] for row in report['exports']) else 1


def _compare(
    run: finished_run.Run,
    split: str,
    described: tasks.Export,
    runners: Mapping[str, Callable[[Columns], Columns]],
    quantize: str | None,
) -> dict[str, Any]:
  """Runs all examples of a split through the model and through each export."""
  names = list(described.signature)
  inputs = [_real(batch, names) for batch in _batches(run, split)]
  predict = tf.function(run.experiment.task.predict, autograph=False)
  reference = _joined(
      {name: value.numpy() for name, value in predict(given).items()}
      for given in inputs
  )
  rows = []
  for path, runner in runners.items():
    for kind, convert in _kinds(described).items():
      candidate = _joined(runner(convert(given)) for given in inputs)
      is_quantized = quantize is not None and path.endswith('.tflite')
      parity = _parity(reference, candidate)
      limit = None if is_quantized else export_lib.PARITY_LIMIT
      rows.append({
          'path': path,
          'input': kind,
          **parity,
          'limit': limit,
          'agrees': limit is None or parity['max_difference'] <= limit,
      })
  return {
      'checkpoint': run.checkpoint,
      'step': run.step,
      'split': split,
      'exports': rows,
  }


def _kinds(
    described: tasks.Export,
) -> dict[str, Callable[[Columns], Columns]]:
  """Returns in which forms the inputs are given, by what a report calls it."""
  if described.module is None:
    return {', '.join(described.signature): lambda inputs: inputs}
  return {'uint8': lambda inputs: inputs, 'float32': _scaled}


def _scaled(inputs: Columns) -> Columns:
  return {
      name: value.astype(np.float32) / np.float32(255)
      for name, value in inputs.items()
  }


def _batches(
    run: finished_run.Run, split: str
) -> Iterator[dict[str, tf.Tensor]]:
  dataset = batches.eval_batches(
      run.dataset.split(split), global_batch_size=_BATCH_SIZE
  )
  yield from dataset


def _real(batch: Mapping[str, tf.Tensor], names: Sequence[str]) -> Columns:
  """Returns inputs, less the examples that are padding."""
  is_real = batch['weight'].numpy() > 0
  return {name: batch[name].numpy()[is_real] for name in names}


def _joined(parts: Iterator[Columns]) -> Columns:
  """Joins the columns of batches; those of strings are left out."""
  gathered = list(parts)
  return {
      name: np.concatenate([part[name] for part in gathered])
      for name, value in gathered[0].items()
      if np.issubdtype(value.dtype, np.number) or value.dtype == bool
  }


def _parity(reference: Columns, candidate: Columns) -> dict[str, Any]:
  """Compares the columns that both have.

  Differences of numbers are relative to the largest number of their column, if
  that is above 1.

  Raises:
    UserError: If there are no numbers to compare.
  """
  shared = [name for name in reference if name in candidate]
  floats = [n for n in shared if np.issubdtype(reference[n].dtype, np.floating)]
  if not shared:
    raise programs.UserError(
        'export: no output has numbers, so that nothing can be compared.'
    )
  size = len(reference[shared[0]])
  differences = [np.zeros([1])]
  differs = np.zeros([size], bool)
  for name in shared:
    one, other = reference[name], candidate[name]
    if name in floats:
      scale = max(1.0, float(np.max(np.abs(one), initial=0)))
      apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
      differences.append(np.ravel(apart / scale))
    else:
      differs |= (one != other).reshape([size, -1]).any(axis=1)
  if not floats:  # Whole numbers are the same, or not.
    differences.append(differs.astype(np.float64))
  apart = np.concatenate(differences[1:])
  return {
      'num_examples': size,
      'max_difference': float(apart.max()),
      'mean_difference': float(apart.mean()),
      'num_disagreements': int(differs.sum()),
  }


def _show(report: dict[str, Any]) -> None:
  """Prints the parity report as a table."""
  print(
      tabulate.tabulate(
          [
              [
                  row['path'],
                  row['input'],
                  f'{row["max_difference"]:.1e}',
                  row['num_disagreements'],
                  f'{row["num_examples"]:,}',
                  'yes' if row['agrees'] else 'NO',
              ]
              for row in report['exports']
          ],
          headers=[
              'export', 'input', 'largest difference', 'other answer',
              f'{report["split"]} examples', 'agrees',
          ],
          disable_numparse=True,
      )
  )
