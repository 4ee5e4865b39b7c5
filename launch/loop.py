"""The loop of a run: training steps, and the hooks between them.

A hook returns the step at which it is to be called next, so that the graph
returns to Python only there. It is called with the step and the values, and may
end the run with a reason. Everything but the training steps is a hook.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from core import training, waits, workers

from . import interruption
from .training import call_length as call_length_lib
from .training import data_loops, periods


class Hook:
  """Something that happens between the steps of a run.

  Attributes:
    name: The name of the hook.
  """

  name: str
  # Whether a signal may interrupt its call. This hook and those after it are
  # then called again before the next step.
  listens = False

  def next(self, step: int) -> int:
    """Returns the step at which to call this hook next, given the current one.

    The graph takes steps in calls of at most half a second. A hook that returns
    the current step is called after each call, and does not cut it short.
    """
    return step

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Runs the hook.

    Args:
      step: The number of steps taken.
      values: Values by name, the same on every worker: those of the last row of
        metrics.jsonl at this step, or else means since the last row.

    Returns:
      A reason to end the run, or None to continue.
    """

  def before_save(self) -> None:
    """Updates the variables of the hook before a checkpoint is saved."""

  def end(self, step: int) -> None:
    """Finishes after the last step, a signal, or the end by a hook."""

  def close(self) -> None:
    """Releases resources, also after an error."""


@dataclasses.dataclass(frozen=True)
class Stopped:
  """The end of a run by a hook.

  Attributes:
    step: The step after which the hook ended the run.
    hook: The name of the hook.
    reason: The reason that the hook returned.
  """

  step: int
  hook: str
  reason: str


@dataclasses.dataclass
class Now:
  """The current state of a loop, which it shares with its hooks.

  Attributes:
    sums: The sums of the steps since the last row of metrics.
    at: The length of an epoch and of the run.
    call_length: The number of steps per call of the graph, and the speed.
    measure: Computes values from sums.
    say: Prints a message on the chief.
    step: The number of steps taken so far.
    values: See `Hook.__call__`.
    saved_step: The step of the last checkpoint that is on the disk, or -1.
    unsaved_secs: The duration of the steps since the last save or the start.
    settle: Waits until checkpoints are on the disk, and updates `saved_step`.
      All workers must call it, except with `alone=True`. It raises OSError if a
      file could not be written.
    stopped: The end of the run by a hook, if any.
    is_cut_short: Whether a signal interrupted the validation of this step. It
      and the hooks after it have not been called yet.
    seconds_in: The seconds spent so far in steps and in each hook, by name.
  """

  sums: training.Sums
  at: periods.Periods
  call_length: call_length_lib.CallLength
  measure: Callable[[training.Sums], dict[str, float]]
  say: Callable[[str], None]
  step: int = 0
  values: dict[str, float] = dataclasses.field(default_factory=dict)
  saved_step: int = -1
  unsaved_secs: float = 0.0
  settle: Callable[..., None] = lambda alone=False: None
  stopped: Stopped | None = None
  is_cut_short: bool = False
  seconds_in: dict[str, float] = dataclasses.field(
      default_factory=lambda: collections.defaultdict(float)
  )

  def what_is_saved(self) -> str:
    """Describes the saved progress and how to go on, for error messages."""
    with contextlib.suppress(OSError):  # The caller reports an earlier error.
      self.settle(alone=True)
    if self.saved_step < 0:
      saved, way_on = 'nothing is saved yet', 'starts anew'
    else:
      saved = f'step {self.saved_step} of {self.at.num_steps} is saved'
      way_on = 'goes on from there'
    return f'{saved}. Once that is fixed, the same command {way_on}.'


def run(
    state: training.TrainState,
    data_loop: data_loops.DataLoop,
    hooks: Sequence[Hook],
    now: Now,
) -> int:
  """Trains until the last step, a signal, or a hook that ends the run.

  Args:
    state: The state, which is trained in place.
    data_loop: Takes steps. No call crosses the end of an epoch.
    hooks: The hooks, in the order of their calls.
    now: The state of the loop, which is updated.

  Returns:
    The number of the signal that interrupted the run, or 0.
  """
  with contextlib.ExitStack() as stack:
    interrupted = stack.enter_context(interruption.Interruption())
    for hook in hooks:
      stack.callback(hook.close)
    number = 0
    if now.is_cut_short:
      number = _call(_after_cut(hooks, now.step), now)
    while now.step < now.at.num_steps and not (number or now.stopped):
      due = [hook.next(now.step) for hook in hooks]
      ahead = [at for at in due if at > now.step]
      end = min([now.at.next_epochs(now.step), *ahead])
      size = min(now.call_length.size, end - now.step)
      started = time.monotonic()
      with waits.waiting():
        now.sums, taken = data_loop(state, now.sums, now.step, size)
        now.step += int(taken)
        now.values = now.measure(now.sums)
      seconds = time.monotonic() - started
      what = 'steps' if now.call_length.is_warm else 'first_call'
      now.seconds_in[what] += seconds
      number = now.call_length.agree(seconds, size, interrupted.signal)
      now.unsaved_secs += now.call_length.last_seconds
      is_cut = now.step in ahead
      called = [
          hook for hook, at in zip(hooks, due, strict=True) if at <= now.step
      ]
      number = _call(called, now) or number
      # Hooks may take long, so check for signals again. With several workers,
      # all must check, so they do it where all have called a hook.
      if not number and (is_cut or now.call_length.is_alone):
        number = _anywhere(now, interrupted.signal)
    for hook in hooks:
      started = time.monotonic()
      hook.end(now.step)
      now.seconds_in[hook.name] += time.monotonic() - started
  # Signals after the last step, in its validation or save, count as well.
  return _anywhere(now, interrupted.signal)


def _anywhere(now: Now, number: int) -> int:
  """Returns a signal that any worker received; all workers must call this."""
  signals = workers.gather(now.call_length.strategy, [number])
  return max(each for (each,) in signals)


def _call(hooks: Sequence[Hook], now: Now) -> int:
  """Calls hooks; returns the signal that interrupted a validation, or 0."""
  now.is_cut_short = False
  for hook in hooks:
    started = time.monotonic()
    try:
      reason = hook(now.step, now.values)
    except interruption.InEvaluation as error:
      now.is_cut_short = True
      return error.number
    now.seconds_in[hook.name] += time.monotonic() - started
    if reason is not None and now.stopped is None:
      now.stopped = Stopped(now.step, hook.name, reason)
  return 0


def _after_cut(hooks: Sequence[Hook], step: int) -> list[Hook]:
  """Returns the hooks that were not called after an interrupted validation."""
  first = [hook.listens for hook in hooks].index(True)
  return [hook for hook in hooks[first:] if hook.next(step - 1) <= step]
