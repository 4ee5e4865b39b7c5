"""The options that choose the examples of a run."""

# Options are dataclass fields, not default values that objects share.
# ruff: noqa: RUF009

from __future__ import annotations

import dataclasses

from . import options

_option = options.option


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions(options.Options):
  """What a run is trained, validated and tested on."""

  dataset: options.Part = _option(
      'fashion_mnist',
      'The data set: the name of a TFDS data set or of one prepared in '
      '--data_dir; folder:DIR, npz:FILE or csv:FILE?label=COLUMN; or a '
      'function that returns one, as package.module:function or '
      'path/file.py:function.',
  )
  dataset_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the function that makes the data set.'
  )
  data_dir: str | None = _option(
      None,
      'The folder of prepared TFDS data sets. Default: the folder the run was '
      'trained with, and ~/tensorflow_datasets for a new run.',
      kind='place',
      path='remote',
  )
  archives_dir: str | None = _option(
      None,
      'A folder with the archives that TFDS would download. Default: the '
      'folder the run was trained with, and for a new run the folder of the '
      'Debian package dataset-fashion-mnist.',
      kind='place',
      path='local',
  )
  task: options.Part | None = _option(
      None,
      'The task: classification, multi_label, regression, segmentation, text, '
      'or your own function. Default: the task that fits the target of the '
      'data set.',
  )
  task_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the task.'
  )
  validation_examples: int | None = _option(
      None,
      'How many training examples to hold out for validation. Default: the '
      "set's own validation split, or a twelfth of the training split: 5,000 "
      'of the 60,000 of Fashion-MNIST.',
      low=0,
      high=10**9,
  )
  validation_split: str | None = _option(
      None,
      'The split to validate on: the name of a split of the data set, or a '
      'slice such as train[:5000], which is then excluded from training; '
      "'none' for no validation. Default: as --validation_examples.",
  )
  test_split: str | None = _option(
      None,
      'The split to test on at the end, in the same form. '
      "Default: the split 'test', if the data set has one with labels.",
  )
  image_size: tuple[int, int] | None = _option(
      None,
      'HEIGHT,WIDTH to resize images to; required for images of several sizes.',
      low=1,
      high=4096,
      names=('HEIGHT', 'WIDTH'),
  )
  normalize: bool = _option(
      False,
      'Whether to shift and scale each channel, in [0, 1], to mean 0 and '
      'standard deviation 1 over the training images.',
  )
  skip_damaged: bool = _option(
      False,
      'Whether to skip (and count) images of a folder that cannot be decoded. '
      'Other damaged data always raise an error.',
  )
  tokenizer: str = _option(
      'words',
      'How to split texts into tokens.',
      choices=('words', 'characters', 'trigrams', 'bytes'),
  )
  max_tokens: int = _option(
      256, 'The maximum number of tokens per text.', low=1, high=10**6
  )
