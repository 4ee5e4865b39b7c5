"""Functions of datasets without AutoGraph.

To convert them takes time when a streamed run starts, and leaves a file for
each function where a process is killed. What a dataset calls is written with
TensorFlow's operations, as a train step is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

_Function = TypeVar('_Function', bound=Callable[..., object])


def off(function: _Function) -> _Function:
  """Keeps AutoGraph from converting a function, and what that calls.

  Args:
    function: What is given to `tf.data.Dataset.map` and the like.

  Returns:
    The function, for which AutoGraph is off.
  """
  return tf.autograph.experimental.do_not_convert(function)
