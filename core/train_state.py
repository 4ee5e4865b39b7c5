"""The train state: everything a run needs in order to continue."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import (
    averaging,
    checks,
    hidden_variables,
    loss_scaling,
    optimizers,
    skipping,
    variables,
)
from .optimizers import finiteness, foreign


class TrainState(tf.Module):
  """Everything a run needs in order to continue, and nothing else.

  Create it under the scope of the strategy, after building the model.

  Attributes:
    model: The model.
    parameters: The model's trainable variables by path.
    optimizer_state: A nest of variables, structured like `optimizer.init`.
    step: The number of steps taken, an int64 variable ``[]``.
    seed: The seed of the run, an int32 variable ``[2]``.
    average: The `ModelAverage` of the model, or None.
    loss_scale: The `LossScale` of variables, or None.
    skipped: The `skipping.Skipped` of variables, or None if steps cannot be
      skipped, that is, without a loss scale and `optimizers.apply_if_finite`.
    hooks: The state of the hooks of a run, such as a best value: a nest of
      variables per hook name.
  """

  def __init__(
      self,
      model: tf.Module,
      optimizer: optimizers.GradientTransformation,
      seed: int = 0,
      *,
      average_decay: float | None = None,
      loss_scale: loss_scaling.LossScale | None = None,
  ):
    """Creates the state of a run that has taken no steps.

    Args:
      model: A module whose variables exist.
      optimizer: The optimizer whose state to hold.
      seed: The seed of all randomness in the steps, a 32-bit integer. It does
        not affect the initial weights; to reproduce those, call
        `tf.random.set_seed` before building the model.
      average_decay: The decay rate of a moving average of the weights, in [0,
        1), updated by every step. Default: no average.
      loss_scale: The initial loss scale, for float16. Default: no loss scale.

    Raises:
      ValueError: If the model has no trainable variables, or the rate or the
        seed is out of range.
      TypeError: If the model or the optimizer is from another library, a
        trainable variable is not floating point, or the seed not an integer.
    """
    super().__init__(name='train_state')
    hidden_variables.refuse_keras('model', model)
    foreign.check_transformation('optimizer', optimizer)
    checks.size('seed', seed, low=-(2**31))
    checks.in_range('seed', seed, -(2**31), 2**31 - 1)
    self.model = model
    self.parameters = variables.trainable(model)
    if not self.parameters:
      raise ValueError(
          'model: it has no trainable variables; call model.build(input_shape) '
          'before creating its TrainState, or call the model once.'
      )
    for path, variable in self.parameters.items():
      if not variable.dtype.is_floating:
        raise TypeError(
            f'model: {path} is {variable.dtype.name}; expected floating-point '
            'trainable variables. Create it with trainable=False.'
        )
    optimizer_state = optimizer.init(self.parameters)
    self.optimizer_state = tf.nest.map_structure(_variable, optimizer_state)
    self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.seed = tf.Variable([0, seed], dtype=tf.int32, trainable=False)
    self.average = self.loss_scale = self.skipped = None
    if average_decay is not None:
      checks.rate('average_decay', average_decay)
      self.average = averaging.ModelAverage(model, average_decay)
    if loss_scale is not None:
      self.loss_scale = tf.nest.map_structure(_variable, loss_scale)
    if loss_scale is not None or finiteness.skips(optimizer_state):
      self.skipped = tf.nest.map_structure(_variable, skipping.init())
    self.hooks: dict[str, Any] = {}

  def named_variables(self) -> dict[str, tf.Variable]:
    """Returns all variables by path: `model/...`, `optimizer/...`, `step`."""
    return variables.named({
        'model': self.model,
        'optimizer': self.optimizer_state,
        'step': self.step,
        'seed': self.seed,
        # The variables that the average shares with the model are listed there.
        'average': (
            self.average
            and {'count': self.average.count, 'model': self.average.parameters}
        ),
        'loss_scale': self.loss_scale,
        'skipped': self.skipped,
        'hooks': self.hooks,
    })


def _variable(value: tf.Tensor) -> tf.Variable:
  return tf.Variable(value, trainable=False)
