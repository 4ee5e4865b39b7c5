"""What `launch.export` does: write files, and compare them with the model."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tabulate
import tensorflow as tf

from core import export as export_lib
from pipelines import batches

from . import finished_run, json_files, programs

_BATCH_SIZE = 250


def export(
    run: finished_run.Run,
    formats: Sequence[str],
    *,
    output_dir: str,
    quantize: str | None,
) -> int:
  """Exports a run's model in some formats.

  Args:
    run: The run.
    formats: `saved_model`, `tflite` or both.
    output_dir: Where to write.
    quantize: How to quantize the TF Lite model; None is not at all.

  Returns:
    The exit code: 1 if an unquantized export is not the same model.
  """
  data = run.experiment.data
  classifier = export_lib.Classifier(
      run.model, run.experiment.preprocess, data.image_shape, data.label_names
  )
  # A set without a test split is compared on what it has.
  split = 'test' if 'test' in run.dataset.num_examples else 'train'
  runners = {}
  try:
    os.makedirs(output_dir, exist_ok=True)
    if 'saved_model' in formats:
      path = os.path.join(output_dir, 'saved_model')
      export_lib.save_saved_model(classifier, path)
      runners[path] = export_lib.saved_model_runner(path)
    if 'tflite' in formats:
      path = os.path.join(output_dir, 'model.tflite')
      export_lib.save_tflite(classifier, path, quantize=quantize)
      runners[path] = export_lib.tflite_runner(path)
  except tf.errors.OpError as error:
    raise programs.Failure(
        f'--output_dir={output_dir}: {programs.reason(error)}.'
    ) from error
  except (FileExistsError, NotADirectoryError, ValueError) as error:
    raise programs.UserError(f'--output_dir={output_dir}: {error}') from error
  report = _compare(run, split, runners, quantize)
  _show(report)
  path = os.path.join(output_dir, 'parity.json')
  json_files.write(pathlib.Path(path), report)
  print(f'{run.checkpoint}; {path}')
  return 0 if all(row['agrees'] for row in report['exports']) else 1


def _compare(
    run: finished_run.Run,
    split: str,
    runners: dict[str, export_lib.Runner],
    quantize: str | None,
) -> dict[str, Any]:
  """Runs all images of a split through the model and through each export."""
  reference = _probabilities(run, split, _python_runner(run))
  rows = []
  for path, runner in runners.items():
    for kind, convert in (('uint8', _raw), ('float32', _scaled)):
      candidate = _probabilities(run, split, _after(convert, runner))
      parity = export_lib.compare(reference, candidate)
      is_quantized = quantize is not None and path.endswith('.tflite')
      rows.append({
          'path': path,
          'input': kind,
          **parity._asdict(),
          'limit': None if is_quantized else export_lib.PARITY_LIMIT,
          'agrees': is_quantized or parity.within(),
      })
  return {
      'checkpoint': run.checkpoint,
      'step': run.step,
      'split': split,
      'exports': rows,
  }


def _python_runner(run: finished_run.Run) -> Callable[[Any], np.ndarray]:
  """The model as training has it: through the objective's own inputs."""

  @tf.function
  def probabilities(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    evaluation = run.experiment.full_precision_objective(
        run.model, batch, None, is_training=False
    )
    return tf.nn.softmax(evaluation.predictions)

  def runner(images: tf.Tensor) -> np.ndarray:
    count = images.shape[0]
    batch = {
        'image': images,
        'label': tf.zeros([count], tf.int32),
        'weight': tf.ones([count]),
    }
    return probabilities(batch).numpy()

  return runner


def _probabilities(
    run: finished_run.Run, split: str, runner: Callable[[Any], np.ndarray]
) -> np.ndarray:
  return np.concatenate(
      [runner(images)[real] for images, real in _images(run, split)]
  )


def _images(
    run: finished_run.Run, split: str
) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
  """Yields batches of uint8 images, and which of them are no padding."""
  dataset = batches.eval_batches(
      run.dataset.split(split), global_batch_size=_BATCH_SIZE
  )
  for batch in dataset:
    yield batch['image'], batch['weight'].numpy() > 0


def _after(
    convert: Callable[[tf.Tensor], np.ndarray], runner: export_lib.Runner
) -> export_lib.Runner:
  return lambda images: runner(convert(images))


def _raw(images: tf.Tensor) -> np.ndarray:
  return images.numpy()


def _scaled(images: tf.Tensor) -> np.ndarray:
  return images.numpy().astype(np.float32) / np.float32(255)


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
              'export', 'input', 'largest difference', 'other class',
              f'{report["split"]} images', 'agrees',
          ],
          disable_numparse=True,
      )
  )
