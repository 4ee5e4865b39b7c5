"""Disables AutoGraph for the functions of datasets.

Converting them delays the start of streamed runs and, if the process is killed,
leaves one file per function behind. Like train steps, they are written with
TensorFlow operations and need no conversion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

_Function = TypeVar('_Function', bound=Callable[..., object])


def off(function: _Function) -> _Function:
  """Keeps AutoGraph from converting a function and those that it calls.

  Args:
    function: A function for `tf.data.Dataset.map` or similar.

  Returns:
    The function, with AutoGraph disabled.
  """
  return tf.autograph.experimental.do_not_convert(function)
