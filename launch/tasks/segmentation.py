"""One class per pixel of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tabulate
import tensorflow as tf

from core import losses, metrics, objectives
from core.metrics import confusion as counting
from core.metrics import rates
from pipelines import spec as spec_lib

from .. import config as config_lib
from .. import data as data_lib
from .. import programs
from . import (
    class_weights,
    confusion,
    features,
    inspection,
    making,
    overlaps,
)
from . import task as task_lib

DEFAULT_LOSS = 'softmax_cross_entropy'
LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    'dice_loss': losses.dice_loss,
    'softmax_cross_entropy': losses.softmax_cross_entropy,
    'softmax_focal_loss': losses.softmax_focal_loss,
    'tversky_loss': losses.tversky_loss,
}


class Segmentation(task_lib.Task):
  """Assigns a class to each pixel of an image."""

  def __init__(self, data: data_lib.DataSpec, **parts: Any):
    """Takes the description of the data, and the parts of a task."""
    num_classes = data.target.num_classes
    matrix = metrics.confusion_matrix(num_classes)
    super().__init__(
        train_metric=metrics.collection({'pixel_accuracy': metrics.accuracy()}),
        eval_metric=metrics.collection({
            'pixel_accuracy': metrics.accuracy(),
            'mean_iou': metrics.mean_iou(num_classes),
            'iou': matrix._replace(compute=_iou),
            'confusion_matrix': matrix,
        }),
        example_batch=data.spec.zeros(),
        monitor='mean_iou',
        direction='max',
        targets=data.spec.targets,
        **parts,
    )
    self._names = data.target.class_names
    self.inspection = overlaps.OfMasks(num_classes)

  def report(self, values: Mapping[str, Any]) -> task_lib.Report:
    """Reports intersection over union per class."""
    if not {'iou', 'mean_iou', 'confusion_matrix'} <= values.keys():
      return super().report(values)  # The user chose other metrics.
    per_class = {
        label: {'iou': float(values['iou'][i])}
        for i, label in enumerate(self._names)
    }
    rows: list[Any] = [
        [confusion.shortened(name), row['iou']]
        for name, row in per_class.items()
    ]
    rows += [tabulate.SEPARATING_LINE, ['mean', values['mean_iou']]]
    counts = confusion.to_json(values['confusion_matrix'])
    return task_lib.Report(
        table=tabulate.tabulate(
            rows,
            headers=['class', 'intersection over union'],
            floatfmt='.4f',
            disable_numparse=[0],
        ),
        values={'per_class': per_class, 'confusion_matrix': counts},
        figures=confusion.figures(counts, self._names),
        sections=confusion.sections(counts, per_class, 'pixels'),
    )

  def predict(self, batch: objectives.Batch) -> dict[str, tf.Tensor]:
    """Predicts the class of each pixel.

    Args:
      batch: A batch; targets and weights are optional.

    Returns:
      `mask`, int32 ``[batch_size, height, width]``.
    """
    logits = inspection.logits_of(self.outputs(batch))
    return {'mask': tf.argmax(logits, axis=-1, output_type=tf.int32)}

  def predictions(
      self, columns: Mapping[str, tf.Tensor], like: Any
  ) -> Any | None:
    """Returns logits whose maximum is at the class of the mask."""
    del like
    return tf.one_hot(columns['mask'], len(self._names))


def _check_size(data: data_lib.DataSpec) -> None:
  """Raises UserError if masks and images differ in size."""
  for name, feature in data.spec.of_kind(spec_lib.IMAGE).items():
    if feature.shape[:2] != data.target.shape:
      raise programs.UserError(
          f'dataset: {spec_lib.LABEL!r} has masks of shape '
          f'{list(data.target.shape)}, {name!r} images of '
          f'{list(feature.shape)}; expected masks of {list(feature.shape[:2])}.'
      )


def make(data: data_lib.DataSpec, config: config_lib.Config) -> Segmentation:
  """Makes the task of a config; see `tasks.make`."""
  making.refuse_views(config, 'the mask of a view would be moved as well')
  _check_size(data)
  num_classes = data.target.num_classes
  model = making.model(config, data, num_classes)
  inputs = features.of_data(model, data)
  loss = class_weights.weighted(
      making.loss(
          config,
          LOSSES,
          DEFAULT_LOSS,
          **making.smoothing(config, LOSSES, DEFAULT_LOSS),
      ),
      class_weights.of(data, config),
  )
  return Segmentation(
      data,
      model=model,
      objective=objectives.supervised(
          making.for_classes(_over_pixels(loss), num_classes), inputs=inputs
      ),
      inputs=inputs,
  )


def _over_pixels(loss: objectives.Loss) -> objectives.Loss:
  """Averages a loss of pixels over each example."""

  def averaged(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    values = loss(labels, logits)
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))

  return averaged


def _iou(matrix: tf.Tensor) -> tf.Tensor:
  """Returns intersection over union per class, 0 for absent classes."""
  return rates.intersection_over_union(counting.counts(matrix))
