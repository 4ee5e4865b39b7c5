"""Penalties on a model's behavior at an example: ``[batch_size]``.

Add them, scaled, to the per-example loss, so that padding and replicas are
handled as they are for the loss.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from . import arguments, numerics


def activity_penalty(
    activations: tf.Tensor, *, l1: float = 0.0, l2: float = 1.0
) -> tf.Tensor:
  r"""Computes the size of each example's activations.

  .. math:: \lambda_1 \sum_d |a_d| + \lambda_2 \sum_d a_d^2

  The mean over the batch is what Keras's ``activity_regularizer`` adds.

  Args:
    activations: ``[batch_size, ...]``, floating point.
    l1: The factor of the absolute values, >= 0.
    l2: The factor of the squares, >= 0.

  Returns:
    ``[batch_size]``.

  Raises:
    ValueError: If there is no batch axis or a factor is negative.

  Reference:
    ``keras.regularizers.L1L2``, as an ``activity_regularizer``.

  Example:
    >>> from core import losses
    >>> losses.activity_penalty([[1.0, -2.0]], l1=1.0, l2=0.5).numpy().tolist()
    [5.5]
  """
  arguments.not_negative('l1', l1)
  arguments.not_negative('l2', l2)
  activations = arguments.batched('activations', activations)
  values = numerics.times(tf.abs(activations), l1)
  values += numerics.times(activations**2, l2)
  return tf.reduce_sum(values, axis=range(1, activations.shape.rank))


def confidence_penalty(
    logits: tf.Tensor,
    *,
    class_mask: arguments.ClassMask | None = None,
) -> tf.Tensor:
  r"""Computes the negative entropy of the predicted probabilities.

  .. math:: \sum_c p_c \log p_c

  With a positive factor it keeps a model from growing confident too soon; with
  a negative one it is entropy minimization, for examples without labels.

  Args:
    logits: ``[batch_size, ..., num_classes]``, floating point.
    class_mask: ``[num_classes]`` or the logits' shape; False excludes a class.

  Returns:
    ``[batch_size, ...]``, in [-log num_classes, 0].

  Raises:
    ValueError: If there is no batch axis or the mask's shape does not fit.

  Reference:
    Pereyra et al., `Regularizing Neural Networks by Penalizing Confident
    Output Distributions <https://arxiv.org/abs/1701.06548>`_, 2017, section 3.

  Example:
    >>> from core import losses
    >>> round(float(losses.confidence_penalty([[0.0, 0.0]])[0]), 4)
    -0.6931
  """
  logits = arguments.floats('logits', logits)
  arguments.class_axis('logits', logits)
  logits = arguments.possible_logits(class_mask, logits)
  # In float64: near the uniform distribution its gradient is a difference.
  x = numerics.widest(numerics.finite_logits(logits))
  log_p = tf.nn.log_softmax(x)
  values = tf.reduce_sum(tf.exp(log_p) * log_p, axis=-1)
  return tf.cast(values, logits.dtype)


def gradient_penalty(
    function: Callable[[tf.Tensor], tf.Tensor],
    inputs: tf.Tensor,
    *,
    target_norm: float = 1.0,
) -> tf.Tensor:
  r"""Computes how far the norm of a function's gradient is from a target.

  .. math:: (\lVert \nabla_x f(x) \rVert - k)^2

  A target of 1 is WGAN-GP's (at points between real and generated ones), 0 is
  the zero-centered penalty R1 (without its factor of one half).

  Args:
    function: From ``[batch_size, ...]`` to ``[batch_size, ...]``; the outputs
      of an example are added up. It must treat each example by itself: no batch
      normalization by the batch's own statistics.
    inputs: ``[batch_size, ...]``, floating point: where to take the gradient.
    target_norm: The number k >= 0.

  Returns:
    ``[batch_size]``, differentiable with respect to the function's variables.

  Raises:
    ValueError: If there is no batch axis, the target is negative, or the
      function does not depend on its inputs.

  Reference:
    Gulrajani et al., `Improved Training of Wasserstein GANs
    <https://arxiv.org/abs/1704.00028>`_, 2017, equation 3.

  Example:
    >>> from core import losses
    >>> losses.gradient_penalty(lambda x: x**2, [[1.5, 2.0]]).numpy().tolist()
    [16.0]
  """
  arguments.not_negative('target_norm', target_norm)
  inputs = tf.convert_to_tensor(inputs)
  arguments.batched('inputs', inputs)
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs = tf.convert_to_tensor(function(inputs))
  gradients = tape.gradient(outputs, inputs)
  if gradients is None:
    raise ValueError('function: expected one that depends on its inputs.')
  gradients = arguments.floats('inputs', gradients)
  slopes = numerics.norm(tf.reshape(gradients, [tf.shape(inputs)[0], -1]))
  return (slopes - target_norm) ** 2
