"""Functions of datasets without AutoGraph.

Its conversion would take most of the time in which a streamed run starts, and
leaves a file for each function where a process is killed. What a dataset calls
is written with TensorFlow's operations, as a train step is.
"""

from __future__ import annotations

import tensorflow as tf

off = tf.autograph.experimental.do_not_convert
