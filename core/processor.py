"""The instruction sets of the CPU, and TensorFlow's use of oneDNN.

This module must not import TensorFlow, which reads its settings on import.
"""

from __future__ import annotations

import functools
import os
import pathlib

_DESCRIPTION = pathlib.Path('/proc/cpuinfo')
# Linux's names of instruction sets that multiply in a dtype.
_PRODUCTS = {
    'bfloat16': ('avx512_bf16', 'amx_bf16'),
    'float16': ('avx512_fp16', 'amx_fp16'),
}


@functools.cache
def features() -> frozenset[str]:
  """Lists the instruction sets of the CPU.

  Returns:
    Names as Linux reports them, such as `avx2`; empty on other systems.
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
  """Returns whether the CPU multiplies natively in a dtype.

  Other dtypes are emulated: a convolutional network took six times as long in
  bfloat16 as in float32 on an AMD EPYC with AVX2 only.

  Args:
    dtype: `float32`, `bfloat16` or `float16`.

  Returns:
    True for float32; for half precision, whether there are instructions for it,
    which can be detected only on x86 under Linux.
  """
  return dtype == 'float32' or not features().isdisjoint(_PRODUCTS[dtype])


def use_onednn() -> None:
  """Enables TensorFlow's oneDNN kernels on CPUs with AVX2.

  By default TensorFlow uses them only on CPUs with instructions for neural
  networks (AVX-512 VNNI and later). On an AMD EPYC with AVX2 only, they made
  training of convolutional networks 1.4 to 1.9 times as fast.

  Call this before importing TensorFlow, which then reads TF_ENABLE_ONEDNN_OPTS.
  A value set by the user is kept.

  With AVX2 only, one kernel is wrong in TensorFlow 2.21: the filter gradient of
  a strided 1x1 convolution of images with less than 8 channels writes out of
  bounds. `layers.Conv2D` and the models of this library do not call it;
  `snt.Conv2D` and `tf.nn.conv2d` do.
  """
  if 'avx2' in features():
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
