"""The options that say which examples a run sees."""

# An option is a field, not a value that objects would share.
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
      'The data set: a name of TFDS, or of a set that is prepared in '
      '--data_dir; folder:DIR, npz:FILE or csv:FILE?label=COLUMN; or '
      'package.module:function or path/file.py:function, which returns one.',
  )
  dataset_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the function that makes the data set.'
  )
  data_dir: str | None = _option(
      None,
      'The folder of prepared TFDS sets. Default: that which the run was '
      'trained with, and for a new run ~/tensorflow_datasets.',
      kind='place',
      path='remote',
  )
  archives_dir: str | None = _option(
      None,
      'A folder with the archives that TFDS would download. Default: that '
      'which the run was trained with, and for a new run where the Debian '
      'package dataset-fashion-mnist puts them.',
      kind='place',
      path='local',
  )
  task: options.Part | None = _option(
      None,
      'The task: classification, multi_label, regression, segmentation, text, '
      'or a function of your own. Default: by the target of the data set.',
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
      "The split to validate with: a name of the set's, or a slice such as "
      "train[:5000], which is then not trained on; 'none' for no validation. "
      'Default: as --validation_examples says.',
  )
  test_split: str | None = _option(
      None,
      "The split to test with at the end, likewise; 'none' for no test. "
      "Default: the split 'test', if the set has one with labels.",
  )
  image_size: tuple[int, int] | None = _option(
      None,
      'HEIGHT,WIDTH to resize images to; needed where a set has many sizes.',
      low=1,
      high=4096,
      names=('HEIGHT', 'WIDTH'),
  )
  normalize: bool = _option(
      False,
      'Whether to shift and scale the pixels in [0, 1] to mean 0 and standard '
      'deviation 1, channel by channel, as measured on the training images.',
  )
  skip_damaged: bool = _option(
      False,
      'Whether images of a folder that cannot be decoded are left out, and '
      'counted; other data that are damaged are refused in any case.',
  )
  tokenizer: str = _option(
      'words',
      'How texts are cut into tokens.',
      choices=('words', 'characters', 'trigrams', 'bytes'),
  )
  max_tokens: int = _option(
      256, 'The most tokens of a text that are used.', low=1, high=10**6
  )
