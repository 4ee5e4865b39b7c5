"""Every model of the registry: the lines are those of models.cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core import models
from tests.core.conformance import member, table_layers
from tests.core.models import cases

IMAGE_SHAPE = (8, 8, 1)
_PADDING = 'batch norm counts padding: batches of training have none'
_MAXIMA = 'maxima change hands within the steps of finite differences'
EXCEPTIONS = {
    'resnet': {'masked': _PADDING},
    'speednet': {'masked': _PADDING, 'gradient': _MAXIMA},
    'text_classifier': {'gradient': 'tokens are integers'},
    'unet': {'masked': _PADDING},
}
# The replicas' train steps see the models as they are; here random numbers,
# which go by the place in the batch, and kinks next to finite differences would
# hide what is compared.
_CALM = {'activation': 'elu', 'dropout_rate': 0, 'stochastic_depth_rate': 0}


def create(name: str) -> models.Model:
  """Builds a model without randomness, and smooth where it has the choice."""
  known = models.arguments(name)
  model = cases.create(
      name, **{key: value for key, value in _CALM.items() if key in known}
  )
  model.build(cases.input_shapes(model, IMAGE_SHAPE))
  table_layers.initialize(model)
  return model


def flat(outputs: Any, path: str = '') -> dict[str, Any]:
  """Names the leaves of a model's outputs, or of their shapes."""
  if not isinstance(outputs, Mapping):
    return {path or 'logits': outputs}
  return {
      name: value
      for key, part in outputs.items()
      for name, value in flat(part, f'{path}/{key}').items()
  }


def _model(name: str) -> member.Member:
  def made() -> member.Subject:
    model = create(name)

    def forward(
        model: models.Model, batch: member.Batch, is_training: bool
    ) -> member.Observed:
      inputs = {key: batch[key] for key in model.input_names}
      if 'bag' in inputs:
        inputs['bag'] = table_layers.sparse(inputs['bag'])
      if len(inputs) == 1:
        [inputs] = inputs.values()
      return member.Observed(flat(model(inputs, is_training)), {})

    return member.Subject(forward, _source(model), module=model)

  def draw(generator: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    seed = generator.integers(100)
    return cases.batch(cases.create(name), IMAGE_SHAPE, size, seed)

  return member.Member(
      made,
      draw,
      rubbish=_rubbish(cases.create(name)),
      tolerance=3e-2,
      exceptions=EXCEPTIONS.get(name, {}),
  )


def _source(model: models.Model) -> str | None:
  """Returns the last input of floats."""
  floats = [n for n in model.input_names if n not in model.input_dtypes]
  return floats[-1] if floats else None


def _rubbish(model: models.Model) -> dict[str, float]:
  source = _source(model)
  return {source: 1e2} if source else {model.input_names[-1]: 2}


MEMBERS = {name: _model(name) for name in models.REGISTRY}
