"""Additive metrics: functions that return a pair of measure and compute."""

from __future__ import annotations

from .classification import accuracy, cross_entropy, top_k_accuracy
from .confusion import confusion_matrix
from .metric import Metric, collection
from .precision_recall import f1, f_beta, precision, recall, specificity
from .regression import mean

__all__ = (
    'Metric',
    'accuracy',
    'collection',
    'confusion_matrix',
    'cross_entropy',
    'f1',
    'f_beta',
    'mean',
    'precision',
    'recall',
    'specificity',
    'top_k_accuracy',
)
