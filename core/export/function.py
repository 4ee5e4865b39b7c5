"""Exports of any function of named tensors, with the model that it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from .. import variables
from . import pictures

Arrays = Mapping[str, np.ndarray]
Runner = Callable[[Arrays], dict[str, np.ndarray]]
_DEFAULT = 'serving_default'


class UnsupportedError(ValueError):
  """A format cannot hold a model."""


class Exportable(Protocol):
  """An object that `save_saved_model` and `save_tflite` can save.

  Attributes:
    label_names: The name of each class, if there are classes.
  """

  label_names: tuple[str, ...]

  def signatures(self) -> dict[str, Any]:
    """Returns the functions of a SavedModel."""

  def numeric_signatures(self) -> dict[str, Any]:
    """Returns the functions for runtimes without strings."""


class Function(tf.Module):
  """Maps named inputs to named outputs.

  It owns only the model's variables: saved files contain no optimizer state.

  Attributes:
    model: The model.
    label_names: The name of each class, if there are classes.
    predict: A `tf.function` of the inputs by name.

  Example:
    >>> import tensorflow as tf
    >>> from core import export, layers
    >>> model = layers.Dense(1, w_init=tf.ones)
    >>> model.build([None, 2])
    >>> double = export.Function(
    ...     model,
    ...     lambda inputs: {'sum': model(inputs['x'])[:, 0]},
    ...     {'x': tf.TensorSpec([None, 2], tf.float32)})
    >>> double.predict(x=tf.constant([[1.0, 2.0]]))['sum'].numpy().tolist()
    [3.0]
  """

  def __init__(
      self,
      model: tf.Module,
      function: Callable[[dict[str, tf.Tensor]], Mapping[str, tf.Tensor]],
      signature: Mapping[str, tf.TensorSpec],
      label_names: Sequence[str] = (),
  ):
    """Wraps a function of a built model.

    Args:
      model: The model that the function calls.
      function: From a mapping of inputs ``[batch_size, ...]`` to one of outputs
        ``[batch_size, ...]``.
      signature: The inputs by name; their first size is None.
      label_names: The name of each class, one line of text each.

    Raises:
      ValueError: If the model is not built, or there is no input.
    """
    super().__init__(name='function')
    if not variables.named(model):
      raise ValueError(
          'model: it has no variables; build it and restore its checkpoint '
          'before wrapping it.'
      )
    if not signature:
      raise ValueError('signature: expected at least one input, got none.')
    self.model = model
    self.label_names = tuple(label_names)
    self._call = function
    self._signature = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in signature.items()
    }
    self.predict = self._function(self._outputs)

  def signatures(self) -> dict[str, Any]:
    """Returns the default, and ``bytes`` if the only input is a uint8 image.

    ``bytes`` takes ``image_bytes``, strings ``[batch_size]``: PNG or JPEG files
    of images of any size.
    """
    of_bytes = {}
    [(name, spec), *others] = self._signature.items()
    if not others:
      of_bytes = pictures.signatures(
          lambda image: self._outputs(**{name: image}),
          spec.shape.as_list()[1:],
          spec.dtype,
      )
    return {_DEFAULT: self._traced(self.predict), **of_bytes}

  def numeric_signatures(self) -> dict[str, Any]:
    """Returns the function without outputs that are strings."""
    return {_DEFAULT: self._traced(self._function(self._numbers))}

  def _function(self, method: Callable[..., Any]) -> Any:
    return tf.function(method, autograph=False)

  def _traced(self, function: Any) -> Any:
    return function.get_concrete_function(**self._signature)

  def _outputs(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    return dict(self._call(inputs))

  def _numbers(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        name: value
        for name, value in self._outputs(**inputs).items()
        if value.dtype != tf.string
    }


def of_data(exportable: Exportable) -> tuple[str, Any]:
  """Returns the name and trace of the signature with the data set's types.

  A classifier's takes raw uint8.
  """
  functions = exportable.numeric_signatures()
  name = 'uint8' if 'uint8' in functions else _DEFAULT
  found = functions[name]
  is_traced = not hasattr(found, 'get_concrete_function')
  return name, found if is_traced else found.get_concrete_function()


def matching(known: Mapping[str, Mapping[str, Any]], inputs: Arrays) -> str:
  """Returns the first signature that takes inputs of these names and types.

  The signatures are mappings of the types of inputs, by name.

  Raises:
    ValueError: If there is none.
  """
  given = {name: np.dtype(value.dtype) for name, value in inputs.items()}
  for name, types in known.items():
    if {key: np.dtype(each) for key, each in types.items()} == given:
      return name
  shown = ', '.join(f'{name} {each}' for name, each in given.items())
  raise ValueError(f'inputs: no signature takes {shown}.')
