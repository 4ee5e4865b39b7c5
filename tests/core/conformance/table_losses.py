"""Every public name of core.losses, a line each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from core import distribution, losses
from tests.core.conformance import member

NUM_CLASSES = 4
_OF_A_REPLICA = {'replicas': 'it compares the examples of a replica'}
Draw = Callable[[np.random.Generator, int], np.ndarray]


class Case(NamedTuple):
  """A loss of (labels, predictions), and how to try it.

  Attributes:
    loss: The loss, its options bound.
    labels: From (generator, batch size) to labels.
    shape: The shape of the predictions of an example.
    wrong: A label that is out of range; None where any is in it.
    batch_wide: Whether examples are compared with each other, so that the loss
      takes the weights too.
    is_gathered: Whether those of all replicas are.
    tolerance: See `member.Member`; more where float32 is all there is.
  """

  loss: Callable[..., tf.Tensor]
  labels: Draw
  shape: tuple[int, ...]
  wrong: float | None = None
  batch_wide: bool = False
  is_gathered: bool = False
  tolerance: float | None = None

  def batch(
      self, size: int = 6, dtype: Any = np.float32
  ) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    predictions = generator.normal(size=(size, *self.shape)).astype(dtype)
    return self.labels(generator, size), predictions

  def __call__(
      self, labels: Any, predictions: Any, weights: Any = None
  ) -> tf.Tensor:
    if self.batch_wide:
      return self.loss(labels, predictions, weights=weights)
    return self.loss(labels, predictions)

  def member(self) -> member.Member:
    def draw(generator, size):
      predictions = generator.normal(size=(size, *self.shape))
      return {
          'labels': self.labels(generator, size),
          'predictions': predictions.astype(np.float32),
      }

    def forward(module, batch, is_training):
      del module, is_training
      values = self(batch['labels'], batch['predictions'], batch['weight'])
      total = losses.total(values, batch['weight'])
      return member.Observed({'values': values}, {'total': total})

    is_local = self.batch_wide and not self.is_gathered
    return member.Member(
        lambda: member.Subject(forward, 'predictions'),
        draw,
        rubbish={'predictions': np.nan if self.batch_wide else 1e3},
        tolerance=self.tolerance,
        exceptions=_OF_A_REPLICA if is_local else {},
    )

  def with_options(self, **options: Any) -> Case:
    return self._replace(loss=functools.partial(self.loss, **options))


def _integers(low: int, high: int, *shape: int) -> Draw:
  return lambda generator, size: generator.integers(low, high, (size, *shape))


def _reals(*shape: int) -> Draw:
  return lambda generator, size: generator.normal(size=(size, *shape)).astype(
      np.float32
  )


def _probabilities(generator: np.random.Generator, size: int) -> np.ndarray:
  return generator.dirichlet(np.ones(NUM_CLASSES), size).astype(np.float32)


def _alternating(generator: np.random.Generator, size: int) -> np.ndarray:
  del generator
  return np.arange(size) % 2


def _of_classes(loss: Callable[..., tf.Tensor], **options: Any) -> Case:
  return Case(
      functools.partial(loss, **options),
      _integers(0, NUM_CLASSES),
      (NUM_CLASSES,),
      wrong=NUM_CLASSES,
  )


def _of_reals(loss: Callable[..., tf.Tensor], **options: Any) -> Case:
  return Case(functools.partial(loss, **options), _reals(3), (3,))


def _of_probabilities(loss: Callable[..., tf.Tensor], **options: Any) -> Case:
  return Case(
      functools.partial(loss, **options), _probabilities, (NUM_CLASSES,)
  )


def _of_binary(loss: Callable[..., tf.Tensor], *shape: int, **options) -> Case:
  return Case(
      functools.partial(loss, **options),
      _integers(0, 2, *shape),
      shape,
      wrong=2,
  )


def _confidence(labels: Any, predictions: Any, **options: Any) -> tf.Tensor:
  del labels
  return losses.confidence_penalty(predictions, **options)


def _gaussian(labels: Any, predictions: Any) -> tf.Tensor:
  return losses.gaussian_negative_log_likelihood(
      labels, predictions[..., 0], variances=tf.abs(predictions[..., 1])
  )


def _triplet(labels: Any, predictions: Any) -> tf.Tensor:
  del labels
  return losses.triplet_margin_loss(*tf.unstack(predictions, axis=1))


def _slope(labels: Any, predictions: Any) -> tf.Tensor:
  del labels
  return losses.gradient_penalty(lambda x: x * x / 2, predictions)


_WEIGHTS = [1.0, 2.0, 0.5, 3.0]
_SMOOTH = {'class_weights': _WEIGHTS, 'label_smoothing': 0.1}
_IGNORED = _integers(0, 1)

CASES = {
    'activity_penalty': Case(
        lambda _, x: losses.activity_penalty(x, l1=0.3), _IGNORED, (2, 3)
    ),
    'absolute_error': _of_reals(losses.absolute_error),
    'batch_hard_triplet': Case(
        losses.batch_hard_triplet, _alternating, (3,), batch_wide=True
    ),
    'compose': Case(
        losses.compose(
            {'huber_loss': losses.huber_loss, 'log_cosh': losses.log_cosh},
            {'huber_loss': 0.3, 'log_cosh': 2.0},
        ),
        _reals(3),
        (3,),
    ),
    'confidence_penalty': Case(_confidence, _IGNORED, (NUM_CLASSES,)),
    'contrastive': _of_binary(losses.contrastive),
    'cosine_distance': _of_reals(losses.cosine_distance),
    'ctc_loss': Case(
        losses.ctc_loss,
        _integers(1, NUM_CLASSES, 2),
        (5, NUM_CLASSES),
        wrong=0,
        tolerance=1e-2,
    ),
    'dice_loss': Case(
        losses.dice_loss,
        _integers(0, NUM_CLASSES, 5),
        (5, NUM_CLASSES),
        wrong=-1,
    ),
    'dice_loss__class_mask': Case(
        functools.partial(
            losses.dice_loss, class_mask=[False, True, True, True]
        ),
        _integers(1, NUM_CLASSES, 5),
        (5, NUM_CLASSES),
        wrong=0,
    ),
    'dice_loss__masks': _of_binary(losses.dice_loss, 2, 3),
    'distillation': Case(
        losses.distillation, _reals(NUM_CLASSES), (NUM_CLASSES,)
    ),
    'euclidean_distance': _of_reals(losses.euclidean_distance),
    'gaussian_negative_log_likelihood': Case(_gaussian, _reals(3), (3, 2)),
    'generalized_cross_entropy': _of_classes(losses.generalized_cross_entropy),
    'gradient_penalty': Case(_slope, _IGNORED, (2, 3)),
    'hinge_loss': _of_binary(losses.hinge_loss, 3),
    'huber_loss': _of_reals(losses.huber_loss, delta=0.7),
    'jensen_shannon': _of_probabilities(losses.jensen_shannon),
    'kl_divergence': _of_probabilities(losses.kl_divergence),
    'log_cosh': _of_reals(losses.log_cosh),
    'multiclass_hinge_loss': _of_classes(losses.multiclass_hinge_loss),
    'nt_xent': Case(losses.nt_xent, _reals(3), (3,), batch_wide=True),
    'poisson': Case(losses.poisson, _integers(0, 9, 3), (3,), wrong=-1),
    'poly_loss_cross_entropy': _of_classes(losses.poly_loss_cross_entropy),
    'quantile': _of_reals(losses.quantile, level=0.8),
    'sigmoid_binary_cross_entropy': _of_binary(
        losses.sigmoid_binary_cross_entropy, 3, positive_weights=[1.0, 3.0, 0.5]
    ),
    'sigmoid_focal_loss': _of_binary(
        losses.sigmoid_focal_loss, 3, alpha=0.25, gamma=0.5
    ),
    'softmax_cross_entropy': _of_classes(
        losses.softmax_cross_entropy, **_SMOOTH
    ),
    'softmax_cross_entropy__of_probabilities': _of_probabilities(
        losses.softmax_cross_entropy, **_SMOOTH
    ),
    'softmax_focal_loss': _of_classes(
        losses.softmax_focal_loss, gamma=0.5, class_weights=_WEIGHTS
    ),
    'squared_error': _of_reals(losses.squared_error),
    'supervised_contrastive': Case(
        losses.supervised_contrastive, _alternating, (3,), batch_wide=True
    ),
    'symmetric_cross_entropy': _of_classes(losses.symmetric_cross_entropy),
    'triplet_margin_loss': Case(_triplet, _IGNORED, (3, 4)),
    'tversky_loss': _of_binary(losses.tversky_loss, 5),
}
IN_BATCH = tuple(name for name, case in CASES.items() if case.batch_wide)


def _among_the_possible(name: str) -> Case:
  """Excludes class 0; where labels have classes, it is the wrong one."""
  case = CASES[name].with_options(class_mask=[False] + [True] * 3)
  if case.wrong is not None:
    return case._replace(labels=_integers(1, NUM_CLASSES), wrong=0)
  if case.labels is not _probabilities:
    return case

  def probabilities(generator, size):
    drawn = _probabilities(generator, size)[:, 1:]
    drawn /= drawn.sum(axis=1, keepdims=True)
    return np.insert(drawn, 0, 0, axis=1)

  return case._replace(labels=probabilities, wrong=0.5)


# The losses of one class among many that take a mask of classes.
OF_CLASSES = (
    'confidence_penalty',
    'distillation',
    'generalized_cross_entropy',
    'jensen_shannon',
    'kl_divergence',
    'multiclass_hinge_loss',
    'poly_loss_cross_entropy',
    'softmax_cross_entropy',
    'softmax_cross_entropy__of_probabilities',
    'softmax_focal_loss',
    'symmetric_cross_entropy',
)
CASES |= {
    f'{name}__class_mask': _among_the_possible(name) for name in OF_CLASSES
}
CASES |= {
    f'{name}__gathered': (
        CASES[name]
        .with_options(gather=distribution.all_gather)
        ._replace(is_gathered=True)
    )
    for name in IN_BATCH
}


def _function(
    function: Callable[[Any, Any], Any], *shape: int, **exceptions: str
) -> member.Member:
  """Makes a line of a function of (values, weights) to a scalar or to one."""

  def draw(generator, size):
    return {'values': generator.normal(size=(size, *shape)).astype(np.float32)}

  def forward(module, batch, is_training):
    del module, is_training
    value = function(batch['values'], batch['weight'])
    return member.Observed({}, {'value': value})

  return member.Member(
      lambda: member.Subject(forward, 'values'),
      draw,
      rubbish={'values': 1e3},
      exceptions=exceptions,
  )


def _penalty(
    penalty: Callable[..., Any],
    exceptions: dict[str, str] | None = None,
    **options: Any,
) -> member.Member:
  """Makes a line of a penalty; the values are the parameters."""
  return _function(
      lambda values, _: penalty([values], **options),
      3,
      masked='parameters are no examples and have no weights',
      **(exceptions or {}),
  )


_OF_A_MATRIX = {
    'any_size': 'its matrices are of a known shape',
    'replicas': 'a replica has the whole matrix: parts have other columns',
}
_NO_SUM = {'replicas': 'a mean of means is no mean: add totals instead'}
FUNCTIONS = {
    'elastic_net_penalty': _penalty(losses.elastic_net_penalty, l1=0.3, l2=0.7),
    'l1_penalty': _penalty(losses.l1_penalty),
    'l2_penalty': _penalty(losses.l2_penalty, scale=0.1),
    'mean': _function(losses.mean, **_NO_SUM),
    'mean__of_places': _function(losses.mean, 2, 3, **_NO_SUM),
    'orthogonality_penalty': _penalty(
        losses.orthogonality_penalty, _OF_A_MATRIX
    ),
    'total': _function(losses.total),
    'total__of_places': _function(losses.total, 2, 3),
    'weighted_sum': _function(
        lambda values, weights: losses.weighted_sum(
            {'a': losses.total(values, weights)}, {'a': 0.5}
        )
    ),
}
MEMBERS = {
    **{name: case.member() for name, case in CASES.items()},
    **FUNCTIONS,
}
