"""Additive metrics: functions that return a pair of measure and compute.

Labels have any rank from 1 on, ``[batch_size, ...]``: classes, tokens
``[batch_size, time]``, pixels ``[batch_size, height, width]``. Weights are of
the labels' shape or of its leading axes: a weight ``[batch_size]`` is that of
all of an example's places. Nothing else is broadcast. Without weights each
example, and so each place, counts 1. What has weight 0 may hold anything, NaN
and labels out of range included.
"""

from __future__ import annotations

from .agreement import (
    balanced_accuracy,
    cohen_kappa,
    matthews_corrcoef,
    mean_iou,
)
from .binary import (
    binary_accuracy,
    binary_f1,
    binary_f_beta,
    binary_precision,
    binary_recall,
    binary_specificity,
)
from .calibration import expected_calibration_error, maximum_calibration_error
from .classification import (
    accuracy,
    brier,
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
from .explained import explained_variance, r2
from .metric import Collection, Metric, collection
from .named import of
from .precision_recall import f1, f_beta, precision, recall, specificity
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
    'binary_f1',
    'binary_f_beta',
    'binary_precision',
    'binary_recall',
    'binary_specificity',
    'brier',
    'cohen_kappa',
    'collection',
    'confusion_matrix',
    'cross_entropy',
    'expected_calibration_error',
    'explained_variance',
    'f1',
    'f_beta',
    'matthews_corrcoef',
    'maximum_calibration_error',
    'mean',
    'mean_absolute_error',
    'mean_iou',
    'mean_squared_error',
    'of',
    'perplexity',
    'precision',
    'r2',
    'recall',
    'roc_auc',
    'roc_auc_error_bound',
    'root_mean_squared_error',
    'specificity',
    'top_k_accuracy',
)
