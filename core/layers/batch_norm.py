"""Batch normalization over the global batch, on any number of replicas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import sonnet as snt
import tensorflow as tf

from .. import (
    assignments,
    checks,
    compilation,
    deprecation,
    distribution,
    padding,
)


@deprecation.renamed_arguments(
    with_scale='create_scale',
    with_offset='create_offset',
    momentum='decay_rate',
)
class BatchNorm(snt.Module):
  """``(x - mean) / sqrt(variance + eps) * scale + offset``, per channel.

  In training, mean and variance are those of the global batch: N replicas
  compute what one would, gradients included, whatever share of the examples
  each has. Each sums w, w x and the squared deviations from its own mean; one
  all-reduce shares these sums, which all replicas merge, and another sums the
  gradients with respect to mean and variance. (Sums of ``w x^2`` would need no
  merging, but lose the variance to cancellation if the mean is large.) Examples
  of weight 0 do not count.

  In evaluation they are moving averages, which every training call updates
  equally on all replicas: immediately, or at the end of a surrounding train
  step (see `core.assignments`). They are debiased like Adam's moments: the
  first update takes over the batch's statistics. The variance is that of the
  population (divided by the count), as in Keras.

  With micro-batches, each is normalized by its own statistics over all replicas
  and updates the averages once.

  The layer is made of elementary operations, which convert to TF Lite and
  compile with XLA on one replica. If one replica trains without XLA,
  TensorFlow's fused kernel computes the same.

  A frozen layer uses its averages in training too and does not update them,
  like Keras layers with ``trainable = False``. This is meant for fine-tuning in
  which its scale and offset are not trained.

  Attributes:
    is_frozen: Whether the layer is frozen. Set it before tracing a step.

  Reference:
    Ioffe and Szegedy 2015, Batch normalization, algorithms 1 and 2. Chan, Golub
    and LeVeque 1983, Algorithms for computing the sample variance, for merging
    the replicas' parts. ``keras.layers.BatchNormalization(synchronized=True)``,
    whose moving averages start at 0 and 1 without a correction.

  Example:
    >>> import tensorflow as tf
    >>> from core import layers
    >>> norm = layers.BatchNorm(eps=0.0)
    >>> y = norm(tf.constant([[1.0], [3.0], [9.0]]), is_training=True,
    ...          weights=tf.constant([1.0, 1.0, 0.0]))
    >>> y.numpy().ravel().tolist(), norm.moving_mean.numpy().tolist()
    ([-1.0, 1.0, 7.0], [2.0])
  """

  reduces_over_replicas = True  # Training asks any module for this.

  def __init__(
      self,
      *,
      create_scale: bool = True,
      create_offset: bool = True,
      decay_rate: float = 0.99,
      eps: float = 1e-5,
      scale_init: snt.initializers.Initializer | None = None,
      offset_init: snt.initializers.Initializer | None = None,
      name: str | None = None,
  ):
    """Constructs the layer.

    Args:
      create_scale: Whether to multiply by a trained scale.
      create_offset: Whether to add a trained offset.
      decay_rate: The share of the moving averages kept at each update, in
        [0, 1): 0.99 averages over about 100 steps; smaller values suit short
        runs.
      eps: Added to the variance, at least 0.
      scale_init: Initializer of the scale ``[num_channels]``. Default: ones.
      offset_init: Initializer of the offset ``[num_channels]``. Default: zeros.
      name: Name of the module.

    Raises:
      ValueError: If decay_rate or eps is out of range.
    """
    super().__init__(name=name)
    checks.rate('decay_rate', decay_rate)
    checks.in_range('eps', eps, 0, math.inf)
    self.decay_rate = decay_rate
    self.eps = eps
    self.scale_init = scale_init or snt.initializers.Ones()
    self.offset_init = offset_init or snt.initializers.Zeros()
    self.create_scale = create_scale
    self.create_offset = create_offset
    self.is_frozen = False
    # Created by `build`.
    self.scale: tf.Variable = None
    self.offset: tf.Variable = None
    self.moving_mean: tf.Variable = None
    self.moving_variance: tf.Variable = None
    self.moving_weight: tf.Variable = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Creates the variables, in the scope of the strategy.

    Only the last size of ``[batch_size, ..., num_channels]`` must be known.
    """
    self.output_shape(input_shape)
    if self.moving_mean is not None:
      return
    shape = [input_shape[-1]]
    if self.create_scale:
      self.scale = tf.Variable(self.scale_init(shape, tf.float32))
    if self.create_offset:
      self.offset = tf.Variable(self.offset_init(shape, tf.float32))
    self.moving_mean = tf.Variable(tf.zeros(shape), trainable=False)
    self.moving_variance = tf.Variable(tf.ones(shape), trainable=False)
    # 1 - decay_rate^t after t updates: the share of data in the averages.
    self.moving_weight = tf.Variable(0.0, trainable=False)

  def __call__(
      self,
      inputs: tf.Tensor,
      is_training: bool,
      weights: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Normalizes and, in training, updates the moving averages.

    Args:
      inputs: float32, bfloat16 or float16 ``[batch_size, ..., num_channels]``.
        A replica may have no examples.
      is_training: Whether to use the statistics of the batch. If so, all
        replicas must take part.
      weights: The weights of examples in the statistics, ``[batch_size]``, at
        least 0; ignored in evaluation. Default: 1, or 0 where the batch of a
        train step has weight 0, see `core.padding`. An example of weight 0 may
        hold NaN and infinities: they are replaced by zeros, and it changes no
        bit of the others, of the statistics or of a gradient.

    Returns:
      A tensor like the inputs.

    Raises:
      ValueError: If the layer was built for another number of channels, or
        there is not one weight per example.
    """
    inputs = tf.convert_to_tensor(inputs)
    self.build(inputs.shape)
    is_training = is_training and not self.is_frozen
    if is_training and weights is None:
      weights = padding.counted(inputs)
    if is_training and weights is None and _has_kernel(inputs):
      return self._fused(inputs)
    x = tf.cast(inputs, tf.float32)
    if is_training:
      if weights is not None:
        weights = tf.cast(weights, tf.float32)
        weights = checks.shape('weights', weights, checks.sizes_of(x)[:1])
        weights = tf.reshape(weights, [-1] + [1] * (x.shape.rank - 1))
        # Before any arithmetic: 0 * NaN would be NaN, in the gradients too.
        is_kept = tf.not_equal(weights, 0) | tf.math.is_finite(x)
        x = tf.where(is_kept, x, tf.zeros_like(x))
      mean, variance, count = self._moments(x, weights)
      self._update(mean, variance, count)
    else:
      mean, variance = self.moving_mean, self.moving_variance
    scale, offset = self._affine()
    factor = scale * tf.math.rsqrt(variance + self.eps)
    return tf.cast((x - mean) * factor + offset, inputs.dtype)

  def output_shape(
      self, input_shape: Sequence[int | None]
  ) -> tuple[int | None, ...]:
    """Returns the shape of the inputs."""
    num_channels = input_shape[-1] if len(input_shape) > 1 else None
    if num_channels is None:
      raise ValueError(
          'input_shape: expected [batch_size, ..., num_channels] with '
          f'num_channels known, got {tuple(input_shape)}.'
      )
    if self.moving_mean is not None and (
        self.moving_mean.shape[0] != num_channels
    ):
      raise ValueError(
          f'input_shape: the layer was built for {self.moving_mean.shape[0]} '
          f'channels, got {tuple(input_shape)}.'
      )
    return tuple(input_shape)

  def _affine(self) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns scale and offset ``[num_channels]``, or 1 and 0 without them."""
    size = self.moving_mean.shape
    scale = tf.ones(size) if self.scale is None else self.scale
    offset = tf.zeros(size) if self.offset is None else self.offset
    return tf.cast(scale, tf.float32), tf.cast(offset, tf.float32)

  def _fused(self, inputs: tf.Tensor) -> tf.Tensor:
    """Normalizes by the batch's statistics with TensorFlow's fused kernel."""
    num_channels = inputs.shape[-1]
    x = inputs
    if x.shape.rank != 4:
      x = tf.reshape(x, [-1, 1, 1, num_channels])
    scale, offset = self._affine()
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=[],
        variance=[],
        epsilon=self.eps,
        is_training=True,
    )
    count = inputs.shape.num_elements() // num_channels
    # The kernel returns the unbiased estimate, divided by count - 1.
    biased = variance * (max(count - 1, 1) / count)
    self._update(mean, biased, tf.constant(count, tf.float32))
    # Even a no-op reshape would keep TensorFlow from merging the following
    # activation into the kernel.
    return y if x is inputs else tf.reshape(y, inputs.shape)

  def _moments(
      self, x: tf.Tensor, weights: tf.Tensor | None
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes mean and variance ``[num_channels]``, and the count ``[]``."""
    axes = list(range(x.shape.rank - 1))
    if weights is None:
      weigh = tf.identity
      weight_sum = tf.cast(tf.shape(x)[0], tf.float32)
    else:
      weigh = lambda values: tf.math.multiply_no_nan(values, weights)
      weight_sum = tf.reduce_sum(weights)
    positions = tf.reduce_prod(tf.shape(x)[1:-1])
    count = weight_sum * tf.cast(positions, tf.float32)
    total = tf.reduce_sum(weigh(x), axes)
    mean = tf.math.divide_no_nan(total, count)
    squares = tf.reduce_sum(weigh(_squared_deviations(x, mean)), axes)
    if _is_alone():  # Then `distribution` returns its arguments.
      mean, squares, count = distribution.all_reduce_sum((mean, squares, count))
    else:
      mean, squares, count = _merged(total, squares, count)
    return mean, tf.math.divide_no_nan(squares, count), count

  def _update(
      self, mean: tf.Tensor, variance: tf.Tensor, count: tf.Tensor
  ) -> None:
    """Updates the averages, unless the batch is all padding."""
    rate = tf.where(count > 0, 1 - self.decay_rate, 0.0)
    weight = assignments.value(self.moving_weight)
    weight += rate * (1 - weight)
    step = tf.math.divide_no_nan(rate, weight)
    for average, value in (
        (self.moving_mean, mean),
        (self.moving_variance, variance),
    ):
      before = assignments.value(average)
      assignments.assign(average, before + step * (value - before))
    assignments.assign(self.moving_weight, weight)


@tf.custom_gradient
def _squared_deviations(
    x: tf.Tensor, mean: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
  """Computes (x - mean)^2, where `mean` is the mean of x.

  Their sum has derivative 0 with respect to the mean (the sum of all
  deviations), and stating this saves the gradient a pass over them. The
  gradient with respect to x still depends on the mean, for second derivatives.
  """
  return tf.square(x - mean), lambda gradient: (2 * gradient * (x - mean), None)


@tf.custom_gradient
def _merged(
    total: tf.Tensor, squares: tf.Tensor, count: tf.Tensor
) -> tuple[tuple[tf.Tensor, ...], Callable[..., tuple[tf.Tensor, ...]]]:
  """Merges the sums of all replicas' parts of a batch.

  The part of replica i has the count n_i, the total t_i, the mean m_i = t_i /
  n_i and the squared deviations s_i from that mean. All parts together have

      n = sum n_i,   m = sum t_i / n,   s = sum s_i + n_i (m_i - m)^2

  The derivative of s with respect to m is 0, so those with respect to a part
  are

      ds/dt_i = 2 (m_i - m),   ds/ds_i = 1,   ds/dn_i = m^2 - m_i^2

  Only the replicas' gradients with respect to n, m and s are all-reduced, as
  many numbers as one replica has; those with respect to all parts would be
  num_replicas times as many. Second derivatives follow the equations above.

  Args:
    total: The sum of w x, ``[num_channels]``.
    squares: The sum of w (x - mean)^2 around this replica's mean.
    count: The sum of w, ``[]``.

  Returns:
    The mean, the squares and the count of the whole batch.
  """
  num_channels = total.shape[0]
  parts = distribution.all_stack(tf.concat([total, squares, [count]], axis=0))
  totals, all_squares, counts = tf.split(
      parts, [num_channels, num_channels, 1], axis=1
  )
  all_count = tf.reduce_sum(counts)
  mean = tf.math.divide_no_nan(tf.reduce_sum(totals, axis=0), all_count)
  deviations = tf.math.divide_no_nan(totals, counts) - mean
  all_squares = tf.reduce_sum(
      all_squares + counts * tf.square(deviations), axis=0
  )

  def gradient(
      by_mean: tf.Tensor, by_squares: tf.Tensor, by_count: tf.Tensor
  ) -> tuple[tf.Tensor, ...]:
    by_mean, by_squares, by_count = distribution.all_reduce_sum(
        (by_mean, by_squares, by_count)
    )
    by_mean = tf.math.divide_no_nan(by_mean, all_count)
    own_mean = tf.math.divide_no_nan(total, count)
    deviation = own_mean - mean
    by_count -= tf.reduce_sum(
        by_mean * mean + by_squares * deviation * (own_mean + mean)
    )
    return by_mean + 2 * by_squares * deviation, by_squares, by_count

  return (mean, all_squares, all_count), gradient


def _is_alone() -> bool:
  """Returns whether this replica has all examples of the batch."""
  context = tf.distribute.get_replica_context()
  return context is None or context.num_replicas_in_sync == 1


def _has_kernel(inputs: tf.Tensor) -> bool:
  """Returns whether the fused kernel computes this replica's training.

  The kernel needs all examples on this replica, and at least one. XLA expands
  it to E[x^2] - E[x]^2, which is wrong or NaN if the mean is many deviations
  from 0.
  """
  num_elements = inputs.shape.num_elements()
  is_compiled = compilation.is_tracing_for_xla()
  return _is_alone() and not is_compiled and bool(num_elements)
