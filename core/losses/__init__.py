"""Losses: pure functions from labels and predictions to one value per example.

What holds for all of them:

- ``fn(labels, predictions, *, ...) -> [batch_size, ...]``: nothing is reduced
  over the batch. `mean` computes the scalar and ignores examples, or places of
  an example, of weight 0.
- Losses of one class among many keep all axes but that of the classes: logits
  ``[batch_size, time, num_classes]`` have losses ``[batch_size, time]``. Losses
  of numbers and of binary labels average over all axes but the first, as
  `dice_loss` and `tversky_loss` do over places and classes. Losses of vectors
  take ``[batch_size, dimensions]``.
- Half-precision predictions are computed in float32, and the loss is float32
  (float64 for float64).
- Value and gradient are finite wherever the exact ones can be represented.
- A logit of minus infinity excludes its class: the class has probability 0,
  adds 0 log 0 = 0, and gets no gradient and no share of label smoothing. Where
  the label itself is excluded, the loss is its limit: infinite for
  cross-entropy and its variants (above 700 for `ctc_loss`), 1 / q for
  `generalized_cross_entropy`. For the binary losses, infinite logits are
  certain predictions. An example without possible classes has a loss of NaN.
- ``class_mask=``, booleans ``[num_classes]`` or of the logits' shape, excludes
  the classes where it is False, as minus infinity does; the excluded logits may
  be NaN. Labels that are excluded, or give an excluded class a probability
  other than 0, are out of range, and so is every label of an example with no
  class left. Default: all classes are possible.
- A prediction of NaN makes the loss of its example NaN.
- Classes, counts and binary labels out of range, and probabilities that are
  negative or do not add up to 1 (or to 0: no label), raise ValueError eagerly,
  and give NaN for that example in a graph; see `arguments`. Other dtypes than
  those documented raise TypeError.
- Over replicas, each loss sees the local batch. That changes no value, except
  for losses that compare the examples of a batch (`in_batch`): with
  ``gather=distribution.all_gather`` they compare those of the global batch.

Labels come first, as in scikit-learn and Keras. Optax, whose names these are,
has them second; calls in its order fail, for its logits are no labels (nor
are its targets -1 and 1 of the hinge loss; ours are 0 and 1):

==================================================  ==========================
Ours                                                Optax's order
==================================================  ==========================
``softmax_cross_entropy(labels, logits)``           ``(logits, labels)``
``sigmoid_binary_cross_entropy(labels, logits)``    ``(logits, labels)``
``sigmoid_focal_loss(labels, logits)``              ``(logits, labels)``
``poly_loss_cross_entropy(labels, logits)``         ``(logits, labels)``
``kl_divergence(labels, logits)``                   ``(log_predictions, ...)``
``hinge_loss(labels, logits)``                      ``(outputs, targets)``
``multiclass_hinge_loss(labels, logits)``           ``(scores, labels)``
``dice_loss(labels, logits)``                       ``(predictions, targets)``
``ctc_loss(labels, logits)``                        ``(logits, ..., labels)``
``huber_loss``, ``log_cosh``, ``squared_error``     makes no difference
``triplet_margin_loss``                             the same
==================================================  ==========================

Penalties on parameters (`penalties`) are ``fn(tensors, *, ...) -> []``; those
on a model's behavior at an example (`regularizers`) return ``[batch_size]``.
"""

from .. import deprecation
from .binary import sigmoid_binary_cross_entropy, sigmoid_focal_loss
from .classification import (
    poly_loss_cross_entropy,
    softmax_cross_entropy,
    softmax_focal_loss,
)
from .composition import compose, weighted_sum
from .divergences import distillation, jensen_shannon, kl_divergence
from .embeddings import (
    contrastive,
    cosine_distance,
    euclidean_distance,
    triplet_margin_loss,
)
from .in_batch import batch_hard_triplet, nt_xent, supervised_contrastive
from .likelihoods import gaussian_negative_log_likelihood, poisson
from .margins import hinge_loss, multiclass_hinge_loss
from .noise_robust import generalized_cross_entropy, symmetric_cross_entropy
from .overlaps import dice_loss, tversky_loss
from .penalties import (
    elastic_net_penalty,
    l1_penalty,
    l2_penalty,
    orthogonality_penalty,
)
from .reduction import mean, total
from .regression import (
    absolute_error,
    huber_loss,
    log_cosh,
    quantile,
    squared_error,
)
from .regularizers import activity_penalty, confidence_penalty, gradient_penalty
from .sequence import ctc_loss

__all__ = [
    'absolute_error',
    'activity_penalty',
    'batch_hard_triplet',
    'compose',
    'confidence_penalty',
    'contrastive',
    'cosine_distance',
    'ctc_loss',
    'dice_loss',
    'distillation',
    'elastic_net_penalty',
    'euclidean_distance',
    'gaussian_negative_log_likelihood',
    'generalized_cross_entropy',
    'gradient_penalty',
    'hinge_loss',
    'huber_loss',
    'jensen_shannon',
    'kl_divergence',
    'l1_penalty',
    'l2_penalty',
    'log_cosh',
    'mean',
    'multiclass_hinge_loss',
    'nt_xent',
    'orthogonality_penalty',
    'poisson',
    'poly_loss_cross_entropy',
    'quantile',
    'sigmoid_binary_cross_entropy',
    'sigmoid_focal_loss',
    'softmax_cross_entropy',
    'softmax_focal_loss',
    'squared_error',
    'supervised_contrastive',
    'symmetric_cross_entropy',
    'total',
    'triplet_margin_loss',
    'tversky_loss',
    'weighted_sum',
]

# Optax's name, which is as good.
softmax_cross_entropy_with_integer_labels = softmax_cross_entropy

deprecation.rename(
    __name__,
    {
        'ctc': 'ctc_loss',
        'dice': 'dice_loss',
        'hinge': 'hinge_loss',
        'huber': 'huber_loss',
        'multiclass_hinge': 'multiclass_hinge_loss',
        'poly1_cross_entropy': 'poly_loss_cross_entropy',
        'sigmoid_cross_entropy': 'sigmoid_binary_cross_entropy',
        'sigmoid_focal': 'sigmoid_focal_loss',
        'softmax_cross_entropy_with_probabilities': 'softmax_cross_entropy',
        'softmax_focal': 'softmax_focal_loss',
        'triplet_margin': 'triplet_margin_loss',
        'tversky': 'tversky_loss',
    },
)
