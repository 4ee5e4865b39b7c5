"""The train state: everything that a run needs in order to continue."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import (
  averaging,
  hidden_variables,
  loss_scaling,
  optimizers,
  skipping,
  variables,
)
from .optimizers import finiteness, foreign


class TrainState(tf.Module):
  """Everything that a run needs in order to continue, and nothing else.

  Make it under the scope of the strategy, after the model was built.

  Attributes:
    model: The model.
    parameters: The model's trainable variables by path.
    optimizer_state: A nest of variables, as `optimizer.init` shapes it.
    step: The number of steps taken, an int64 variable ``[]``.
    seed: The seed of the run, an int32 variable ``[2]``.
    average: The `ModelAverage` of the model, or None.
    loss_scale: The `LossScale` of variables, or None.
    skipped: The `skipping.Skipped` of variables, or None where no step can be
      skipped: without a loss scale and `optimizers.apply_if_finite`.
    hooks: What the hooks of a run remember, such as a best value: a nest of
      variables by the name of each.
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
    """Makes the state of a run that has taken no step.

    Args:
      model: A module whose variables exist.
      optimizer: The optimizer whose state is kept.
      seed: The seed of all randomness of the steps. Initial weights are older
        than the state: for equal ones, call `tf.random.set_seed` before the
        model is built.
      average_decay: The rate of an average of the weights, in [0, 1), which
        every step updates; None has none.
      loss_scale: The loss scale to begin with, for float16; None has none.

    Raises:
      ValueError: If the model has no trainable variables, or the rate is out of
        range.
      TypeError: If the model or the optimizer is of another library, or a
        trainable variable is not floating point.
    """
    super().__init__(name='train_state')
    hidden_variables.refuse_keras('model', model)
    foreign.check_transformation('optimizer', optimizer)
    self.model = model
    self.parameters = variables.trainable(model)
    if not self.parameters:
      raise ValueError(
          'model: it has no trainable variables; call model.build(input_shape) '
          'before making its TrainState, or the model itself, once.'
      )
    for path, variable in self.parameters.items():
      if not variable.dtype.is_floating:
        raise TypeError(
            f'model: {path} is {variable.dtype.name}; expected floating point '
            'of what is trained. Make it with trainable=False.'
        )
    optimizer_state = optimizer.init(self.parameters)
    self.optimizer_state = tf.nest.map_structure(_variable, optimizer_state)
    self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.seed = tf.Variable([0, seed], dtype=tf.int32, trainable=False)
    self.average = self.loss_scale = self.skipped = None
    if average_decay is not None:
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
        # What its model shares with the model is listed there.
        'average': self.average
        and {'count': self.average.count, 'model': self.average.parameters},
        'loss_scale': self.loss_scale,
        'skipped': self.skipped,
        'hooks': self.hooks,
    })


def _variable(value: tf.Tensor) -> tf.Variable:
  return tf.Variable(value, trainable=False)
