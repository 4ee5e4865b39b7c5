"""One class per text: classification with another kind of input."""

from __future__ import annotations

from . import classification

LOSSES = classification.LOSSES
DEFAULT_LOSS = classification.DEFAULT_LOSS
Text = classification.Classification
make = classification.make
