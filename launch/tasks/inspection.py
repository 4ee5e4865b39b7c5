"""The examples that a report shows, and the sections of its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import objectives

SCORE = 'score'
Kept = Mapping[str, np.ndarray]
"""A column ``[num_examples, ...]`` per name in `Inspection.kept`."""


@dataclasses.dataclass(frozen=True)
class Section:
  """A section of a report's page: any of text, a table, and figures.

  Attributes:
    title: Its heading.
    text: Its text; an empty line ends a paragraph.
    headers: The headers of a table.
    rows: Its rows of text and numbers. The page shows the first ones.
    figures: A matplotlib Figure, or a function that draws one, for each file of
      report/.
  """

  title: str
  text: str = ''
  headers: Sequence[str] = ()
  rows: Sequence[Sequence[Any]] = ()
  figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Inspection:
  """Chooses the examples that a report shows, and describes all of them.

  This class suits any task: it shows the examples with the largest loss, and
  the predictions of the task.

  Attributes:
    title: The heading of the examples that are shown.
    shown: The columns to show of each, in addition to its features.
    kept: The columns to keep of every example, for `sections`.
    needs_validation: Whether to keep those of the validation split as well.
  """

  title: str = 'Examples with the largest loss'
  shown: tuple[str, ...] = ('prediction', 'loss')
  kept: tuple[str, ...] = ()
  needs_validation: bool = False

  def columns(
      self, batch: objectives.Batch, evaluation: objectives.Evaluation
  ) -> dict[str, tf.Tensor]:
    """Computes columns of each example, inside a `tf.function`.

    Args:
      batch: A batch.
      evaluation: Its evaluation by the objective.

    Returns:
      Columns ``[batch_size, ...]``. One is `score`, a float: examples with the
      largest scores are shown, those with minus infinity never. Without a
      column `prediction`, the columns of `Task.predict` are shown.
    """
    del batch
    values = tf.cast(evaluation.values, tf.float32)
    loss = tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
    return {SCORE: loss, 'loss': loss}

  def sections(self, kept: Mapping[str, Kept]) -> Sequence[Section]:
    """Describes all examples.

    Args:
      kept: The kept columns by split, starting with the split whose examples
        are shown. Of very large splits, only the first examples are kept.

    Returns:
      Sections of the page.
    """
    del kept
    return ()


def logits_of(outputs: Any) -> tf.Tensor:
  """Returns the logits of a model's outputs in float32."""
  logits = outputs['logits'] if isinstance(outputs, Mapping) else outputs
  return tf.cast(logits, tf.float32)


def labels_of(
    batch: objectives.Batch, evaluation: objectives.Evaluation
) -> tf.Tensor:
  """Returns the labels that predictions are compared with."""
  return batch['label'] if evaluation.labels is None else evaluation.labels
