"""Residual connections, and initializations that start them as identities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

from .. import checks


@snt.allow_empty_variables
class Residual(snt.Module):
  """``x + scale * f(x)``, with a scale that may be learned.

  If the scale starts at or near 0, a deep network starts as the identity. One
  scale per branch is ReZero and SkipInit, one per channel LayerScale.

  Reference:
    `He et al. 2016 <https://arxiv.org/abs/1512.03385>`_;
    `Bachlechner et al. 2020 <https://arxiv.org/abs/2003.04887>`_ (ReZero);
    `De and Smith 2020 <https://arxiv.org/abs/2002.10444>`_ (SkipInit);
    `Touvron et al. 2021 <https://arxiv.org/abs/2103.17239>`_ (LayerScale, which
    starts at 0.1 for 18 layers, 1e-5 for 24 and 1e-6 beyond).

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> block = layers.Residual(layers.Dense(3), scale_init=0.0)
    >>> block(tf.constant([[1.0, 2.0, 3.0]])).numpy().tolist()
    [[1.0, 2.0, 3.0]]
  """

  def __init__(
      self,
      function: Callable[..., tf.Tensor],
      scale_init: float | None = None,
      per_channel: bool = False,
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      function: The branch: a module, or a function without variables, that
        preserves the shape of its inputs.
      scale_init: The initial value of the scale. If None, there is no scale.
      per_channel: Whether there is one scale per channel (the last axis).
      name: Name of the module.

    Raises:
      ValueError: If per_channel is set without scale_init.
    """
    super().__init__(name=name)
    if per_channel and scale_init is None:
      raise ValueError(
          'scale_init: per_channel needs an initial value, such as 1e-5, got '
          'None.'
      )
    if scale_init is not None:
      checks.number('scale_init', scale_init)
    self.function = function
    self.scale_init = scale_init
    self.per_channel = per_channel
    self.scale: tf.Variable | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables, including those of the branch.

    Scales per channel need the last size.
    """
    if hasattr(self.function, 'build'):
      self.function.build(input_shape)
    if self.scale_init is None or self.scale is not None:
      return
    shape = tuple(input_shape)[-1:] if self.per_channel else ()
    if None in shape:
      raise ValueError(
          'input_shape: expected [..., channels] with channels known, got '
          f'{tuple(input_shape)}.'
      )
    self.scale = tf.Variable(tf.fill(shape, self.scale_init), name='scale')

  def __call__(self, inputs: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
    """Applies the layer.

    Args:
      inputs: float, of a shape that the branch accepts.
      *args: Further arguments of the branch, such as `is_training`.
      **kwargs: Further arguments by name.

    Returns:
      A tensor like the inputs.

    Raises:
      ValueError: If the branch changes the shape.
    """
    inputs = tf.convert_to_tensor(inputs)
    branch = self.function(inputs, *args, **kwargs)
    if not branch.shape.is_compatible_with(inputs.shape):
      raise ValueError(
          f'function: expected a result of shape {inputs.shape}, that of the '
          f'inputs, got {branch.shape}.'
      )
    if self.scale is None:
      self.build(inputs.shape)
    if self.scale is not None:
      branch *= tf.cast(self.scale, branch.dtype)
    inputs, branch = checks.same_shape(inputs=inputs, function=branch)
    return inputs + branch

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    return tuple(input_shape)


def scaled_variance(
    num_blocks: int,
    layers_per_block: int = 2,
    scale: float = 2.0,
    mode: str = 'fan_in',
) -> snt.initializers.Initializer:
  r"""Initializes a branch's layers so that the sum of all branches is bounded.

  Fixup multiplies the usual standard deviation by :math:`L^{-1/(2m-2)}` for
  :math:`L` blocks of :math:`m` layers, which gives a variance of

  .. math::
    \frac{s}{n} L^{-1/(m-1)}

  with :math:`n` inputs. In addition, Fixup initializes the last layer of each
  branch to zero.

  Args:
    num_blocks: The number of residual blocks :math:`L`, at least 1.
    layers_per_block: The number of layers in a branch :math:`m`, at least 2.
    scale: The variance factor :math:`s` of the activation, 2 for relu.
    mode: The meaning of :math:`n`: ``fan_in``, ``fan_out`` or ``fan_avg``.

  Returns:
    An initializer: a normal distribution, truncated at two deviations.

  Raises:
    ValueError: If a number is too small or the mode is unknown.

  Reference:
    `Zhang et al. 2019 <https://arxiv.org/abs/1901.09321>`_, Fixup
    initialization, section 3, rule 2.

  Example:
    >>> from core import layers
    >>> round(layers.scaled_variance(num_blocks=16).scale, 3)
    0.125
  """
  checks.number('scale', scale)
  checks.size('num_blocks', num_blocks)
  checks.size('layers_per_block', layers_per_block)
  if layers_per_block < 2:
    raise ValueError(
        f'layers_per_block: expected at least 2, got {layers_per_block}; '
        'initialize the only layer of a branch to zero.'
    )
  factor = num_blocks ** (-1 / (layers_per_block - 1))
  return snt.initializers.VarianceScaling(scale * factor, mode)
