"""The options that say what is trained on the examples, and how."""

# An option is a field, not a value that objects would share.
# ruff: noqa: RUF009

from __future__ import annotations

import dataclasses
from typing import Literal

from . import data_options, options

# What float32 holds; no more can be computed with.
_LARGEST = 1e38
_MAX_INT = 2**31 - 1
_option = options.option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions(data_options.DataOptions):
  """What decides the weights, besides the examples, and what is measured."""

  model: options.Part | None = _option(
      None,
      'The model: convnet, mlp, reconstructing_mlp, resnet, row_rnn, '
      'sparse_mlp, speednet, vit or wide_and_deep for images and their '
      'classes; unet for masks; tabular; text_classifier; or one of your own. '
      'Default: convnet, unet, tabular or text_classifier, by the data.',
  )
  model_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the model.'
  )
  loss: options.Part | None = _option(
      None,
      'The loss: softmax_cross_entropy, softmax_focal, poly1_cross_entropy, '
      'generalized_cross_entropy, symmetric_cross_entropy, multiclass_hinge; '
      'of numbers squared_error, absolute_error, huber, log_cosh or quantile, '
      'the first three of classes as well, between probabilities and one-hot '
      'labels; of several classes sigmoid_cross_entropy, sigmoid_focal or '
      'dice; of masks dice and tversky as well; another of core.losses that '
      'fits, or one of your own. Default: the one of the task, such as '
      'softmax_cross_entropy.',
  )
  loss_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the loss.'
  )
  class_weights: tuple[float, ...] | Literal['balanced'] | None = _option(
      None,
      'A factor for the loss of each class, such as 1,1,2; or balanced: in '
      'inverse proportion to the training examples of each class.',
      low=0,
      high=1e30,
  )
  label_smoothing: float = _option(
      0.0,
      'The share of each label that is spread evenly over all classes.',
      low=0,
      high=1,
  )
  l1_penalty: float = _option(
      0.0,
      'The factor of the sum of absolute weights in the loss.',
      low=0,
      high=_LARGEST,
  )
  l2_penalty: float = _option(
      0.0,
      'The factor of the sum of squared weights in the loss.',
      low=0,
      high=_LARGEST,
  )
  optimizer: options.Part = _option(
      'adam',
      'The optimizer: adafactor, adagrad, adam, adamw, lamb, lars, lion, muon, '
      'nadam, rmsprop or sgd.',
  )
  optimizer_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the optimizer, such as momentum=0.9.'
  )
  learning_rate: float = _option(
      1e-3, 'The learning rate, at its highest.', low=0, high=_LARGEST
  )
  schedule: options.Part = _option(
      'constant',
      'The learning rate over the run: constant, linear, polynomial, '
      'exponential, piecewise, cosine, warmup_cosine, onecycle or '
      'inverse_sqrt.',
  )
  schedule_arg: options.Arguments = _option(
      {},
      'NAME=VALUE, an argument of the schedule, such as warmup_fraction=0.1.',
  )
  clip_global_norm: float | None = _option(
      None,
      'The maximum norm of all gradients together. Default: no clipping.',
      low=1e-30,
      high=1e30,
  )
  metrics: tuple[options.Part, ...] = _option(
      (),
      'What is measured, with commas between the names. Default: what the task '
      'measures.',
      kind='free',
  )
  metric_arg: options.Arguments = _option(
      {},
      'NAME.ARGUMENT=VALUE, an argument of the metric of that name.',
      kind='free',
  )
  hooks: tuple[options.Part, ...] = _option(
      (),
      'What else happens in the run, with commas between the names: functions '
      'of your own, called with the step and the values after each validation.',
      kind='free',
  )
  hook_arg: options.Arguments = _option(
      {},
      'NAME.ARGUMENT=VALUE, an argument of the hook of that name.',
      kind='free',
  )
  precision: str = _option(
      'float32',
      'What the model computes in. Weights, their updates and the loss are '
      'float32 in any case; float16 has a dynamic loss scale. auto: bfloat16 '
      'on devices that multiply in it, else float32.',
      choices=('auto', 'float32', 'bfloat16', 'float16'),
  )
  ema_decay: float | None = _option(
      None,
      'The rate of an average of the weights over the steps, such as 0.999. '
      'The average is what gets evaluated and exported. Default: no average.',
      low=0,
      high=1,
      was='average_decay',
  )
  random_flip: str = _option(
      'none',
      'How to mirror training images left to right: half of them at random, or '
      'a random half in the first epoch and then each in every other epoch.',
      choices=('none', 'random', 'alternating'),
      was='flip',
  )
  max_shift: int = _option(
      0,
      'By how many pixels, at most, to move training images in each direction.',
      low=0,
      high=4096,
  )
  random_erasing: float = _option(
      0.0,
      'How often to replace a rectangle of a training image by noise.',
      low=0,
      high=1,
  )
  test_time_augmentation: str = _option(
      'none',
      'What logits are averages over in validation, test and launch.evaluate: '
      'an image and its mirror image, or these also moved by a pixel, six '
      'views in all. Exports, and what launch.predict writes, are without.',
      kind='free',
      choices=('none', 'flip', 'flip_shift'),
  )
  augment: options.Part | None = _option(
      None,
      'A function of your own from a batch and a seed to a batch, which comes '
      'after the other augmentations of training examples.',
  )
  augment_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of --augment.'
  )
  resident_gb: float = _option(
      4.0,
      'A data set whose decoded images take up to this many 10^9 bytes lies in '
      'the memory of every device; a larger one is streamed from disk, and '
      'shuffled in a buffer of 10,000 examples.',
      low=0,
      high=1e6,
  )
  jit_compile: str = _option(
      'auto',
      'What XLA compiles. auto: what gains, the whole loop on one GPU and for '
      "dense networks on a CPU, else the optimizer's update. on: more than "
      'that, but no loop around convolutions on a CPU. force: all that can be.',
      kind='free',
      choices=('auto', 'on', 'off', 'force'),
      was='jit',
  )
  max_skipped_steps: int = _option(
      100,
      'End the run, with exit code 1, after so many steps in a row whose '
      'gradients were not finite and which were skipped. float16 alone skips '
      'steps, some of them to find its loss scale.',
      kind='free',
      low=1,
      high=_MAX_INT,
  )
  freeze: str | None = _option(
      None,
      'A regular expression: variables whose whole name matches it stay as '
      'they are. Default: all are trained.',
      is_pattern=True,
  )
  learning_rates: options.Factors = _option(
      {},
      'PATTERN=FACTOR, with commas between them: what the learning rate is '
      'multiplied by for variables whose whole name matches; the first pattern '
      'counts.',
      low=0,
      high=1e30,
      is_pattern=True,
  )
  init_from: str | None = _option(
      None,
      'A run, by its work directory, whose last weights a new run begins with; '
      'or a checkpoint, or a folder of them, such as RUN/checkpoints/best. '
      'Variables that are not there, or of another shape, keep their initial '
      'values, which is said. Default: all begin with initial values.',
      path='local',
  )
  init_pattern: str | None = _option(
      None,
      'A regular expression: of --init_from, only variables whose whole name '
      'matches it are taken. Default: all.',
      is_pattern=True,
  )
  init_map: options.Names = _option(
      {},
      'NEW=OLD, with commas between them: variables of the part NEW of the '
      'model are those of the part OLD of --init_from, such as '
      'backbone=encoder; the most specific NEW counts, and an empty one is the '
      'whole model.',
  )
  micro_batch_size: int | None = _option(
      None,
      'How many examples of its part of a batch a replica takes at a time, to '
      'spare memory; batch norm sees these alone. Default: all.',
      low=1,
      high=10**9,
  )
  global_batch_size: int = _option(
      128, 'The examples of one step, over all replicas.', low=1, high=10**9
  )
  num_epochs: int = _option(
      10,
      'How often to go through the training examples.',
      kind='length',
      low=1,
      high=10**6,
  )
  num_steps: int | None = _option(
      None,
      'How many steps to take, whatever --num_epochs says.',
      kind='length',
      low=1,
      high=_MAX_INT,
  )
  seed: int = _option(
      0,
      'Decides initial weights, data order, augmentation and dropout.',
      low=0,
      high=_MAX_INT,
  )
