"""Models whose weights are moving averages over training steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from . import checks, substitution, variables


def average(mean: Any, parameters: Any, count: tf.Tensor, decay: float) -> Any:
  r"""Updates an exponential moving average with the weights of one more step.

  .. math::
    m_t = m_{t-1} + \frac{1 - \beta}{1 - \beta^t} (w_t - m_{t-1})

  This equals `optimizers.ema_average` of the state of `optimizers.ema` at every
  step: the average is stored with its initialization bias already removed.

  Args:
    mean: :math:`m_{t-1}`, a nest of float32 tensors or variables. Its values
      are ignored at the first step, even if they are NaN or infinite.
    parameters: :math:`w_t`, a nest of the same structure.
    count: The number of steps :math:`t` including this one, an integer ``[]``.
    decay: The decay rate :math:`\beta`, in [0, 1).

  Returns:
    The new average :math:`m_t`, a nest of tensors.

  Raises:
    ValueError: If the nests differ in structure or shape, or the decay is out
      of range or a `tf.Variable`.

  Reference:
    `Polyak and Juditsky 1992 <https://doi.org/10.1137/0330046>`_; `Adam
    <https://arxiv.org/abs/1412.6980>`_, section 3, for the bias correction.

  Example:
    >>> from core import averaging
    >>> mean = 0.0
    >>> for count, value in enumerate((1.0, 4.0), start=1):
    ...   mean = averaging.average(mean, value, count, decay=0.5)
    >>> float(mean)
    3.0
  """
  checks.rate('decay', decay)
  count = checks.shape('count', tf.convert_to_tensor(count), [])
  remaining = tf.constant(decay, tf.float64) ** tf.cast(count, tf.float64)
  rate = tf.cast((1 - decay) / (1 - remaining), tf.float32)

  def updated(m: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    m, w = map(tf.convert_to_tensor, (m, w))
    m, w = checks.same_shape(mean=m, parameters=w)
    m = tf.where(count > 1, m, w)  # A rate of 1 would not do: 0 * inf is NaN.
    return m + tf.cast(rate, m.dtype) * (w - m)

  return tf.nest.map_structure(updated, mean, parameters)


class ModelAverage(tf.Module):
  """A copy of a model whose trainable variables are averages of the model's.

  The copy shares the model's non-trainable variables. The averages are marked
  as trainable, like the originals, so that penalties and casts find them.

  Attributes:
    model: The copy. `variables.named`, objectives and export accept it like the
      original model.
    parameters: The trainable variables of the copy, by path.
    decay: The decay rate.
    count: The number of averaged steps, an int64 variable ``[]``.
  """

  def __init__(self, model: tf.Module, decay: float):
    """Creates an average over zero steps, initialized to the current weights.

    Args:
      model: A module whose variables exist; call this in the strategy's scope.
      decay: The decay rate of `average`, in [0, 1). For example, 0.999 averages
        over about a thousand steps.

    Raises:
      ValueError: If the decay is out of range or a `tf.Variable`.
    """
    super().__init__(name='model_average')
    checks.rate('decay', decay)
    self.decay = decay
    self.count = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.parameters = {
        path: tf.Variable(variable)
        for path, variable in variables.trainable(model).items()
    }
    self.model = substitution.substitute(model, self.parameters)

  def update(
      self,
      parameters: Mapping[str, tf.Tensor],
      is_skipped: tf.Tensor | None = None,
  ) -> None:
    """Updates the average in place with the weights of one more step.

    Args:
      parameters: The model's trainable variables, or their values, by path.
      is_skipped: Whether the step was skipped, bool ``[]``, in which case the
        average and the count do not change. Default: not skipped.
    """
    count = self.count + 1
    means = {
        path: average(mean, parameters[path], count, self.decay)
        for path, mean in self.parameters.items()
    }
    if is_skipped is not None:
      count = tf.where(is_skipped, self.count, count)
      means = {
          path: tf.where(is_skipped, self.parameters[path], mean)
          for path, mean in means.items()
      }
    self.count.assign(count)
    for path, mean in means.items():
      self.parameters[path].assign(mean)
