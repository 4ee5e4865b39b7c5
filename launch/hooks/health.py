"""Stops runs with non-finite values or too many skipped steps.

The error names the step and the examples that caused it. The training loop
does no extra work: only after a failure are the steps since the last checkpoint
repeated to find the one responsible.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from core import objectives, training
from core import variables as variables_lib

from .. import loop, programs

# Do not repeat steps that took longer than this.
REPEAT_SECS = 60.0
_BLAME_SECS = 20.0
_NUM_NAMED = 8
_ADVICE = (
    'a smaller --learning_rate or --clip_global_norm may help, under '
    '--accept_changes.'
)
_FRESH = (
    'no weight had changed yet, so look at the model, the loss and the data; '
    'another --learning_rate does not help.'
)


class NonFiniteError(programs.Failure):
  """A loss or a variable became infinite or not a number."""


class SkippedStepsError(programs.Failure):
  """Too many consecutive steps were skipped."""


@dataclasses.dataclass
class Health(loop.Hook):
  """Stops a run that cannot go on, and reports where it broke.

  Attributes:
    train_state: The train state.
    now: The progress of the run.
    batch: A function from a step, counted from 1, to its batch, with the
      `index` of each example in the training split.
    blame: A function from a batch to the `index` of each example whose own loss
      is not finite. It overwrites the model's state.
    go_back: Restores the last checkpoint.
    repeat: Takes a given number of steps from the current state.
    max_skipped_steps: The run stops after this many consecutive skipped steps.
  """

  train_state: training.TrainState
  now: loop.Now
  batch: Callable[[int], objectives.Batch]
  blame: Callable[[objectives.Batch], Sequence[int]]
  go_back: Callable[[], object]
  repeat: Callable[[int], None]
  max_skipped_steps: int
  name = 'health'

  def __post_init__(self) -> None:
    """Creates the count of skipped steps that rows have reported."""
    self._told = tf.Variable(0, dtype=tf.int64, trainable=False)

  def counts(self) -> dict[str, tf.Variable]:
    """Returns the saved variables, by name, of a run that can skip steps."""
    if self.train_state.skipped is None:
      return {}
    counts = {**self.train_state.skipped._asdict(), 'told': self._told}
    return variables_lib.named({'skipped': counts})

  def check_restored(self, path: str | None) -> None:
    """Checks restored variables: older versions may have saved any value.

    Args:
      path: The path of the restored checkpoint, if any.

    Raises:
      UserError: If a variable is not finite.
    """
    names = self._non_finite() if path else ()
    if names:
      raise programs.UserError(
          f'{path}: these variables are not finite: {_listed(names)}. Nothing '
          'can go on from it; remove its files to go on from the one before.'
      )

  def __call__(self, step: int, values: Mapping[str, float]) -> None:
    """Checks the losses of the steps up to this one, and the skipped steps.

    A call of the graph ends right after the step whose loss is not finite.

    Args:
      step: The last of the steps.
      values: Unused.

    Raises:
      NonFiniteError: If a loss is not finite.
      SkippedStepsError: If too many consecutive steps were skipped.
    """
    if not bool(tf.math.is_finite(self.now.sums['loss'])):
      names = self._non_finite()
      where = (
          f'these variables are not finite: {_listed(names)}. '
          + self._origin(step)
          if names
          else f'all variables are finite. Its batch has {self._batch(step)}.'
      )
      raise NonFiniteError(
          f'the loss of step {step} is not finite; {where} '
          + self._culprits_and_way_on(step, _FRESH if step == 1 else _ADVICE)
      )
    if self.train_state.skipped is None:
      return
    longest = int(self.train_state.skipped.longest.numpy())
    if longest >= self.max_skipped_steps:
      raise SkippedStepsError(
          f'{longest} steps in a row were skipped by step {step}: their '
          f'gradients were not finite{self._scale()}; the run ends after '
          f'--max_skipped_steps={self.max_skipped_steps}. {self._way_on()}'
      )

  def check_variables(
      self, step: int, names: Sequence[str] | None = None
  ) -> None:
    """Checks the variables after a step; all losses so far were finite.

    Args:
      step: The step.
      names: The names of non-finite variables. Default: they are searched for.

    Raises:
      NonFiniteError: If a variable is not finite, on any worker.
    """
    if names is None:
      names = self._non_finite()
      if not names:
        return
    listed = _listed(names) or 'those of another worker'
    raise NonFiniteError(
        f'these variables are not finite after step {step}, which is not '
        f'saved: {listed}. {self._origin(step)} '
        + self._culprits_and_way_on(step)
    )

  def check_trained(self, step: int) -> None:
    """Checks, at the end of a run, that it has taken at least one step.

    Raises:
      SkippedStepsError: If all steps were skipped.
    """
    if step and self.num_skipped() == step:
      raise SkippedStepsError(
          f'all {step} steps of the run were skipped: their gradients were not '
          f'finite{self._scale()}. Nothing was learned; more steps, in which '
          'the scale goes down, or another --precision may help.'
      )

  def num_skipped(self) -> int:
    """Returns how many steps have been skipped so far."""
    if self.train_state.skipped is None:
      return 0
    return int(self.train_state.skipped.total.numpy())

  def count_row(self) -> dict[str, int]:
    """Returns the `skipped_steps` since the last call, if steps may skip."""
    if self.train_state.skipped is None:
      return {}
    total = self.num_skipped()
    number = total - int(self._told.numpy())
    self._told.assign(total)
    return {'skipped_steps': number}

  def _origin(self, step: int) -> str:
    """Describes the step in which variables broke, and its examples."""
    self.now.settle()
    saved = self.now.saved_step
    first = max(saved, 0) + 1  # A new run starts with finite variables.
    if first == step:
      broke = step
    elif saved >= 0 and self.now.unsaved_secs <= REPEAT_SECS:
      broke = self._find(step, saved)
    else:
      broke = 0
    if broke == step:
      return f'They broke in this step; its batch has {self._batch(step)}.'
    if broke:
      return (
          f'They broke in step {broke}, whose loss was finite; its batch has '
          f'{self._batch(broke)}.'
      )
    return (
        f'They broke between steps {first} and {step}; the batch of the latter '
        f'has {self._batch(step)}.'
    )

  def _find(self, step: int, saved: int) -> int:
    """Repeats steps to find the one in which variables broke.

    Args:
      step: A step after which they are not finite.
      saved: The step of the last checkpoint, at least 2 earlier.

    Returns:
      This step or the one before if it is the one, else 0.
    """
    self.go_back()
    self.repeat(step - 2 - saved)
    if self._non_finite():
      return 0
    self.repeat(1)
    return step - 1 if self._non_finite() else step

  def _non_finite(self) -> list[str]:
    return variables_lib.non_finite(self.train_state.named_variables())

  def _batch(self, step: int) -> str:
    indices = [str(index) for index in self.batch(step)['index'].numpy()]
    return f'the training examples {_listed(indices)}'

  def _culprits_and_way_on(self, step: int, advice: str = _ADVICE) -> str:
    """Names examples whose own loss is not finite, or else gives advice.

    The newest batches since the last checkpoint are searched first.
    """
    found: dict[str, None] = {}
    started = time.monotonic()
    for each in range(step, max(self.now.saved_step, 0), -1):
      found.update({str(i): None for i in self.blame(self.batch(each))})
      if time.monotonic() - started > _BLAME_SECS:
        break
    if not found:
      return self._way_on(advice)
    return (
        'The loss is not finite for these training examples alone: '
        f'{_listed(list(found))}. {self._way_on("fix or remove them.")}'
    )

  def _way_on(self, advice: str = _ADVICE) -> str:
    step = self.now.saved_step
    last = (
        f'The last checkpoint is of step {step}'
        if step >= 0
        else 'There is no checkpoint yet'
    )
    return f'{last}; {advice}'

  def _scale(self) -> str:
    if self.train_state.loss_scale is None:
      return ''
    return f'; the loss scale is {self.train_state.loss_scale.scale.numpy():g}'


def _listed(names: Sequence[str]) -> str:
  """Joins names, and shortens long lists."""
  more = len(names) - _NUM_NAMED
  listed = ', '.join(names[:_NUM_NAMED])
  return f'{listed} and {more} more' if more > 0 else listed
