"""Reads a trace of TensorFlow's profiler: copies, and what takes the time."""

from __future__ import annotations

import collections
import pathlib

from tensorflow.tsl.profiler.protobuf import xplane_pb2

_NUM_SHOWN = 8
_PICOSECONDS = 1e12


def summary(run: pathlib.Path, num_steps: int) -> str:
  """Summarizes the trace of a run.

  Args:
    run: The work directory of a run with `--profile_steps`.
    num_steps: The number of steps in the trace.

  Returns:
    Of the devices: copies per step by kind, the time that kernels take per
    step, and the longest kernels, with their shares of it.
  """
  paths = sorted(run.rglob('*.xplane.pb'))
  if not paths:
    return 'there is no trace'
  copies: collections.Counter[str] = collections.Counter()
  kernels: collections.Counter[str] = collections.Counter()
  for path in paths:
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
      if not plane.name.startswith('/device:GPU'):
        continue
      for line in plane.lines:
        if not line.name.startswith('Stream'):
          continue
        for event in line.events:
          name = plane.event_metadata[event.metadata_id].name
          if name.startswith(('Memcpy', 'Memset')):
            copies[name] += 1
          else:
            kernels[name] += event.duration_ps
  if not copies and not kernels:
    return 'the trace has no device'
  total = sum(kernels.values())
  of_copies = ', '.join(
      f'{number / num_steps:.2f} {name}' for name, number in copies.items()
  )
  of_kernels = ', '.join(
      f'{name[:60]} {share / total:.0%}'
      for name, share in kernels.most_common(_NUM_SHOWN)
  )
  return (
      f'per step {of_copies or "no copy"}; kernels '
      f'{total / _PICOSECONDS / num_steps * 1e3:.3f} ms: {of_kernels}'
  )
