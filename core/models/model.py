"""The base class of models: building, named inputs and heads, output shapes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

# A shape, a `tf.TensorSpec` or another spec, or a nest of them.
Shapes = Any
_NO_ZEROS = (tf.resource, tf.variant)


class Model(snt.Module):
  """A module from inputs to logits, or to a mapping of named outputs.

  A subclass implements ``__call__(inputs, is_training, seed=None)``. It returns
  logits ``[batch_size, ..., num_classes]``, or a mapping that has them as
  ``logits``. A mapping may contain further heads, which the loss scores with
  ``head_weights``, and, as ``losses``, a mapping of per-example losses
  ``[batch_size]`` of the model itself, which are added to the objective.

  Attributes:
    task: The model's task, in words. `launch` trains models for ``image
      classification``: of images, with logits ``[batch_size, num_classes]``.
    input_names: The inputs that the model takes. A model with one takes it as a
      tensor, one with several takes them as a mapping.
    input_dtypes: The types of inputs by name. Default: float32.
    head_weights: The weight of each output that the loss scores.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('text_classifier', 2, vocabulary_size=100)
    >>> model.build(tf.TensorSpec([None, 12], tf.int64))
    >>> model.output_shape((None, 30))
    (None, 2)
  """

  task: str = 'image classification'
  input_names: tuple[str, ...] = ('image',)
  input_dtypes: Mapping[str, tf.DType] = {}
  head_weights: Mapping[str, float] = {'logits': 1.0}

  def __call__(
      self,
      inputs: Any,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> Any:
    """Computes the outputs, see the class.

    Args:
      inputs: A tensor ``[batch_size, ...]``, or a mapping of names to tensors.
      is_training: Whether dropout, batch statistics and similar are on.
      seed: Integers ``[2]``, required in training by models with randomness.

    Returns:
      Logits ``[batch_size, ..., num_classes]``, or a mapping with them.

    Raises:
      TypeError: If the subclass has no forward pass.
    """
    raise TypeError(f'{type(self).__name__} must implement __call__.')

  def build(self, input_shape: Shapes) -> None:
    """Creates all variables, by a forward pass of one example of zeros.

    Call it eagerly and, for training over replicas, in the scope of the
    strategy. Initial weights are drawn with TensorFlow's global seed: for
    reproducible ones call ``tf.random.set_seed`` right before.

    Args:
      input_shape: The shape ``[batch_size, ...]`` of the input, with the type
        in ``input_dtypes``; or its `tf.TensorSpec`, `tf.SparseTensorSpec` or
        `tf.RaggedTensorSpec`, as in a data set's ``element_spec``. For several
        inputs, a mapping or another nest of shapes and specs. Only the batch
        size may be None.

    Raises:
      ValueError: If there is no batch axis, or another size is unknown.
      TypeError: If the model cannot take inputs of these types.
    """
    self._try(input_shape)

  def initialize(self, inputs: Any) -> None:
    """Runs data-dependent initialization; by default there is none.

    Call it once after `build`, before the first step of a new run, with the
    same inputs on all workers. Do not call it when resuming: checkpoints
    contain the result.

    Args:
      inputs: A few thousand training examples, as for `__call__`.
    """
    del inputs

  def output_shape(self, input_shape: Shapes) -> Any:
    """Returns the shape of every output; builds the model if necessary.

    Args:
      input_shape: As for `build`.

    Returns:
      A shape such as ``(None, num_classes)``, or a mapping of names to shapes.
    """
    return tf.nest.map_structure(
        lambda output: (None, *output.shape[1:]), self._try(input_shape)
    )

  def _try(self, input_shape: Shapes) -> Any:
    """Computes the outputs of one example of zeros."""
    unusual: dict[str, str] = {}

    def zeros(path: tuple[str, ...], spec: Any) -> Any:
      name = path[-1] if path else self.input_names[0]
      usual = self.input_dtypes.get(name, tf.float32)
      if not isinstance(spec, tf.TypeSpec):
        spec = tf.TensorSpec(spec, usual)
      example = _zeros(spec)
      if example.dtype != usual:
        unusual['/'.join(path) or name] = example.dtype.name
      return example

    inputs = _map(zeros, input_shape)
    try:
      return self(inputs, is_training=False)
    except (TypeError, ValueError, tf.errors.OpError) as error:
      if not unusual:
        raise
      kind = ValueError if isinstance(error, ValueError) else TypeError
      raise kind(
          f'input_shape: {type(self).__name__} failed for inputs of other '
          f'types than the expected ones, {unusual}: {error}'
      ) from error


def _map(
    function: Callable[[tuple[str, ...], Any], Any],
    shapes: Shapes,
    path: tuple[str, ...] = (),
) -> Any:
  """Maps the shapes and specs of a nest, with the path of names to each."""
  if isinstance(shapes, Mapping):
    return {
        name: _map(function, part, (*path, str(name)))
        for name, part in shapes.items()
    }
  if _is_leaf(shapes):
    return function(path, shapes)
  if hasattr(shapes, '_fields'):
    return type(shapes)(**_map(function, shapes._asdict(), path))
  return type(shapes)(_map(function, part, path) for part in shapes)


def _is_leaf(shapes: Shapes) -> bool:
  """Returns whether an object is one shape or spec, not a nest of them."""
  if isinstance(shapes, (tf.TensorShape, tf.TypeSpec)):
    return True
  if not isinstance(shapes, Sequence) or isinstance(shapes, str):
    raise ValueError(
        'input_shape: expected a shape, such as (None, 28, 28, 1), a '
        f'tf.TensorSpec, or a nest of them, got {shapes!r}.'
    )
  return all(
      size is None or isinstance(size, numbers.Integral) for size in shapes
  )


def _zeros(spec: Any) -> Any:
  """Makes one example of zeros, which sparse and ragged ones do not store."""
  if not spec.shape.rank:
    raise ValueError(
        f'input_shape: expected [batch_size, ...], got {spec.shape}.'
    )
  if isinstance(spec, tf.RaggedTensorSpec):
    lengths = [tf.zeros([1], spec.row_splits_dtype)]
    lengths += [tf.zeros([0], spec.row_splits_dtype)] * (spec.ragged_rank - 1)
    inner = _known(spec, spec.ragged_rank + 1)
    return tf.RaggedTensor.from_nested_row_lengths(
        tf.zeros([0, *inner], spec.dtype), lengths
    )
  sizes = [1, *_known(spec, 1)]
  if isinstance(spec, tf.SparseTensorSpec):
    places = tf.zeros([0, len(sizes)], tf.int64)
    return tf.SparseTensor(places, tf.zeros([0], spec.dtype), sizes)
  if not isinstance(spec, tf.TensorSpec) or spec.dtype in _NO_ZEROS:
    raise TypeError(f'input_shape: there are no zeros of {spec}.')
  return tf.zeros(sizes, spec.dtype)


def _known(spec: Any, first: int) -> list[int]:
  """Returns the sizes from an axis on, all of which must be known."""
  sizes = list(spec.shape)[first:]
  if None in sizes:
    raise ValueError(
        'input_shape: only the batch size may be unknown, got '
        f'{tuple(spec.shape)}; if the model takes any size, choose one.'
    )
  return sizes


def logits(outputs: Any) -> tf.Tensor:
  """Returns the logits in a model's outputs."""
  return outputs['logits'] if isinstance(outputs, Mapping) else outputs


def flatten(inputs: tf.Tensor) -> tf.Tensor:
  """Reshapes ``[batch_size, ...]`` to ``[batch_size, features]``."""
  return snt.flatten(tf.convert_to_tensor(inputs))


def nan_unless_finite(features: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
  """Replaces outputs ``[batch_size, num_classes]`` by NaN for bad features.

  These are features ``[batch_size, size]`` that are not all finite. A rectifier
  could turn NaN into 0 and so hide the problem.
  """
  is_finite = tf.reduce_all(tf.math.is_finite(features), axis=-1, keepdims=True)
  return tf.where(is_finite, outputs, tf.constant(math.nan, outputs.dtype))
