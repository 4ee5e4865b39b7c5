"""The loop of a run: steps, and between them what hooks do.

A hook says at which step it wants to be called, so that the graph is cut there
and nowhere else, is called with the step and the values, and may ask for the
end of the run, with a reason. All that happens in a run but steps is a hook.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from core import training, waits, workers

from . import call_length as call_length_lib
from . import data_loops, interruption, periods


class Hook:
  """Something that happens in a run.

  Attributes:
    name: What it is called.
  """

  name: str
  # Whether a signal may cut its call short: it is then called again, as are
  # those after it, before the next step.
  listens = False

  def next(self, step: int) -> int:
    """Returns when to be called after a step; the step itself: after a call.

    The graph takes steps in calls of half a second, at most. A hook whose next
    step is the present one is called after each of them, and cuts none short.
    """
    return step

  def __call__(self, step: int, values: Mapping[str, float]) -> str | None:
    """Does what it does.

    Args:
      step: The number of steps taken.
      values: What is known there by name, the same on every worker: the floats
        of the row of metrics.jsonl that was written last at this step, or else
        means since the last row.

    Returns:
      A reason to end the run, or None to go on.
    """

  def before_save(self) -> None:
    """Assigns to its variables what a checkpoint is to hold."""

  def end(self, step: int) -> None:
    """Does what is left to do after the last step, however the loop ended."""

  def close(self) -> None:
    """Releases what it holds, errors included."""


@dataclasses.dataclass(frozen=True)
class Stopped:
  """The end of a run by a hook.

  Attributes:
    step: The step after which it asked for the end.
    hook: The name of the hook.
    reason: What it said.
  """

  step: int
  hook: str
  reason: str


@dataclasses.dataclass
class Now:
  """Where a run is; the loop and its hooks share it.

  Attributes:
    sums: The sums of the steps since the last row of metrics.
    at: The length of an epoch and of the run.
    call_length: How many steps the graph takes at a time, and how fast.
    measure: Makes values of sums.
    say: Prints a message, on the chief.
    step: The steps taken so far.
    values: See `Hook.__call__`.
    saved_step: The step of the last checkpoint that is on the disk; -1 if there
      is none.
    unsaved_secs: How long the steps since the last save took, or since the
      start.
    settle: Waits until what was saved is on the disk, so that `saved_step` says
      so. Every worker must call it, unless with `alone=True`; it raises OSError
      if a file could not be written.
    stopped: The end by a hook, if one has asked for it.
    is_cut_short: Whether a signal came during the validation of this step: it
      and the hooks after it are yet to be called.
    seconds_in: Seconds spent so far in steps and in each hook, by name.
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
    """Says, for the message of an error, what is on the disk."""
    with contextlib.suppress(OSError):  # The error that is told came first.
      self.settle(alone=True)
    if self.saved_step < 0:
      return 'nothing is saved yet'
    return f'step {self.saved_step} of {self.at.num_steps} is saved'


def run(
    state: training.TrainState,
    data_loop: data_loops.DataLoop,
    hooks: Sequence[Hook],
    now: Now,
) -> int:
  """Trains until the end, a signal, or a hook that asks for the end.

  Args:
    state: The state, which is trained in place.
    data_loop: Takes steps; no call goes beyond the end of an epoch.
    hooks: What else happens, in this order.
    now: Where the run is, which is kept up to date.

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
      # A hook may take long. Several workers ask where all have called one.
      if not number and (is_cut or now.call_length.is_alone):
        number = _anywhere(now, interrupted.signal)
    for hook in hooks:
      started = time.monotonic()
      hook.end(now.step)
      now.seconds_in[hook.name] += time.monotonic() - started
  # One that came after the last step, in its validation or save, counts too.
  return _anywhere(now, interrupted.signal)


def _anywhere(now: Now, number: int) -> int:
  """Returns the signal that came to any worker; every worker must ask."""
  signals = workers.gather(now.call_length.strategy, [number])
  return max(each for (each,) in signals)


def _call(hooks: Sequence[Hook], now: Now) -> int:
  """Calls hooks; returns the signal that cut a validation short, or 0."""
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
  """Returns the hooks that a validation which was cut short left uncalled."""
  first = [hook.listens for hook in hooks].index(True)
  return [hook for hook in hooks[first:] if hook.next(step - 1) <= step]
