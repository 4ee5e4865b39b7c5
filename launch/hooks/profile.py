"""Traces steps with TensorFlow's profiler."""

from __future__ import annotations

import collections
import glob
import json
import os
from collections.abc import Mapping, Sequence

import tabulate
import tensorflow as tf

from .. import loop, programs

_NUM_OPERATIONS = 5
_OF_XLA = '__inference_'  # Prefix of the names of programs compiled by XLA.


class Profile(loop.Hook):
  """Traces the steps of `--profile_steps`, on the chief."""

  name = 'profile'

  def __init__(
      self,
      steps: tuple[int, int] | None,
      directory: str,
      now: loop.Now,
      *,
      is_chief: bool,
  ):
    """Sets the range of steps.

    Args:
      steps: The numbers of steps before the trace and at its end. If None,
        nothing is traced.
      directory: Where TensorBoard looks for traces.
      now: The progress of the run.
      is_chief: Whether this worker traces. The others only end their calls of
        the graph at the same steps.

    Raises:
      UserError: If the run is shorter.
    """
    if steps and steps[1] > now.at.num_steps:
      raise programs.UserError(
          f'--profile_steps={steps[0]}:{steps[1]}: the run has '
          f'{now.at.num_steps} steps.'
      )
    self._steps = steps or (0, 0)
    self._directory = directory
    self._now = now
    self._is_chief = is_chief
    self._first: int | None = None  # The step before a running trace.

  def next(self, step: int) -> int:
    """Returns where to end the next call of the graph; starts the trace.

    It is called right before the graph, after the work of other hooks.
    """
    first, last = self._steps
    if step < first:
      return first
    if step >= last:
      return self._now.at.num_steps
    if self._first is None and self._is_chief:
      self._start(step)
    return last

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Ends the trace after its last step."""
    if step >= self._steps[1]:
      self.end(step)

  def end(self, step: int) -> None:
    """Writes the running trace, if there is one, and reports its path."""
    if self._first is None:
      return
    first, self._first = self._first, None
    try:
      tf.profiler.experimental.stop()
    except (OSError, tf.errors.OpError) as error:
      programs.warn(f'--profile_steps: {programs.reason(error)}.')
      return
    folder = os.path.join(self._directory, 'plugins', 'profile')
    trace = max(glob.glob(os.path.join(folder, '*', '')), default=folder)
    lines = [
        f'--profile_steps: steps {first + 1} to {step} are traced in {trace}; '
        f'tensorboard --logdir={self._directory} shows them once pip install '
        'tensorboard-plugin-profile has added its tab.'
    ]
    rows = operations(glob.glob(os.path.join(trace, '*.xplane.pb')))
    if rows and rows[0][0].startswith(_OF_XLA):
      lines.append(
          'XLA compiled these steps into one program, which a trace on a CPU '
          'does not take apart; --jit_compile=off shows operations.'
      )
    elif rows:
      headers = (f'of {step - first} steps, longest', 'on', 'ms', 'share')
      lines.append(tabulate.tabulate(rows, headers, disable_numparse=True))
    self._now.say('\n'.join(lines) + '\n')

  def close(self) -> None:
    """Drops a trace that was interrupted by an error."""
    if self._first is not None:
      self._first = None
      tf.profiler.experimental.stop(save=False)

  def _start(self, step: int) -> None:
    try:
      tf.profiler.experimental.start(self._directory)
    except (OSError, tf.errors.OpError) as error:  # Another trace is running.
      programs.warn(f'--profile_steps: {programs.reason(error)}.')
      self._steps = (0, 0)
    else:
      self._first = step


def operations(paths: Sequence[str]) -> list[tuple[str, str, str, str]]:
  """Returns the kinds of operations that took most time in a trace.

  Args:
    paths: The files of the trace.

  Returns:
    The kind of each operation, its device, its milliseconds and its share of
    the total; empty if this version of TensorFlow cannot read traces.
  """
  try:
    from tensorflow.python.profiler.internal import _pywrap_profiler_plugin

    text, is_whole = _pywrap_profiler_plugin.xspace_to_tools_data(
        list(paths), 'framework_op_stats'
    )
    # The first table includes idle time.
    table = json.loads(text)[-1] if is_whole else {'cols': [], 'rows': []}
  except (ImportError, AttributeError, ValueError, tf.errors.OpError):
    return []  # No public module reads traces.
  names = [column['id'] for column in table['cols']]
  spent: collections.Counter[tuple[str, str]] = collections.Counter()
  for each in table['rows']:
    row = dict(zip(names, (cell['v'] for cell in each['c']), strict=True))
    spent[row['type'], row['host_or_device']] += row['total_self_time'] / 1e3
  total = sum(spent.values())
  return [
      (kind, where, f'{milliseconds:.2f}', f'{milliseconds / total:.0%}')
      for (kind, where), milliseconds in spent.most_common(_NUM_OPERATIONS)
  ]
