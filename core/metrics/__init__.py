"""Additive metrics: functions that return a pair of measure and compute.

What holds for all of them:

- Labels are ``[batch_size, ...]``: classes, tokens ``[batch_size, time]``,
  pixels ``[batch_size, height, width]``. Metrics of class labels take integers
  in [0, num_classes) and logits ``[batch_size, ..., num_classes]``; metrics of
  binary labels take 0 or 1 and logits of the labels' shape; metrics of numbers
  take predictions of the labels' shape and average over axes that weights lack.
- Weights have the labels' shape or its leading axes: weights ``[batch_size]``
  hold for all places of an example. Nothing else is broadcast. Default: each
  place counts 1. Examples of weight 0 may hold anything, even NaN and labels
  out of range.
- If all weights are 0, means are 0.
- ``measure`` raises ValueError if a shape is wrong or, eagerly, a label is out
  of range. Class labels and sizes that are not integers raise TypeError.
"""

from __future__ import annotations

from .. import deprecation
from .agreement import (
    balanced_accuracy,
    cohen_kappa,
    matthews_corrcoef,
    mean_iou,
)
from .binary import (
    binary_accuracy,
    binary_f1_score,
    binary_fbeta_score,
    binary_precision,
    binary_recall,
    binary_specificity,
)
from .calibration import expected_calibration_error, maximum_calibration_error
from .classification import (
    accuracy,
    brier_score,
    cross_entropy,
    perplexity,
    top_k_accuracy,
)
from .confusion import confusion_matrix
from .curves import (
    average_precision,
    average_precision_error_bound,
    roc_auc,
    roc_auc_error_bound,
)
from .explained import explained_variance, r2_score
from .metric import Collection, Metric, collection
from .named import of
from .precision_recall import (
    f1_score,
    fbeta_score,
    precision,
    recall,
    specificity,
)
from .regression import (
    mean,
    mean_absolute_error,
    mean_squared_error,
    root_mean_squared_error,
)

__all__ = (
    'Collection',
    'Metric',
    'accuracy',
    'average_precision',
    'average_precision_error_bound',
    'balanced_accuracy',
    'binary_accuracy',
    'binary_f1_score',
    'binary_fbeta_score',
    'binary_precision',
    'binary_recall',
    'binary_specificity',
    'brier_score',
    'cohen_kappa',
    'collection',
    'confusion_matrix',
    'cross_entropy',
    'expected_calibration_error',
    'explained_variance',
    'f1_score',
    'fbeta_score',
    'matthews_corrcoef',
    'maximum_calibration_error',
    'mean',
    'mean_absolute_error',
    'mean_iou',
    'mean_squared_error',
    'of',
    'perplexity',
    'precision',
    'r2_score',
    'recall',
    'roc_auc',
    'roc_auc_error_bound',
    'root_mean_squared_error',
    'specificity',
    'top_k_accuracy',
)

deprecation.rename(
    __name__,
    {
        'binary_f1': 'binary_f1_score',
        'binary_f_beta': 'binary_fbeta_score',
        'brier': 'brier_score',
        'f1': 'f1_score',
        'f_beta': 'fbeta_score',
        'r2': 'r2_score',
    },
)
