"""Models by name: one registry and one way to construct and build them.

To add a model, add a file here and a line to `REGISTRY`.
"""

from __future__ import annotations

import inspect
from typing import Any

from .. import checks
from . import (
    convnet,
    mlp,
    reconstructing_mlp,
    resnet,
    row_rnn,
    sparse_mlp,
    speednet,
    tabular,
    text_classifier,
    unet,
    vit,
    wide_and_deep,
)
from . import model as model_lib

Model = model_lib.Model

REGISTRY: dict[str, type[model_lib.Model]] = {
    'convnet': convnet.ConvNet,
    'mlp': mlp.MLP,
    'reconstructing_mlp': reconstructing_mlp.ReconstructingMLP,
    'resnet': resnet.ResNet,
    'row_rnn': row_rnn.RowRNN,
    'sparse_mlp': sparse_mlp.SparseMLP,
    'speednet': speednet.SpeedNet,
    'tabular': tabular.Tabular,
    'text_classifier': text_classifier.TextClassifier,
    'unet': unet.UNet,
    'vit': vit.ViT,
    'wide_and_deep': wide_and_deep.WideAndDeep,
}


def arguments(name: str) -> dict[str, inspect.Parameter]:
  """Returns what a model's constructor takes besides the number of classes.

  Args:
    name: A name of `REGISTRY`.

  Returns:
    The parameters, with their annotations and default values, by name.

  Raises:
    ValueError: If the name is unknown.
  """
  checks.one_of('model', name, list(REGISTRY))
  parameters = dict(inspect.signature(REGISTRY[name].__init__).parameters)
  for reserved in ('self', 'num_classes', 'name'):
    parameters.pop(reserved, None)
  return parameters


def create(name: str, num_classes: int, **kwargs: Any) -> model_lib.Model:
  """Constructs a model; `build` creates its variables later.

  Args:
    name: A name of `REGISTRY`.
    num_classes: The number of logits, at least 1. A single one is a binary
      logit or the prediction of a number: it is ``[batch_size, 1]``, and losses
      of labels ``[batch_size]`` take its ``[:, 0]``.
    **kwargs: The model's own arguments, see `arguments`.

  Returns:
    The model.

  Raises:
    ValueError: If the name, an argument's name or an argument is invalid.

  Example:
    >>> from core import models
    >>> model = models.create('mlp', 10, hidden_sizes=(32,))
    >>> model.build((None, 28, 28, 1))
    >>> sum(v.shape.num_elements() for v in model.trainable_variables)
    25450
  """
  known = arguments(name)
  for argument in kwargs:
    checks.one_of(f'argument of {name}', argument, list(known))
  return REGISTRY[name](num_classes, **kwargs)
