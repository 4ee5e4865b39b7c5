"""What a run is: its options, each declared once.

An option is a field of `Config`. The flag of that name, its help and bounds,
the check of a value that a program of the user's own gives, and whether it may
change when a run is resumed all come from there.
"""

# An option is a field, not a value that objects would share.
# ruff: noqa: RUF009

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from absl import flags

from . import options, typed_json

flags.disclaim_key_flags()

# What float32 holds; no more can be computed with.
_LARGEST = 1e38
_MAX_INT = 2**31 - 1
# The schedule that is the same however long the run is.
_ENDLESS = 'constant'
# What version 0.1.0 wrote: a file without these is not that of a run. Any other
# option has a default with which a run computes what it did before.
_REQUIRED = (
    'dataset', 'validation_examples', 'image_size', 'normalize', 'model',
    'model_arg', 'loss', 'loss_arg', 'class_weights', 'label_smoothing',
    'l1_penalty', 'l2_penalty', 'optimizer', 'optimizer_arg', 'learning_rate',
    'schedule', 'schedule_arg', 'clip_global_norm', 'global_batch_size',
    'num_epochs', 'num_steps', 'seed', 'log_every_steps', 'eval_every_epochs',
    'checkpoint_every_steps', 'keep_checkpoints',
)
_option = options.option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(options.Options):
  """The options of a run, which are the flags of `launch.train`.

  Any may be left out. Of --precision=auto, the program keeps what it chose: no
  work directory holds `auto`.

  Raises:
    ValueError: If a value does not fit, with the name of the field.

  Example:
    >>> from launch import config
    >>> config.Config(num_epochs=3).learning_rate
    0.001
  """

  dataset: options.Part = _option(
      'fashion_mnist',
      'The data set: a name of TFDS, or of a set that is prepared in '
      '--data_dir; folder:DIR, npz:FILE or csv:FILE?label=COLUMN; or '
      'package.module:function or path/file.py:function, which returns one.')
  dataset_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the function that makes the data set.')
  data_dir: str | None = _option(
      None,
      'The folder of prepared TFDS sets. Default: that which the run was '
      'trained with, and for a new run ~/tensorflow_datasets.',
      kind='place', path='remote')
  archives_dir: str | None = _option(
      None,
      'A folder with the archives that TFDS would download. Default: that '
      'which the run was trained with, and for a new run where the Debian '
      'package dataset-fashion-mnist puts them.',
      kind='place', path='local')
  task: options.Part | None = _option(
      None,
      'The task: classification, multi_label, regression, segmentation, text, '
      'or a function of your own. Default: by the target of the data set.')
  task_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the task.')
  validation_examples: int | None = _option(
      None,
      'How many training examples to hold out for validation. Default: the '
      "set's own validation split, or a twelfth of the training split: 5,000 "
      'of the 60,000 of Fashion-MNIST.', low=0, high=10**9)
  validation_split: str | None = _option(
      None,
      "The split to validate with: a name of the set's, or a slice such as "
      "train[:5000], which is then not trained on; 'none' for no validation. "
      'Default: as --validation_examples says.')
  test_split: str | None = _option(
      None,
      "The split to test with at the end, likewise; 'none' for no test. "
      "Default: the split 'test', if the set has one with labels.")
  image_size: tuple[int, int] | None = _option(
      None,
      'HEIGHT,WIDTH to resize images to; needed where a set has many sizes.',
      low=1, high=4096, names=('HEIGHT', 'WIDTH'))
  normalize: bool = _option(
      False,
      'Whether to shift and scale the pixels in [0, 1] to mean 0 and standard '
      'deviation 1, channel by channel, as measured on the training images.')
  model: options.Part | None = _option(
      None,
      'The model: convnet, mlp, reconstructing_mlp, resnet, row_rnn, '
      'sparse_mlp, speednet, vit or wide_and_deep for images and their '
      'classes; unet for masks; tabular; text_classifier; or one of your own. '
      'Default: convnet, unet, tabular or text_classifier, by the data.')
  model_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the model.')
  loss: options.Part | None = _option(
      None,
      'The loss: softmax_cross_entropy, softmax_focal, poly1_cross_entropy, '
      'generalized_cross_entropy, symmetric_cross_entropy, multiclass_hinge; '
      'of numbers squared_error, absolute_error, huber, log_cosh or quantile, '
      'the first three of classes as well, between probabilities and one-hot '
      'labels; of several classes sigmoid_cross_entropy, sigmoid_focal or '
      'dice; of masks dice and tversky as well; another of core.losses that '
      'fits, or one of your own. Default: the one of the task, such as '
      'softmax_cross_entropy.')
  loss_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the loss.')
  class_weights: tuple[float, ...] | Literal['balanced'] | None = _option(
      None,
      'A factor for the loss of each class, such as 1,1,2; or balanced: in '
      'inverse proportion to the training examples of each class.',
      low=0, high=1e30)
  label_smoothing: float = _option(
      0.0, 'The share of each label that is spread evenly over all classes.',
      low=0, high=1)
  l1_penalty: float = _option(
      0.0, 'The factor of the sum of absolute weights in the loss.', low=0,
      high=_LARGEST)
  l2_penalty: float = _option(
      0.0, 'The factor of the sum of squared weights in the loss.', low=0,
      high=_LARGEST)
  optimizer: options.Part = _option(
      'adam',
      'The optimizer: adafactor, adagrad, adam, adamw, lamb, lars, lion, muon, '
      'nadam, rmsprop or sgd.')
  optimizer_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the optimizer, such as momentum=0.9.')
  learning_rate: float = _option(
      1e-3, 'The learning rate, at its highest.', low=0, high=_LARGEST)
  schedule: options.Part = _option(
      'constant',
      'The learning rate over the run: constant, linear, polynomial, '
      'exponential, piecewise, cosine, warmup_cosine, onecycle or '
      'inverse_sqrt.')
  schedule_arg: options.Arguments = _option(
      {},
      'NAME=VALUE, an argument of the schedule, such as warmup_fraction=0.1.')
  clip_global_norm: float | None = _option(
      None, 'The maximum norm of all gradients together. Default: no clipping.',
      low=1e-30, high=1e30)
  metrics: tuple[options.Part, ...] = _option(
      (),
      'What is measured, with commas between the names. Default: what the task '
      'measures.', kind='free')
  metric_arg: options.Arguments = _option(
      {}, 'NAME.ARGUMENT=VALUE, an argument of the metric of that name.',
      kind='free')
  hooks: tuple[options.Part, ...] = _option(
      (),
      'What else happens in the run, with commas between the names: functions '
      'of your own, called with the step and the values after each validation.',
      kind='free')
  hook_arg: options.Arguments = _option(
      {}, 'NAME.ARGUMENT=VALUE, an argument of the hook of that name.',
      kind='free')
  precision: str = _option(
      'float32',
      'What the model computes in. Weights, their updates and the loss are '
      'float32 in any case; float16 has a dynamic loss scale. auto: bfloat16 '
      'on devices that multiply in it, else float32.',
      choices=('auto', 'float32', 'bfloat16', 'float16'))
  average_decay: float | None = _option(
      None,
      'The rate of an average of the weights over the steps, such as 0.999. '
      'The average is what gets evaluated and exported. Default: no average.',
      low=0, high=1)
  flip: str = _option(
      'none',
      'How to mirror training images left to right: half of them at random, or '
      'a random half in the first epoch and then each in every other epoch.',
      choices=('none', 'random', 'alternating'))
  max_shift: int = _option(
      0,
      'By how many pixels, at most, to move training images in each direction.',
      low=0, high=4096)
  random_erasing: float = _option(
      0.0,
      'How often to replace a rectangle of a training image by noise.',
      low=0, high=1)
  test_time_augmentation: str = _option(
      'none',
      'What logits are averages over in validation, test and launch.evaluate: '
      'an image and its mirror image, or these also moved by a pixel, six '
      'views in all. Exports are of the model without.',
      kind='free', choices=('none', 'flip', 'flip_shift'))
  augment: options.Part | None = _option(
      None,
      'A function of your own from a batch and a seed to a batch, which comes '
      'after the other augmentations of training examples.')
  augment_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of --augment.')
  resident_gb: float = _option(
      4.0,
      'A data set whose decoded images take up to this many 10^9 bytes lies in '
      'the memory of every device; a larger one is streamed from disk, and '
      'shuffled in a buffer of 10,000 examples.', low=0, high=1e6)
  jit: str = _option(
      'auto',
      'What XLA compiles. auto: what gains, the whole loop on one GPU and for '
      "dense networks on a CPU, else the optimizer's update. on: more than "
      'that, but no loop around convolutions on a CPU. force: all that can be.',
      kind='free', choices=('auto', 'on', 'off', 'force'))
  max_skipped_steps: int = _option(
      100,
      'End the run, with exit code 1, after so many steps in a row whose '
      'gradients were not finite and which were skipped. float16 alone skips '
      'steps, some of them to find its loss scale.',
      kind='free', low=1, high=_MAX_INT)
  freeze: str | None = _option(
      None,
      'A regular expression: variables whose whole name matches it stay as '
      'they are. Default: all are trained.', is_pattern=True)
  learning_rates: options.Factors = _option(
      {},
      'PATTERN=FACTOR, with commas between them: what the learning rate is '
      'multiplied by for variables whose whole name matches; the first pattern '
      'counts.', low=0, high=1e30, is_pattern=True)
  init_from: str | None = _option(
      None,
      'A run, by its work directory, whose last weights a new run begins with; '
      'or a checkpoint, or a folder of them, such as RUN/checkpoints/best. '
      'Variables that are not there, or of another shape, keep their initial '
      'values, which is said. Default: all begin with initial values.',
      path='local')
  init_pattern: str | None = _option(
      None,
      'A regular expression: of --init_from, only variables whose whole name '
      'matches it are taken. Default: all.', is_pattern=True)
  init_map: options.Names = _option(
      {},
      'NEW=OLD, with commas between them: variables of the part NEW of the '
      'model are those of the part OLD of --init_from, such as '
      'backbone=encoder; the most specific NEW counts, and an empty one is the '
      'whole model.')
  micro_batch_size: int | None = _option(
      None,
      'How many examples of its part of a batch a replica takes at a time, to '
      'spare memory; batch norm sees these alone. Default: all.',
      low=1, high=10**9)
  global_batch_size: int = _option(
      128, 'The examples of one step, over all replicas.', low=1, high=10**9)
  num_epochs: int = _option(
      10, 'How often to go through the training examples.', kind='length',
      low=1, high=10**6)
  num_steps: int | None = _option(
      None, 'How many steps to take, whatever --num_epochs says.',
      kind='length', low=1, high=_MAX_INT)
  seed: int = _option(
      0,
      'Decides initial weights, data order, augmentation and dropout.',
      low=0, high=_MAX_INT)
  steps_per_loop: int | None = _option(
      None,
      'How many steps a call of the graph takes at most. Default: as many as '
      'take half a second; periods cut a call short.',
      kind='place', low=1, high=_MAX_INT)
  compilation_cache_dir: str | None = _option(
      None,
      'Where to keep what XLA compiles, so that a second start need not '
      "compile again. Default: the user's cache folder; an empty name keeps "
      'nothing.', kind='start', path='empty')
  log_every_steps: int = _option(
      100, 'The steps between rows of metrics.jsonl.', kind='free', low=1,
      high=_MAX_INT)
  eval_every_epochs: int = _option(
      1, 'The epochs between validations.', kind='free', low=1, high=10**6)
  checkpoint_every_steps: int | None = _option(
      None,
      'The steps between checkpoints. Default: the end of each epoch, not '
      'sooner than ten seconds of training after the last time.',
      kind='free', low=1, high=_MAX_INT)
  keep_checkpoints: int = _option(
      3, 'How many of the last checkpoints are kept.', kind='free', low=1,
      high=10**6)
  monitor: str | None = _option(
      None,
      'The metric of validations that tells which weights are the best. '
      "Default: the task's own.", kind='free')
  keep_best: bool = _option(
      True,
      'Whether the best checkpoint is kept, in checkpoints/best.', kind='free')
  early_stopping_patience: int | None = _option(
      None,
      'End the run after so many validations in a row without a better one. '
      'Default: go on to the end.', kind='free', low=1, high=10**6)
  plateau_patience: int | None = _option(
      None,
      'Multiply the learning rate by --plateau_factor after so many '
      'validations in a row without a better one. Default: never.',
      low=1, high=10**6)
  plateau_factor: float = _option(
      0.1, 'The factor of --plateau_patience.', low=0, high=1)
  max_minutes: float | None = _option(
      None,
      'End the run, and score the test split, once it has taken so many '
      'minutes, all its starts together. Default: go on to the end.',
      kind='free', low=0, high=1e7)
  workdir: str | None = _option(
      None, 'The work directory: what a run writes, and resumes.',
      kind='place', path='local')
  strategy: str = _option(
      'auto',
      'auto and mirrored: replicas on all GPUs, else on the CPU. one_device: '
      'the first of these. multi_worker: the workers of TF_CONFIG, each of '
      'which runs this program with the same flags.',
      kind='place',
      choices=('auto', 'mirrored', 'one_device', 'multi_worker'))
  num_virtual_devices: int | None = _option(
      None,
      'Split the CPU into that many devices, to try replicas on one machine.',
      kind='place', low=1, high=64)
  accept_changes: bool = _option(
      False,
      'Whether a run goes on although flags that decide its weights, or its '
      'data, are not those that it began with. What changes is kept in the '
      'history of its config.json.', kind='start')

  def to_json(self) -> dict[str, Any]:
    """Returns what is computed as JSON has it, without where: see `place`."""
    return self.of_kind('identity', 'free', 'length')

  def place(self) -> dict[str, Any]:
    """Returns where it is computed as JSON has it."""
    return self.of_kind('place')

  @classmethod
  def from_json(cls, values: Any) -> Config:
    """Undoes `to_json`, with defaults for what an older version lacks.

    Raises:
      ValueError: If a field is unknown, missing though all versions have it, or
        of another type.
    """
    return typed_json.from_json(cls, values, _REQUIRED)

  def at(self, place: Any) -> Config:
    """Returns the same at a place that `place` returned.

    Raises:
      ValueError: As `from_json` does.
    """
    there = typed_json.from_json(Config, place)
    return dataclasses.replace(self, **there.of_kind('place'))

  def is_free(self, name: str) -> bool:
    """Returns whether an option may change when the run is resumed."""
    kind = options.declared(self)[name].kind
    if kind == 'length':
      return self.schedule == _ENDLESS
    if name == 'monitor':  # It decides when the learning rate goes down.
      return self.plateau_patience is None
    return kind != 'identity'

  def length(self, num_train_examples: int) -> int:
    """Returns the number of steps of the whole run."""
    return self.num_steps or self.num_epochs * (
        num_train_examples // self.global_batch_size
    )


def define_flags(*names: str) -> tuple[str, ...]:
  """Defines flags of the calling program: of these options, or of all.

  Returns:
    Their names, for `Config.from_flags`.
  """
  return options.define_flags(Config, *names)


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, list[Any]]:
  """Returns what differs between two mappings: `[before, now]` by name."""
  return {
      name: [before.get(name), now.get(name)]
      for name in {**before, **now}
      if before.get(name) != now.get(name)
  }
