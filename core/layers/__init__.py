"""Layers that Sonnet lacks, with explicit shapes.

What holds for all of them:

- ``build(input_shape)`` creates the variables, and so does the first call.
  Build a layer before tracing it: variables cannot be created inside a
  `tf.function` under a strategy.
- ``output_shape(input_shape)`` returns the shape of the result. Both raise
  ValueError for shapes that do not fit, or differ from those the layer was
  built for, and so does a call.
- Arguments have Sonnet's names: ``output_size``, ``output_channels``,
  ``kernel_shape``, ``create_scale``, ``decay_rate``, ``rate``.
- In half precision, softmax, statistics and sums over positions are computed in
  float32.
"""

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import Softmax as Softmax
from .activations import activation as activation
from .attention import MultiHeadAttention as MultiHeadAttention
from .batch_norm import BatchNorm as BatchNorm
from .convolution import Conv2D as Conv2D
from .dense import Dense as Dense
from .dropout import Dropout as Dropout
from .embedding import Embedding as Embedding
from .noise import GaussianNoise as GaussianNoise
from .normalization import Normalization as Normalization
from .patches import PatchEmbedding as PatchEmbedding
from .patches import sincos_positions as sincos_positions
from .pooling import BlurPool as BlurPool
from .pooling import max_pool2d as max_pool2d
from .residual import Residual as Residual
from .residual import scaled_variance as scaled_variance
from .sequences import AttentionPooling as AttentionPooling
from .sequences import masked_mean as masked_mean
from .sparse_dense import SparseDense as SparseDense
from .squeeze_excitation import SqueezeAndExcitation as SqueezeAndExcitation
from .stochastic_depth import StochasticDepth as StochasticDepth
from .whitening import WhiteningConv2D as WhiteningConv2D
from .whitening import whitening_filters as whitening_filters

__all__ = [
    'ACTIVATIONS',
    'AttentionPooling',
    'BatchNorm',
    'BlurPool',
    'Conv2D',
    'Dense',
    'Dropout',
    'Embedding',
    'GaussianNoise',
    'MultiHeadAttention',
    'Normalization',
    'PatchEmbedding',
    'Residual',
    'Softmax',
    'SparseDense',
    'SqueezeAndExcitation',
    'StochasticDepth',
    'WhiteningConv2D',
    'activation',
    'masked_mean',
    'max_pool2d',
    'scaled_variance',
    'sincos_positions',
    'whitening_filters',
]
