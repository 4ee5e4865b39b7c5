"""What every member of core is to the conformance tests: a line of a table.

A line says how a loss, a metric, a layer or a model is made and which examples
it is tested on. Everything else, `observe` and `results`, is common to all, and
so is each test: one property, over every line.
"""

from __future__ import annotations

import contextlib
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from core import variables

Batch = Mapping[str, Any]
PROPERTIES = (
    'any_size',
    'bfloat16',
    'compilation',
    'gradient',
    'masked',
    'replicas',
)


class Observed(NamedTuple):
  """What a member computes of a batch, or of a replica's part of one.

  Attributes:
    examples: Tensors ``[batch_size, ...]`` by name.
    sums: A nest of tensors that are added over batches and replicas.
  """

  examples: dict[str, tf.Tensor]
  sums: dict[str, Any]


class Subject(NamedTuple):
  """A member that was made.

  Attributes:
    forward: From the module, a batch, and whether it is one of training, to
      what is computed of the batch.
    source: The entry of the batch that gradients are taken by, if any.
    finish: From sums to values by name.
    module: What holds the variables, if there are any.
  """

  forward: Callable[[Any, Batch, bool], Observed]
  source: str | None = None
  finish: Callable[[dict[str, Any]], dict[str, tf.Tensor]] = dict
  module: tf.Module | None = None

  def __call__(self, batch: Batch, is_training: bool = True) -> Observed:
    return self.forward(self.module, batch, is_training)


class Member(NamedTuple):
  """A line of a table.

  Attributes:
    make: Makes the member, and its variables if it has any.
    draw: From a generator and a batch size to a batch of arrays. All are of
      real examples; `weight` is not among them.
    rubbish: What padding holds in place of examples, by entry of the batch.
    tolerance: Of finite differences, relative; by default 1e-4 where they are
      in float64 and 1e-2 where variables are float32.
    exceptions: The properties that it cannot have, with the reasons. A test
      fails where such a property holds nevertheless.
  """

  make: Callable[[], Subject]
  draw: Callable[[np.random.Generator, int], dict[str, np.ndarray]]
  rubbish: Mapping[str, float] = {}
  tolerance: float | None = None
  exceptions: Mapping[str, str] = {}

  def batch(self, weights: Any) -> dict[str, np.ndarray]:
    """Draws a batch with the given weights; those of weight 0 are padding."""
    weights = np.asarray(weights, np.float32)
    batch = self.draw(np.random.default_rng(0), len(weights))
    for name, value in self.rubbish.items():
      batch[name][weights == 0] = value
    return {**batch, 'weight': weights}

  @contextlib.contextmanager
  def holds(self, test: unittest.TestCase, name: str) -> Iterator[None]:
    """Runs the test of a property, which fails if it is an exception here."""
    if name not in self.exceptions:
      yield
      return
    try:
      yield
    except Exception:  # pylint: disable=broad-except
      return
    test.fail(f'{name} holds; take "{self.exceptions[name]}" out of the table.')


def observe(subject: Subject, batch: Batch) -> Observed:
  """Adds gradients to what is computed: by the source, and by the variables.

  What is differentiated is the sum over examples, by their weights, of a fixed
  mixture of all that is computed of an example, and of all sums.
  """
  if subject.source is None:
    return subject(batch)
  parameters = variables.trainable(subject.module) if subject.module else {}
  with tf.GradientTape() as tape:
    tape.watch(batch[subject.source])
    examples, sums = subject(batch)
    scalar = mixture(examples, sums, batch['weight'])
  by_source, by_parameters = tape.gradient(
      scalar, (batch[subject.source], parameters), unconnected_gradients='zero'
  )
  sums = {**sums, 'mixture': scalar}
  for name, gradient in by_parameters.items():
    sums[f'gradient of {name}'] = tf.convert_to_tensor(gradient)
  return Observed({**examples, 'gradient': by_source}, sums)


def mixture(
    examples: dict[str, tf.Tensor], sums: dict[str, Any], weights: tf.Tensor
) -> tf.Tensor:
  """Mixes everything with factors that differ from each other."""
  total = tf.zeros([], weights.dtype)
  for values in examples.values():
    values = tf.cast(values, weights.dtype)
    size = max(1, values.shape[1:].num_elements())
    factors = np.cos(np.arange(size)) + 0.5
    values = tf.reshape(values, [-1, size]) * tf.cast(factors, weights.dtype)
    mixed = tf.reduce_sum(values, axis=-1)
    total += tf.reduce_sum(tf.where(weights > 0, mixed * weights, 0))
  for value in tf.nest.flatten(sums):
    total += tf.reduce_sum(tf.cast(value, weights.dtype))
  return total


def tensors(
    batch: Batch, source: str | None = None, dtype: Any = None
) -> Batch:
  """Converts arrays to tensors, the source and the weights to a dtype."""
  converted = {name: tf.constant(value) for name, value in batch.items()}
  if dtype and source is not None:
    converted[source] = tf.cast(converted[source], dtype)
  if dtype:
    wide = tf.float64 if dtype == tf.float64 else tf.float32
    converted['weight'] = tf.cast(converted['weight'], wide)
  return converted


def results(
    subject: Subject, batch: Batch, function: Callable[..., Observed] = observe
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """Evaluates a subject and leaves its variables as they were.

  Args:
    subject: The subject.
    batch: A batch of tensors.
    function: `observe`, or what was made of it.

  Returns:
    What is an example's, and the rest: finished sums, and variables that the
    evaluation changed.
  """
  named = variables.named(subject.module) if subject.module else {}
  before = {name: variable.numpy() for name, variable in named.items()}
  observed = function(subject, batch)
  rest = {**named, **finished(subject, observed.sums)}
  rest = {name: np.asarray(value) for name, value in rest.items()}
  for name, value in before.items():
    named[name].assign(value)
  return {n: v.numpy() for n, v in observed.examples.items()}, rest


def finished(subject: Subject, sums: dict[str, Any]) -> dict[str, tf.Tensor]:
  """Turns sums into values, those that `observe` added included."""
  own = {n: v for n, v in sums.items() if not _is_added(n)}
  return {
      **subject.finish(own),
      **{n: v for n, v in sums.items() if _is_added(n)},
  }


def _is_added(name: str) -> bool:
  return name == 'mixture' or name.startswith('gradient')


def assert_same(
    actual: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    tolerance: float,
) -> None:
  """Compares by name, relative to the largest number of each array."""
  assert actual.keys() == expected.keys(), (actual.keys(), expected.keys())
  for name, value in expected.items():
    value = np.asarray(value, np.float64)
    largest = np.max(np.abs(value), initial=1e-3, where=np.isfinite(value))
    np.testing.assert_allclose(
        np.asarray(actual[name], np.float64),
        value,
        rtol=tolerance,
        atol=tolerance * largest,
        err_msg=name,
    )
