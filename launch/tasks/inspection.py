"""What a report's page says of single examples, and the parts of the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from core import objectives

SCORE = 'score'
Kept = Mapping[str, np.ndarray]
"""A column ``[num_examples, ...]`` for each name of `Inspection.kept`."""


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of a report's page: text, a table, figures; any may be left out.

  Attributes:
    title: Its heading.
    text: What it says; an empty line ends a paragraph.
    headers: The headers of a table.
    rows: Its rows: text and numbers. The page shows the first ones.
    figures: A Figure of matplotlib for each file of report/, or a function that
      draws it.
  """

  title: str
  text: str = ''
  headers: Sequence[str] = ()
  rows: Sequence[Sequence[Any]] = ()
  figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Inspection:
  """Which examples a report shows, and what it says of all of them.

  This one serves any task: it shows the examples with the largest loss, and
  what the task predicts of them.

  Attributes:
    title: The heading of the examples that are shown.
    shown: The columns that are shown of each, besides its features.
    kept: The columns that are kept of every example, for `sections`.
    needs_validation: Whether they are kept of the validation split as well.
  """

  title: str = 'Examples with the largest loss'
  shown: tuple[str, ...] = ('prediction', 'loss')
  kept: tuple[str, ...] = ()
  needs_validation: bool = False

  def columns(
      self, batch: objectives.Batch, evaluation: objectives.Evaluation
  ) -> dict[str, tf.Tensor]:
    """Computes what is known of each example; runs inside a `tf.function`.

    Args:
      batch: A batch.
      evaluation: What the objective made of it.

    Returns:
      Columns ``[batch_size, ...]``. One is `score`, a float: those with the
      largest are shown, those with minus infinity never. Without a column
      `prediction`, what `Task.predict` returns is shown.
    """
    del batch
    values = tf.cast(evaluation.values, tf.float32)
    loss = tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
    return {SCORE: loss, 'loss': loss}

  def sections(self, kept: Mapping[str, Kept]) -> Sequence[Section]:
    """Says something of all examples.

    Args:
      kept: The columns that are kept, by split: first the one that examples are
        shown of. Of very large splits only the first examples are there.

    Returns:
      Parts of the page.
    """
    del kept
    return ()


def logits_of(outputs: Any) -> tf.Tensor:
  """Takes the logits out of a model's outputs, in float32."""
  logits = outputs['logits'] if isinstance(outputs, Mapping) else outputs
  return tf.cast(logits, tf.float32)


def labels_of(
    batch: objectives.Batch, evaluation: objectives.Evaluation
) -> tf.Tensor:
  """Returns what predictions are compared with."""
  return batch['label'] if evaluation.labels is None else evaluation.labels
