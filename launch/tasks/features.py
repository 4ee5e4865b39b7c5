"""Converts the features of a batch to the inputs of a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import tensorflow as tf

from core import objectives
from pipelines import preprocessing

from .. import data as data_lib
from .. import programs

IMAGE = 'image'


def of(
    model: Any,
    given: Collection[str],
    *,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> Callable[[objectives.Batch], Any]:
  """Makes a function from a batch to the inputs of a model.

  Images become float32 in [0, 1], normalized if there are statistics; other
  features are unchanged. Models may also take the features that
  `preprocessing.FEATURES` derives from an image.

  Args:
    model: The model. Its `input_names` are its inputs. A model without them
      takes everything given.
    given: The names of the inputs in a batch.
    mean: The mean of each channel of scaled images.
    std: The standard deviation of each channel.

  Returns:
    The function. It returns a tensor for a model with one input, and else a
    mapping.

  Raises:
    UserError: If the model takes an input that is not given, or ignores one
      that is.
  """
  wanted = tuple(getattr(model, 'input_names', ())) or tuple(given)
  sources = _sources(model, wanted, given)

  def inputs(batch: objectives.Batch) -> Any:
    images: tf.Tensor | None = None
    found: dict[str, Any] = {}
    for name, source in sources.items():
      if source != IMAGE:
        value = batch[source]
        is_image = value.dtype == tf.uint8 and len(value.shape) == 4
        found[name] = preprocessing.scale(value) if is_image else value
        continue
      if images is None:  # Shared by all features derived from the image.
        images = _scaled(batch[IMAGE], mean, std)
      found[name] = preprocessing.FEATURES.get(name, tf.identity)(images)
    return found if len(wanted) > 1 else found[wanted[0]]

  return inputs


def of_data(
    model: Any, data: data_lib.DataSpec
) -> Callable[[objectives.Batch], Any]:
  """Calls `of` with all inputs of the data of a run."""
  return of(model, list(data.spec.inputs), mean=data.mean, std=data.std)


def _sources(
    model: Any, wanted: Sequence[str], given: Collection[str]
) -> dict[str, str]:
  """Returns the feature that each model input is computed from."""
  derived = preprocessing.FEATURES if IMAGE in given else {}
  sources = {
      name: name if name in given else IMAGE
      for name in wanted
      if name in given or name in derived
  }
  missing = [name for name in wanted if name not in sources]
  if missing and len(wanted) == len(given) == 1:
    return {wanted[0]: next(iter(given))}  # Unambiguous, whatever the names.
  what = type(model).__name__
  # A table may have only numbers or only categories; its model handles both.
  if missing and (derived or not sources):
    known = sorted({*given, *derived})
    raise programs.UserError(
        f'--model_arg: {what} takes the input {missing[0]!r}; the data set '
        f'gives: {", ".join(known) or "none"}.'
    )
  unused = sorted(set(given) - set(sources.values()))
  if unused:
    raise programs.UserError(
        f'--model: {what} takes {", ".join(wanted)}, and the data set has '
        f'{", ".join(unused)} as well; name a model that takes all, or leave '
        'them out of the data set.'
    )
  return sources


def _scaled(
    images: Any, mean: Sequence[float], std: Sequence[float]
) -> tf.Tensor:
  """Scales uint8 images; users of an export may pass scaled ones."""
  images = tf.convert_to_tensor(images)
  if not images.dtype.is_floating:
    images = preprocessing.scale(images)
  return preprocessing.normalize(images, mean, std) if mean else images
