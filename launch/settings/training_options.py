"""The options for the model, its training and its metrics."""

# Each option is a separate field, so a call as its default is safe.
# ruff: noqa: RUF009

from __future__ import annotations

import dataclasses
from typing import Literal

from . import data_options, options

# Near the maximum of float32.
_LARGEST = 1e38
_MAX_INT = 2**31 - 1
_option = options.option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions(data_options.DataOptions):
  """Options that affect the weights, besides the examples, and metrics."""

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
      'The loss: softmax_cross_entropy, softmax_focal_loss,'
      ' poly_loss_cross_entropy, generalized_cross_entropy,'
      ' symmetric_cross_entropy, multiclass_hinge_loss; of numbers'
      ' squared_error, absolute_error, huber_loss, log_cosh or quantile, the'
      ' first three of classes as well, between probabilities and one-hot'
      ' labels; of several classes sigmoid_binary_cross_entropy,'
      ' sigmoid_focal_loss or dice_loss; of masks dice_loss and tversky_loss as'
      ' well; another of core.losses that fits, or one of your own. Default:'
      ' the one of the task, such as softmax_cross_entropy.',
  )
  loss_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of the loss.'
  )
  class_weights: tuple[float, ...] | Literal['balanced'] | None = _option(
      None,
      'A factor for the loss of each class, such as 1,1,2; or balanced: '
      'inversely proportional to the training examples of each class.',
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
      1e-3, 'The peak learning rate.', low=0, high=_LARGEST
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
      'The metrics, separated by commas. Default: those of the task.',
      kind='free',
  )
  metric_arg: options.Arguments = _option(
      {},
      'NAME.ARGUMENT=VALUE, an argument of the metric of that name.',
      kind='free',
  )
  hooks: tuple[options.Part, ...] = _option(
      (),
      'Hooks, separated by commas: functions of your own, called with the step '
      'and the values after each validation.',
      kind='free',
  )
  hook_arg: options.Arguments = _option(
      {},
      'NAME.ARGUMENT=VALUE, an argument of the hook of that name.',
      kind='free',
  )
  precision: str = _option(
      'float32',
      'The dtype in which the model computes. Weights, their updates and the '
      'loss are always float32; float16 has a dynamic loss scale. auto: '
      'bfloat16 on devices with hardware products in it, else float32.',
      choices=('auto', 'float32', 'bfloat16', 'float16'),
  )
  ema_decay: float | None = _option(
      None,
      'The decay rate of an average of the weights, such as 0.999. The average '
      'is what gets evaluated and exported. Default: no averaging.',
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
      'The maximum shift of training images in each direction, in pixels.',
      low=0,
      high=4096,
  )
  random_erasing: float = _option(
      0.0,
      'The probability of replacing a rectangle of a training image by noise.',
      low=0,
      high=1,
  )
  test_time_augmentation: str = _option(
      'none',
      'The views over which logits are averaged in validation, test and '
      'launch.evaluate: an image and its mirror image, or these also shifted '
      'by a pixel, six in all. Exports and launch.predict use a single view.',
      kind='free',
      choices=('none', 'flip', 'flip_shift'),
  )
  augment: options.Part | None = _option(
      None,
      'A function of your own from a batch and a seed to a batch, applied '
      'after the other augmentations of training examples.',
  )
  augment_arg: options.Arguments = _option(
      {}, 'NAME=VALUE, an argument of --augment.'
  )
  resident_gb: float = _option(
      4.0,
      'A data set whose decoded images take up to this many 10^9 bytes is kept '
      'in the memory of every device. A larger one is streamed from disk and '
      'shuffled in a buffer of 10,000 examples.',
      low=0,
      high=1e6,
  )
  jit_compile: str = _option(
      'auto',
      'What XLA compiles. auto: what benefits, which is the whole loop on one '
      "GPU and for dense networks on a CPU, else the optimizer's update. on: "
      'more, but no loop around convolutions on a CPU. force: everything.',
      kind='free',
      choices=('auto', 'on', 'off', 'force'),
      was='jit',
  )
  deterministic: bool = _option(
      True,
      'Whether the same seed gives the same bits. Without it, GPUs may choose '
      'faster kernels, and compute the few operations that have no '
      'deterministic one.',
      kind='free',
  )
  max_skipped_steps: int = _option(
      100,
      'Stop the run, with exit code 1, after this many consecutive steps that '
      'were skipped because of non-finite gradients. Only float16 skips steps, '
      'some of them to find its loss scale.',
      kind='free',
      low=1,
      high=_MAX_INT,
  )
  freeze: str | None = _option(
      None,
      'A regular expression: variables whose full name matches it are not '
      'trained. Default: all are trained.',
      is_pattern=True,
  )
  learning_rates: options.Factors = _option(
      {},
      'PATTERN=FACTOR, separated by commas: factors of the learning rate for '
      'variables whose full name matches; the first match counts.',
      low=0,
      high=1e30,
      is_pattern=True,
  )
  init_from: str | None = _option(
      None,
      'The initial weights of a new run: the work directory of a run, whose '
      'last weights are used; a checkpoint; or a folder of checkpoints, such '
      'as RUN/checkpoints/best. Variables that it lacks, or has in another '
      'shape, keep their initial values and are reported.',
      path='local',
  )
  init_pattern: str | None = _option(
      None,
      'A regular expression: only variables whose full name matches it are '
      'read from --init_from. Default: all.',
      is_pattern=True,
  )
  init_map: options.Names = _option(
      {},
      'NEW=OLD, separated by commas: variables of the part NEW of the model '
      'are read from the part OLD of --init_from, such as backbone=encoder. '
      'The most specific NEW counts; an empty one is the whole model.',
  )
  micro_batch_size: int | None = _option(
      None,
      'The number of examples that a replica processes at a time, to save '
      'memory; batch norm sees only these. Default: its part of the batch.',
      low=1,
      high=10**9,
  )
  global_batch_size: int = _option(
      128, 'The examples per step, over all replicas.', low=1, high=10**9
  )
  num_epochs: int = _option(
      10,
      'The number of passes over the training examples.',
      kind='length',
      low=1,
      high=10**6,
  )
  num_steps: int | None = _option(
      None,
      'The number of steps; overrides --num_epochs.',
      kind='length',
      low=1,
      high=_MAX_INT,
  )
  seed: int = _option(
      0,
      'The seed of initial weights, data order, augmentation and dropout.',
      low=0,
      high=_MAX_INT,
  )
