"""What TensorBoard itself shows of a directory."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator


def read(directory: str) -> dict[str, dict[int, Any]]:
  """Returns the value at each step, by tag.

  Raises:
    AssertionError: If a step has two values.
  """
  board = plugin_event_accumulator.EventAccumulator(
      str(directory), tensor_size_guidance={}, size_guidance={'tensors': 0}
  )
  board.Reload()
  found: dict[str, dict[int, Any]] = {}
  for tag in board.Tags()['tensors']:
    events = board.Tensors(tag)
    found[tag] = {
        event.step: tf.make_ndarray(event.tensor_proto) for event in events
    }
    assert len(found[tag]) == len(events), (tag, [e.step for e in events])
  return found
