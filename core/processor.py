"""What the CPU of this machine computes with, and TensorFlow's use of it.

TensorFlow is not imported here: it reads its setting when it is.
"""

from __future__ import annotations

import functools
import os
import pathlib

_DESCRIPTION = pathlib.Path('/proc/cpuinfo')
# Instructions, as Linux names them, that multiply in a type.
_PRODUCTS = {
    'bfloat16': ('avx512_bf16', 'amx_bf16'),
    'float16': ('avx512_fp16', 'amx_fp16'),
}


@functools.cache
def features() -> frozenset[str]:
  """Lists the instruction sets of the processor.

  Returns:
    Names as Linux has them, such as `avx2`; none on another system.
  """
  try:
    lines = _DESCRIPTION.read_text().splitlines()
  except OSError:
    return frozenset()
  return frozenset(
      word
      for line in lines
      if line.startswith(('flags', 'Features'))  # x86, ARM
      for word in line.partition(':')[2].split()
  )


def multiplies_in(dtype: str) -> bool:
  """Returns whether the processor has products in a type.

  A type that it lacks is emulated: a convolutional network took six times as
  long in bfloat16 as in float32, on an AMD EPYC with AVX2 alone.

  Args:
    dtype: `float32`, `bfloat16` or `float16`.

  Returns:
    True for float32; for half precision, whether there are instructions for it,
    which is known of x86 on Linux.
  """
  return dtype == 'float32' or not features().isdisjoint(_PRODUCTS[dtype])


def use_onednn() -> None:
  """Has TensorFlow take oneDNN's kernels on each CPU that has AVX2.

  By itself it does so only where there are instructions for neural networks
  (AVX-512 VNNI and later). Convolutional networks were trained 1.4 to 1.9 times
  as fast with oneDNN on an AMD EPYC with AVX2 alone.

  Call it before TensorFlow is imported: that is when TF_ENABLE_ONEDNN_OPTS is
  read. What the user has set stays.

  With AVX2 alone one of these kernels is wrong (TensorFlow 2.21): the filters'
  gradient of a 1x1 convolution that skips pixels in images of less than 8
  channels. It writes beyond its memory. `layers.Conv2D`, and the models of this
  library, do not call it; `snt.Conv2D` and `tf.nn.conv2d` do.
  """
  if 'avx2' in features():
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
