"""Makes models and losses of a task from a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from core import models, objectives
from pipelines import spec as spec_lib

from .. import config as config_lib
from .. import data as data_lib
from .. import parts, programs

Losses = Mapping[str, Callable[..., tf.Tensor]]


def default_model(spec: spec_lib.Spec) -> str:
  """Returns the name of the default model for a data set with these inputs.

  Raises:
    UserError: If no built-in model takes them.
  """
  kinds = {feature.kind for feature in spec.inputs.values()}
  is_mask = any(spec[n].kind == spec_lib.MASK for n in spec.targets)
  if kinds == {spec_lib.IMAGE}:
    return 'unet' if is_mask else 'convnet'
  if kinds and kinds <= {spec_lib.NUMBERS, spec_lib.CATEGORIES}:
    return 'tabular'
  if kinds == {spec_lib.TEXT}:
    return 'text_classifier'
  pixels = [
      n
      for n, f in spec.of_kind(spec_lib.ARRAY).items()
      if len(f.shape) in (2, 3)
  ]
  raise programs.UserError(
      f'--model: none of ours takes {", ".join(spec.inputs) or "no inputs"} '
      f'({", ".join(sorted(kinds))}); name one of your own'
      + (
          f', or give images as uint8 from 0 to 255: {pixels[0]} is '
          f'{spec[pixels[0]].dtype}.'
          if pixels
          else '.'
      )
  )


def given(data: data_lib.DataSpec, num_outputs: int) -> dict[str, Any]:
  """Returns the arguments that a model may take from its data, by name."""
  spec = data.spec
  inputs = list(spec.inputs.values())
  texts = [f for f in inputs if f.kind == spec_lib.TEXT]
  columns = [f for f in inputs if f.kind == spec_lib.CATEGORIES]
  result: dict[str, Any] = {
      'num_classes': num_outputs,
      'num_outputs': num_outputs,
      'vocabulary_sizes': tuple(
          len(each) for feature in columns for each in feature.vocabularies
      ),
  }
  if texts and texts[0].vocabularies:
    result['vocabulary_size'] = len(texts[0].vocabularies[0])
  if len(inputs) == 1:
    result['input_shape'] = inputs[0].shape
  return result


def model(
    config: config_lib.Config, data: data_lib.DataSpec, num_outputs: int
) -> Any:
  """Makes the model of a config, without its variables.

  Args:
    config: The config. Without a `model`, the data decide.
    data: The description of the data set.
    num_outputs: The number of outputs per example, or per position in it.

  Returns:
    The model.

  Raises:
    UserError: If the name or an argument is not valid.
  """
  _check_model(config.model, data.spec)
  return parts.call(
      'model',
      config.model or default_model(data.spec),
      config.model_arg,
      **given(data, num_outputs),
  )


def _check_model(name: Any, spec: spec_lib.Spec) -> None:
  """Raises UserError for a built-in model that is for other data."""
  if not isinstance(name, str) or name not in models.REGISTRY:
    return
  wanted = models.REGISTRY[default_model(spec)].task
  if models.REGISTRY[name].task != wanted:
    fitting = [n for n, m in models.REGISTRY.items() if m.task == wanted]
    raise programs.UserError(
        f'--model={name}: it is for {models.REGISTRY[name].task}, and the data '
        f'are for {wanted}, by {", ".join(sorted(fitting))}, or one of your '
        'own.'
    )


def loss(
    config: config_lib.Config,
    known: Losses,
    default: str,
    **options: Any,
) -> objectives.Loss:
  """Makes the loss of a config.

  Args:
    config: The config.
    known: The losses of the task by name.
    default: The name of the loss if the config has none.
    **options: Arguments that are passed if the loss's signature has them.

  Returns:
    A function of labels and predictions.

  Raises:
    UserError: If the name or an argument is not valid.
  """
  return parts.bind(
      'loss', config.loss or default, config.loss_arg, known, **options
  )


def for_classes(loss: objectives.Loss, num_classes: int) -> objectives.Loss:
  """Checks that a loss of classes receives one output per class.

  Args:
    loss: A function of labels and logits.
    num_classes: The number of classes.

  Returns:
    The loss, which raises UserError for other outputs.
  """

  def checked(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    shape = outputs.shape
    if shape.rank is not None and (
        shape.rank < 2 or shape[-1] not in (None, num_classes)
    ):
      raise programs.UserError(
          f'--model: it predicts {shape.as_list()}; expected an output for '
          f'each of the {num_classes} classes, [..., {num_classes}].'
      )
    return loss(labels, outputs)

  return checked


def smoothing(
    config: config_lib.Config, known: Losses, default: str
) -> dict[str, Any]:
  """Returns the label smoothing of a config, as an option of its loss.

  Raises:
    UserError: If the loss has no label smoothing.
  """
  name = config.loss or default
  if 'label_smoothing' in parts.parameters(parts.find('loss', name, known)):
    return {'label_smoothing': config.label_smoothing}
  if config.label_smoothing:
    raise programs.UserError(
        f'--label_smoothing={config.label_smoothing}: --loss={name} has none.'
    )
  return {}


def refuse_class_flags(config: config_lib.Config) -> None:
  """Rejects flags about classes, for a task without classes.

  Raises:
    UserError: If one is used.
  """
  for name in ('class_weights', 'label_smoothing'):
    if value := getattr(config, name):
      raise programs.UserError(
          f'--{name}={value}: it is for classes, and this task has none.'
      )


def refuse_views(config: config_lib.Config, why: str) -> None:
  """Rejects test-time augmentation, for a task whose outputs would move.

  Raises:
    UserError: If it is used.
  """
  if config.test_time_augmentation != 'none':
    raise programs.UserError(
        f'--test_time_augmentation={config.test_time_augmentation}: {why}.'
    )
