"""Explicit layers that Sonnet lacks; what Sonnet has is Sonnet's."""

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import Softmax as Softmax
from .activations import activation as activation
from .dense import Dense as Dense
from .dropout import Dropout as Dropout

__all__ = ['ACTIVATIONS', 'Dense', 'Dropout', 'Softmax', 'activation']
