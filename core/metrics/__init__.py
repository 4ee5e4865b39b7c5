"""Additive metrics: functions that return a pair of measure and compute."""

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
from .metric import Metric, collection
from .precision_recall import f1, f_beta, precision, recall, specificity
from .regression import (
    mean,
    mean_absolute_error,
    mean_squared_error,
    root_mean_squared_error,
)

__all__ = (
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
