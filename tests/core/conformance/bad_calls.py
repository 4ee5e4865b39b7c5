"""For every public name a good call, and what spoils it, an argument at a time.

Names of which any argument will do are those whose docstrings have no
`Raises:`; docstring_test lists them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from core import metrics

_REALS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
_ZEROS = np.zeros([6, 3], np.int64)
_CLASSES = np.arange(6) % 3
_PROBABILITIES = np.full([6, 3], 1 / 3, np.float32)
_SEQUENCES = np.ones([6, 4, 3], np.float32)

# Arguments that errors call by the name of what makes use of them.
CALLED = {
    'adam_learning_rate': 'learning_rate',
    'constraints': 'mask',
    'muon_mask': 'mask',
    'name_or_function': 'activation',
    'schedules': 'boundaries',
    'transforms': 'mask',
    'trust_ratio_mask': 'mask',
    'weight_decay_mask': 'mask',
}


class Line(NamedTuple):
  """A good call, and bad values by argument.

  Attributes:
    good: The arguments of a good call.
    bad: Values of arguments, by name, each of which spoils the call.
    shapes: Input shapes for which a valid layer cannot be built.
  """

  good: dict[str, Any]
  bad: dict[str, list[Any]]
  shapes: tuple[tuple[int | None, ...], ...] = ()


def line(
    bad: dict[str, Any],
    shapes: tuple[tuple[int | None, ...], ...] = (),
    **good: Any,
) -> Line:
  """Makes a line; several bad values of an argument are a list."""
  listed = {
      name: value if isinstance(value, list) else [value]
      for name, value in bad.items()
  }
  return Line(good, listed, shapes)


_MASKS = [[True, True], np.ones([6, 1], bool), np.ones([6], bool), [1, 1, 1]]


def _of_classes(**bad: Any) -> Line:
  bad = {
      'class_mask': [*_MASKS, [False, True, True]],
      'labels': [_CLASSES[:2], _CLASSES[:, None], _REALS[:, 0], _CLASSES + 1],
      'logits': [_REALS[0], _ZEROS],
      **bad,
  }
  return line(bad, labels=_CLASSES, logits=_REALS)


def _of_binary(**bad: Any) -> Line:
  bad = {'labels': [_ZEROS[:2], _ZEROS + 2], 'logits': [_ZEROS], **bad}
  return line(bad, labels=_ZEROS, logits=_REALS)


def _of_reals(**bad: Any) -> Line:
  bad = {'labels': [_REALS[:1]], 'predictions': [_ZEROS], **bad}
  return line(bad, labels=_REALS, predictions=_REALS)


def _of_probabilities(**bad: Any) -> Line:
  bad = {
      'class_mask': [*_MASKS, [False, True, True]],
      'labels': [_PROBABILITIES[:2], _REALS, 2 * _PROBABILITIES],
      'logits': [_ZEROS],
      **bad,
  }
  return line(bad, labels=_PROBABILITIES, logits=_REALS)


def _penalty(**bad: Any) -> Line:
  return line({'tensors': [[_ZEROS]], 'scale': -1.0, **bad}, tensors=[_REALS])


_WEIGHTS = [_REALS[:2, 0], np.ones([6, 1])]
_IN_BATCH = {'weights': _WEIGHTS, 'gather': [True]}
_OF_PLACES = [*_WEIGHTS, np.ones([3]), np.ones([1, 3]), np.float32(1)]
LOSSES = {
    'absolute_error': _of_reals(),
    'activity_penalty': line(
        {'activations': [_ZEROS, 1.0], 'l1': -1.0, 'l2': -1.0},
        activations=_REALS,
    ),
    'batch_hard_triplet': line(
        {**_IN_BATCH, 'labels': [_CLASSES[:2]], 'margin': -1.0},
        labels=_CLASSES,
        embeddings=_REALS,
    ),
    'compose': line(
        {'losses': [{}], 'weights': [{'b': 1.0}]}, losses={'a': tf.identity}
    ),
    'confidence_penalty': line(
        {'logits': [_ZEROS, 1.0], 'class_mask': _MASKS}, logits=_REALS
    ),
    'contrastive': line(
        {'labels': [[1, 0], [2]], 'distances': [[1]], 'margin': -1.0},
        labels=[1],
        distances=[1.0],
    ),
    'cosine_distance': _of_reals(),
    'ctc_loss': line(
        {'labels': [_CLASSES, _ZEROS[:2, :2]], 'logits': [_REALS, _ZEROS]},
        labels=_ZEROS[:, :2] + 1,
        logits=_SEQUENCES,
    ),
    'dice_loss': _of_binary(smoothing=0.0),
    'distillation': line(
        {
            'teacher_logits': [_REALS[:2]],
            'logits': [_ZEROS],
            'temperature': 0,
            'class_mask': _MASKS,
        },
        teacher_logits=_REALS,
        logits=_REALS,
    ),
    'elastic_net_penalty': line(
        {'tensors': [[_ZEROS]], 'l1': -1.0, 'l2': -1.0},
        tensors=[_REALS],
        l1=1.0,
        l2=1.0,
    ),
    'euclidean_distance': _of_reals(),
    'gaussian_negative_log_likelihood': line(
        {
            'labels': [_REALS[:1]],
            'variances': [_REALS[:1], _ZEROS],
            'smallest_variance': 0.0,
        },
        labels=_REALS,
        means=_REALS,
        variances=_PROBABILITIES,
    ),
    'generalized_cross_entropy': _of_classes(q=[0.0, 1.5]),
    'gradient_penalty': line(
        {'function': lambda x: 1.0, 'inputs': [_ZEROS, 1.0], 'target_norm': -1},
        function=lambda x: x * x,
        inputs=_REALS,
    ),
    'hinge_loss': _of_binary(),
    'huber_loss': _of_reals(delta=0.0),
    'jensen_shannon': _of_probabilities(),
    'kl_divergence': _of_probabilities(),
    'l1_penalty': _penalty(),
    'l2_penalty': _penalty(),
    'log_cosh': _of_reals(),
    'mean': line(
        {'values': [1.0, _CLASSES], 'weights': _OF_PLACES}, values=_REALS
    ),
    'multiclass_hinge_loss': _of_classes(margin=-1.0),
    'nt_xent': line(
        {**_IN_BATCH, 'first': [_REALS[:2]], 'temperature': 0.0},
        first=_REALS,
        second=_REALS,
    ),
    'orthogonality_penalty': _penalty(tensors=[_REALS[0]]),
    'poisson': line(
        {'labels': [_ZEROS[:1], _ZEROS - 1], 'log_rates': [_ZEROS]},
        labels=_ZEROS,
        log_rates=_REALS,
    ),
    'poly_loss_cross_entropy': _of_classes(epsilon=-1.5),
    'quantile': _of_reals(level=[-0.1, 1.1]),
    'sigmoid_binary_cross_entropy': _of_binary(positive_weights=[[1.0, 2.0]]),
    'sigmoid_focal_loss': _of_binary(alpha=2.0, gamma=-1.0),
    'softmax_cross_entropy': _of_classes(
        class_weights=[[1.0, 2.0]], label_smoothing=[-0.1, 1.1]
    ),
    'softmax_focal_loss': _of_classes(gamma=-1.0, class_weights=[[1.0, 2.0]]),
    'squared_error': _of_reals(),
    'supervised_contrastive': line(
        {**_IN_BATCH, 'labels': [_CLASSES[:2]], 'temperature': 0.0},
        labels=_CLASSES,
        embeddings=_REALS,
    ),
    'symmetric_cross_entropy': _of_classes(alpha=-1.0, beta=-1.0, log_zero=1.0),
    'total': line(
        {'values': [1.0, _CLASSES], 'weights': _OF_PLACES}, values=_REALS
    ),
    'triplet_margin_loss': line(
        {'positives': [_REALS[:2]], 'anchors': [_ZEROS], 'margin': -1.0},
        anchors=_REALS,
        positives=_REALS,
        negatives=_REALS,
    ),
    'tversky_loss': _of_binary(alpha=-1.0, beta=-1.0, smoothing=0.0),
    'weighted_sum': line(
        {'values': [{}], 'weights': [{'b': 1.0}]}, values={'a': 1.0}
    ),
}


def _counts(num_classes: int | None = 3, **bad: Any) -> Line:
  return line({'num_classes': [1, 2.5], **bad}, num_classes=num_classes)


def _rate(**bad: Any) -> Line:
  return _counts(average='mean', zero_division=2.0, **bad)


def _binary(**bad: Any) -> Line:
  return line({'threshold': [1.5, [0.5, -1.0]], 'zero_division': 2.0, **bad})


_BINS = line({'num_bins': [0, 2.5]})
_CURVE = _counts(average='samples', num_bins=[2, 100])
# The measures of all metrics have their bad calls in metrics/properties_test.
METRICS = {
    'average_precision': _CURVE,
    'average_precision_error_bound': _CURVE,
    'balanced_accuracy': _counts(),
    'binary_accuracy': line({'threshold': [1.5, [0.5, -1.0]]}),
    'binary_f1_score': _binary(),
    'binary_fbeta_score': line(
        {'beta': -1.0, 'threshold': 1.5, 'zero_division': 2.0}, beta=1.0
    ),
    'binary_precision': _binary(),
    'binary_recall': _binary(),
    'binary_specificity': _binary(),
    'cohen_kappa': _counts(weighting='cubic', zero_division=2.0),
    'collection': line(
        {'metrics': [{}, {'a': len}]},
        metrics={'a': metrics.accuracy()},
    ),
    'confusion_matrix': _counts(),
    'expected_calibration_error': _BINS,
    'f1_score': _rate(),
    'fbeta_score': line(
        {'num_classes': 1, 'beta': -1.0, 'average': 'mean', 'zero_division': 2},
        num_classes=3,
        beta=2.0,
    ),
    'matthews_corrcoef': _counts(),
    'maximum_calibration_error': _BINS,
    'mean_iou': _counts(zero_division=2.0),
    'of': line(
        {
            'metric': [metrics.accuracy, len],
            'name': [None, 3],
            'labels': 3,
            'weights': 3,
        },
        metric=metrics.accuracy(),
        name='a',
    ),
    'precision': _rate(),
    'recall': _rate(),
    'roc_auc': _CURVE,
    'roc_auc_error_bound': _CURVE,
    'specificity': _rate(),
    'top_k_accuracy': line({'k': [0, 2.5]}, k=2),
}
