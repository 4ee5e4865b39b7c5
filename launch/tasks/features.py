"""From the features of a batch to the inputs of a model."""

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
  """Makes a function of a batch to what a model takes.

  Images become float32 in [0, 1], and are normalised where there are
  statistics; all else is as it is. Of an image there is also what
  `preprocessing.FEATURES` derives.

  Args:
    model: The model. What it takes is in its `input_names`, if it has them; one
      without takes all that is given.
    given: The names of the inputs that a batch has.
    mean: The mean of each channel of scaled images.
    std: Their standard deviations.

  Returns:
    The function. It returns a tensor for a model of one input, and a mapping
    for one of several.

  Raises:
    UserError: If the model takes something that is not given, or not all that
      is given.
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
      if images is None:  # One for all that is derived of it.
        images = _scaled(batch[IMAGE], mean, std)
      found[name] = preprocessing.FEATURES.get(name, tf.identity)(images)
    return found if len(wanted) > 1 else found[wanted[0]]

  return inputs


def of_data(
    model: Any, data: data_lib.DataSpec
) -> Callable[[objectives.Batch], Any]:
  """Does the same for all inputs of the data of a run, see `of`."""
  return of(model, list(data.spec.inputs), mean=data.mean, std=data.std)


def _sources(
    model: Any, wanted: Sequence[str], given: Collection[str]
) -> dict[str, str]:
  """Returns the feature that each input of a model is made of."""
  derived = preprocessing.FEATURES if IMAGE in given else {}
  sources = {
      name: name if name in given else IMAGE
      for name in wanted
      if name in given or name in derived
  }
  missing = [name for name in wanted if name not in sources]
  if missing and len(wanted) == len(given) == 1:
    return {wanted[0]: next(iter(given))}  # There is no doubt what is meant.
  what = type(model).__name__
  # A table may have numbers or categories alone; its model knows both.
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
  """Scales bytes; those who use an export may have done so already."""
  images = tf.convert_to_tensor(images)
  if not images.dtype.is_floating:
    images = preprocessing.scale(images)
  return preprocessing.normalize(images, mean, std) if mean else images
