"""How a data set is opened, whichever kind of source it comes from."""

from __future__ import annotations

import dataclasses
import os

from . import errors
from . import spec as spec_lib


@dataclasses.dataclass(frozen=True)
class Options:
  """What a user may say of a data set besides its name.

  Attributes:
    data_dir: The folder of prepared TFDS sets. Default: TFDS's own.
    archives_dir: A folder with the archives that TFDS would download. Default:
      that of Debian's package, for Fashion-MNIST.
    validation_examples: How many training examples to hold out; 0 for none.
      Default: the set's own validation split, or a part of the training split
      by the rule of the source.
    validation_split: The split to validate with, or 'none'.
    test_split: The split to test with, or 'none'.
    image_size: The (height, width) to resize images to. Needed where they
      differ in size.
    memory_budget_gb: A set that takes more (in 10^9 bytes) is streamed.
    skip_damaged: Whether to leave out, and count, the images of a folder that
      cannot be decoded. What is damaged elsewhere is refused in any case.
    tokenizer: How texts are cut into tokens: 'words', 'characters', 'trigrams'
      or 'bytes'.
    max_tokens: The most tokens of a text that are used.
    like: The features of a run that the data are to be read for: what columns
      are, and the vocabulary of a text, are then those of the run.
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

  def __post_init__(self):
    """Checks the size of images.

    Raises:
      DataError: If it is none.
    """
    size = self.image_size
    if size is not None and (len(size) != 2 or min(size) < 1):
      raise errors.DataError(
          f'image_size: expected (height, width), each at least 1, got {size}.'
      )
