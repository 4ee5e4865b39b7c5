"""Explicit layers that Sonnet lacks; what Sonnet has is Sonnet's."""

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
