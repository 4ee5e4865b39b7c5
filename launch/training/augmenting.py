"""Makes the augmentations of a run from its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from core import augmentation, objectives, random
from pipelines import spec as spec_lib

from .. import config as config_lib
from .. import parts, programs
from ..lookup import own as own_parts

# Folded into the seed, so that a user's augmentation draws other random numbers
# than the built-in ones.
_OWN_AUGMENTATION = 1


def own(config: config_lib.Config) -> augmentation.Augmenter | None:
  """Returns the function that `--augment` names, or None if it is not set.

  Raises:
    UserError: If the name or an argument is not valid.
  """
  if config.augment is None:
    return None
  function = parts.bind('augment', config.augment, config.augment_arg)
  flag = f'--augment={own_parts.shown(config.augment)}'

  def augment(batch: objectives.Batch, seed: tf.Tensor) -> objectives.Batch:
    result = function(batch, random.fold_in(seed, _OWN_AUGMENTATION))
    if not isinstance(result, Mapping) or batch.keys() - result.keys():
      raise programs.UserError(
          f'{flag}: expected a batch with {", ".join(batch)}, got {result!r}.'
      )
    for name, before in batch.items():
      _check_size(flag, name, before, result[name])
    return result

  return augment


def _check_size(flag: str, name: str, before: Any, now: Any) -> None:
  """Raises UserError if the number of examples is known to have changed."""
  if isinstance(before, Mapping) or isinstance(now, Mapping):
    return
  old, new = tf.TensorShape(before.shape), tf.TensorShape(now.shape)
  if not new[:1].is_compatible_with(old[:1]):
    raise programs.UserError(
        f'{flag}: expected as many examples as in the batch, {name} {old}, got '
        f'{new}.'
    )


def built_in(
    config: config_lib.Config, spec: spec_lib.Spec
) -> augmentation.Augmenter | None:
  """Returns the augmentation of the flags, such as `--random_flip`.

  Args:
    config: The config.
    spec: The features of an example.

  Returns:
    The augmentation, or None if all of these flags are off.

  Raises:
    UserError: If the examples have no image, have a mask (which would not be
      augmented with it), or the images are too small.
  """
  wanted = {
      '--random_flip': config.random_flip != 'none',
      '--max_shift': config.max_shift > 0,
      '--random_erasing': config.random_erasing > 0,
  }
  asked = [flag for flag, is_asked in wanted.items() if is_asked]
  if not asked:
    return None
  if spec_lib.IMAGE not in spec.inputs:
    raise programs.UserError(
        f'{asked[0]}: it is for images, and the data set has '
        f'{", ".join(spec.inputs)}; --augment takes a function of your own.'
    )
  masks = [name for name, f in spec.items() if f.kind == spec_lib.MASK]
  if masks:
    raise programs.UserError(
        f'{asked[0]}: it would move the image and not its {masks[0]}; '
        '--augment takes a function of your own that moves both.'
    )
  smallest = min(spec[spec_lib.IMAGE].shape[:2])
  if config.max_shift >= smallest:
    raise programs.UserError(
        f'--max_shift={config.max_shift}: expected less than the {smallest} '
        'pixels of an image.'
    )
  return augmentation.augment(
      flip=config.random_flip,
      max_shift=config.max_shift,
      erasing_probability=config.random_erasing,
      salt=config.seed,
  )
