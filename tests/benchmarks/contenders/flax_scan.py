"""Flax and Optax.

Variants:

- `step`: the step is jitted and called from Python; it gathers its batch from
  data on the device, and the state is donated.
- `scan`: the whole epoch is one jitted `lax.scan`.
- `scan_tuned`: the same with the flags of `core/xla_flags.py` for CPUs.
"""

from __future__ import annotations

import functools
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from core import xla_flags
from tests.benchmarks import cases, protocol
from tests.benchmarks.contenders import jax_device

_HE = nn.initializers.variance_scaling(2.0, 'fan_in', 'truncated_normal')


class _Network(nn.Module):
  """The layers of a case, one after another."""

  case: cases.Case
  dtype: Any

  @nn.compact
  def __call__(self, x, is_training):
    conv = functools.partial(nn.Conv, dtype=self.dtype, kernel_init=_HE)
    bare = functools.partial(conv, padding='SAME', use_bias=False)
    norm = functools.partial(
        nn.BatchNorm,
        use_running_average=not is_training,
        momentum=cases.NORM_MOMENTUM,
        epsilon=cases.NORM_EPSILON,
        dtype=self.dtype,
    )

    def block(x, filters, stride):
      first = nn.relu(norm()(x))
      skip = x
      if stride != 1 or x.shape[-1] != filters:
        skip = bare(filters, (1, 1), stride)(first)
      x = bare(filters, (3, 3), stride)(first)
      return skip + bare(filters, (3, 3))(nn.relu(norm()(x)))

    def dense(x, units):
      # Flax' default is the distribution of the cases.
      return nn.Dense(units, dtype=self.dtype)(x)

    builders = {
        'conv': lambda x, n, padding: conv(n, (3, 3), padding=padding)(x),
        'stem': lambda x, n: bare(n, (3, 3))(x),
        'block': block,
        'norm': lambda x: norm()(x),
        'relu': nn.relu,
        'pool': _pool,
        'flatten': lambda x: x.reshape(x.shape[0], -1),
        'average': lambda x: x.mean((1, 2)),
        'dense': dense,
    }
    for kind, *sizes in self.case.layers:
      x = builders[kind](x, *sizes)
    return x.astype(jnp.float32)


def _pool(x: jax.Array) -> jax.Array:
  """Takes maxima by a reshape.

  XLA makes slow code of the gradient of `nn.max_pool`.
  """
  b, h, w, c = x.shape
  return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def _optimizer(run: protocol.Run) -> optax.GradientTransformation:
  rate: Any = run.case.learning_rate
  if run.case.schedule != 'constant':
    table = jnp.asarray(run.learning_rates)
    rate = lambda count: table[count]
  if run.case.optimizer == 'nesterov':
    return optax.sgd(rate, momentum=0.9, nesterov=True)
  return optax.adam(rate)


def _loss(case: cases.Case, labels: jax.Array, logits: jax.Array) -> jax.Array:
  if case.label_smoothing:
    hot = jax.nn.one_hot(labels, cases.NUM_CLASSES)
    hot = optax.smooth_labels(hot, case.label_smoothing)
    return optax.softmax_cross_entropy(logits, hot).mean()
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def main() -> None:
  """Trains, scores, prints."""
  run = protocol.start()
  case = run.case
  if run.variant == 'scan_tuned':
    for flag, value in xla_flags.for_cpu(case.batch_size).items():
      xla_flags.add(flag, value)
  jax_device.setup(run)
  half = run.precision == 'bfloat16'
  model = _Network(case, jnp.bfloat16 if half else jnp.float32)
  optimizer = _optimizer(run)
  images, labels = jax.device_put((run.train.scaled(), run.train.labels))

  @jax.jit
  def make_state(key):
    variables = model.init(
        key, jnp.zeros([1, *cases.IMAGE_SHAPE]), is_training=False
    )
    averages, parameters = flax.core.pop(variables, 'params')
    return parameters, averages, optimizer.init(parameters)

  def train_step(state, data, rows):
    """Takes a step on some rows of the data."""
    parameters, averages, optimizer_state = state
    images, labels = (tensor[rows] for tensor in data)

    def objective(parameters):
      logits, changed = model.apply(
          {'params': parameters, **averages},
          images,
          is_training=True,
          mutable=list(averages),
      )
      return _loss(case, labels, logits), (logits, changed)

    (loss, (logits, averages)), gradients = jax.value_and_grad(
        objective, has_aux=True
    )(parameters)
    updates, optimizer_state = optimizer.update(
        gradients, optimizer_state, parameters
    )
    parameters = optax.apply_updates(parameters, updates)
    sums = jnp.stack([loss, (logits.argmax(-1) == labels).mean()])
    return (parameters, averages, optimizer_state), sums

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def summed_step(state, sums, data, rows):
    state, more = train_step(state, data, rows)
    return state, sums + more

  @functools.partial(jax.jit, donate_argnums=0)
  def train_epoch(state, data, order):
    state, sums = jax.lax.scan(
        lambda state, rows: train_step(state, data, rows), state, order
    )
    return state, sums.sum(0)

  @jax.jit
  def predict(state, images):
    variables = {'params': state[0], **state[1]}
    return model.apply(variables, images, is_training=False).argmax(-1)

  state = make_state(jax.random.key(run.seed))
  data = (images, labels)
  generator = np.random.default_rng(run.seed)
  for _ in run.epochs():
    order = generator.permutation(len(run.train.labels)).astype(np.int32)
    order = order.reshape(run.num_steps, case.batch_size)
    if run.variant.startswith('scan'):
      state, sums = train_epoch(state, data, order)
    else:
      sums = jnp.zeros([2])
      for rows in order:
        state, sums = summed_step(state, sums, data, rows)
        if run.is_first_step:
          sums.block_until_ready()
          run.end_step()
    # The state too: reading the sums alone would not wait for the last update.
    jax.block_until_ready(state)
    run.end_epoch(*(np.asarray(sums) / run.num_steps))

  batches = run.test.scaled().reshape(
      -1, protocol.EVAL_BATCH_SIZE, *cases.IMAGE_SHAPE
  )
  predictions = [predict(state, batch) for batch in batches]
  run.finish(
      accuracy=(np.concatenate(predictions) == run.test.labels).mean(),
      num_parameters=sum(leaf.size for leaf in jax.tree.leaves(state[0])),
      device=jax_device.name(),
      versions={
          module.__name__: module.__version__ for module in (jax, flax, optax)
      },
  )


if __name__ == '__main__':
  main()
