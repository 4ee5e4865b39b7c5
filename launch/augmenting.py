"""From a config to the augmentations of a run."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from core import augmentation, objectives, random
from pipelines import spec as spec_lib

from . import config as config_lib
from . import parts, programs

# Folded into the seed of the augmentations: a user's own draws other numbers.
_OWN_AUGMENTATION = 1


def own(config: config_lib.Config) -> augmentation.Augmenter | None:
  """Returns the function of `--augment`, or None without one.

  Args:
    config: The config.

  Raises:
    UserError: If the name or an argument is not valid.
  """
  if config.augment is None:
    return None
  function = parts.bind('augment', config.augment, config.augment_arg)

  def augment(batch: objectives.Batch, seed: tf.Tensor) -> objectives.Batch:
    with parts.mistakes_in_own('augment', config.augment):
      result = function(batch, random.fold_in(seed, _OWN_AUGMENTATION))
      if not isinstance(result, Mapping) or batch.keys() - result.keys():
        raise TypeError(
            f'expected a batch with {", ".join(batch)}, got {result!r}'
        )
    return result

  return augment


def built_in(
    config: config_lib.Config, spec: spec_lib.Spec
) -> augmentation.Augmenter | None:
  """Returns what `--flip`, `--max_shift` and `--random_erasing` ask for.

  Args:
    config: The config.
    spec: The features of an example.

  Returns:
    The augmentation, or None if they ask for nothing.

  Raises:
    UserError: If there is no image, a mask would be left behind, or an image
      is too small.
  """
  wanted = {
      '--flip': config.flip != 'none',
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
      flip=config.flip,
      max_shift=config.max_shift,
      erasing_probability=config.random_erasing,
      salt=config.seed,
  )
