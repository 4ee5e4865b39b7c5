"""Options for opening a data set, common to all kinds of sources."""

from __future__ import annotations

import dataclasses
import os

from . import errors
from . import spec as spec_lib


@dataclasses.dataclass(frozen=True)
class Options:
  """User options of a data set besides its name.

  Attributes:
    data_dir: The folder of prepared TFDS data sets. Default: TFDS's own.
    archives_dir: A folder with the archives that TFDS would download. Default:
      that of Debian's package, for Fashion-MNIST.
    validation_examples: The number of training examples to hold out, or 0.
      Default: the data set's validation split, or a part of the training split
      by the rule of the source.
    validation_split: The split for validation, or 'none'.
    test_split: The split for testing, or 'none'.
    image_size: The (height, width) of resized images. Required if sizes differ.
    memory_budget_gb: Larger data sets (in 10^9 bytes) are streamed.
    skip_damaged: Whether to leave out, and count, images in a folder that
      cannot be decoded. Other damage is always an error.
    tokenizer: How texts are split into tokens: 'words', 'characters',
      'trigrams' or 'bytes'.
    max_tokens: The maximum number of tokens per text.
    like: The features of a run to read the data for, which determine the kinds
      of columns and the vocabulary of a text.
  """

  data_dir: str | os.PathLike[str] | None = None
  archives_dir: str | os.PathLike[str] | None = None
  validation_examples: int | None = None
  validation_split: str | None = None
  test_split: str | None = None
  image_size: tuple[int, int] | None = None
  memory_budget_gb: float = 4.0
  skip_damaged: bool = False
  tokenizer: str = 'words'
  max_tokens: int = 256
  like: spec_lib.Spec | None = None

  def __post_init__(self) -> None:
    """Checks the size of images.

    Raises:
      DataError: If it is invalid.
    """
    size = self.image_size
    if size is not None and (len(size) != 2 or min(size) < 1):
      raise errors.DataError(
          f'image_size: expected (height, width), each at least 1, got {size}.'
      )
