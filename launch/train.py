"""Trains a model on a TFDS data set of images.

  python -m launch.train --flagfile=launch/recipes/fashion_mnist_convnet.flags

Trains under a distribution strategy, validates, checkpoints, tests at the end.
A second start in the same work directory goes on where the first one stopped.
Models, optimizers, schedules and losses take arguments of their own, as in
--model_arg=hidden_sizes=512,256 (the flag may be repeated). Later flags
win over earlier ones, as those of a flag file before them: another --optimizer
drops each --optimizer_arg of the one that it replaces, and so with the others.
"""

from __future__ import annotations

from typing import Any

from absl import flags

from . import compilation_cache, flag_types, programs
from . import config as config_lib

# What float32 holds; no more can be computed with.
_LARGEST = 1e38

_DATASET = flags.DEFINE_string(
    'dataset', 'fashion_mnist',
    'The data set: a name of TFDS, or of a set that is prepared in --data_dir.')
_DATA_DIR = flag_types.DEFINE_path(
    'data_dir',
    'The folder of prepared TFDS sets. Default: ~/tensorflow_datasets.',
    may_be_remote=True)
_ARCHIVES_DIR = flag_types.DEFINE_path(
    'archives_dir',
    'A folder with the archives that TFDS would download. None is where the '
    'Debian package dataset-fashion-mnist puts them.')
_VALIDATION_EXAMPLES = flags.DEFINE_integer(
    'validation_examples', None,
    'How many training examples to hold out for validation. None is the '
    "set's own validation split, or a twelfth of the training split: 5,000 of "
    'the 60,000 of Fashion-MNIST.', lower_bound=0, upper_bound=10**9)
_VALIDATION_SPLIT = flags.DEFINE_string(
    'validation_split', None,
    "The split to validate with: a name of the set's, or a slice such as "
    "train[:5000], which is then not trained on; 'none' for no validation. "
    'Default: as --validation_examples says.')
_TEST_SPLIT = flags.DEFINE_string(
    'test_split', None,
    "The split to test with at the end, likewise; 'none' for no test. "
    "Default: the split 'test', if the set has one with labels.")
_IMAGE_SIZE = flag_types.DEFINE_numbers(
    'image_size',
    'HEIGHT,WIDTH to resize images to; needed where a set has many sizes.',
    kind=int, low=1, high=4096, names=('HEIGHT', 'WIDTH'))
_NORMALIZE = flags.DEFINE_bool(
    'normalize', False,
    'Whether to shift and scale the pixels in [0, 1] to mean 0 and standard '
    'deviation 1, channel by channel, as measured on the training images.')
_MODEL = flags.DEFINE_string(
    'model', 'convnet',
    'The model: convnet, mlp, reconstructing_mlp, resnet, row_rnn, sparse_mlp, '
    'speednet, vit or wide_and_deep for images and their classes; unet for '
    'masks; tabular; text_classifier.')
_MODEL_ARG = flags.DEFINE_multi_string(
    'model_arg', [], 'NAME=VALUE, an argument of the model.')
_LOSS = flags.DEFINE_string(
    'loss', 'softmax_cross_entropy',
    'The loss: softmax_cross_entropy, softmax_focal, poly1_cross_entropy, '
    'generalized_cross_entropy, symmetric_cross_entropy, multiclass_hinge; of '
    'numbers squared_error, absolute_error, huber, log_cosh or quantile, the '
    'first three of classes as well, between probabilities and one-hot labels; '
    'of several classes sigmoid_cross_entropy, sigmoid_focal or dice; of masks '
    'dice and tversky as well.')
_LOSS_ARG = flags.DEFINE_multi_string(
    'loss_arg', [], 'NAME=VALUE, an argument of the loss.')
_CLASS_WEIGHTS = flag_types.DEFINE_numbers(
    'class_weights', 'A factor for the loss of each class, such as 1,1,2.',
    low=0, high=1e30)
_LABEL_SMOOTHING = flags.DEFINE_float(
    'label_smoothing', 0.0,
    'The share of each label that is spread evenly over all classes.',
    lower_bound=0, upper_bound=1)
_L1_PENALTY = flags.DEFINE_float(
    'l1_penalty', 0.0, 'The factor of the sum of absolute weights in the loss.',
    lower_bound=0, upper_bound=_LARGEST)
_L2_PENALTY = flags.DEFINE_float(
    'l2_penalty', 0.0, 'The factor of the sum of squared weights in the loss.',
    lower_bound=0, upper_bound=_LARGEST)
_OPTIMIZER = flags.DEFINE_string(
    'optimizer', 'adam',
    'The optimizer: adafactor, adagrad, adam, adamw, lamb, lars, lion, muon, '
    'nadam, rmsprop or sgd.')
_OPTIMIZER_ARG = flags.DEFINE_multi_string(
    'optimizer_arg', [],
    'NAME=VALUE, an argument of the optimizer, such as momentum=0.9.')
_LEARNING_RATE = flags.DEFINE_float(
    'learning_rate', 1e-3, 'The learning rate, at its highest.', lower_bound=0,
    upper_bound=_LARGEST)
_SCHEDULE = flags.DEFINE_string(
    'schedule', 'constant',
    'The learning rate over the run: constant, linear, polynomial, '
    'exponential, piecewise, cosine, warmup_cosine, onecycle or inverse_sqrt.')
_SCHEDULE_ARG = flags.DEFINE_multi_string(
    'schedule_arg', [],
    'NAME=VALUE, an argument of the schedule, such as warmup_fraction=0.1.')
_CLIP_GLOBAL_NORM = flags.DEFINE_float(
    'clip_global_norm', None,
    'The maximum norm of all gradients together. Default: no clipping.',
    lower_bound=1e-30, upper_bound=1e30)
_PRECISION = flags.DEFINE_enum(
    'precision', 'float32', ['auto', 'float32', 'bfloat16', 'float16'],
    'What the model computes in. Weights, their updates and the loss are '
    'float32 in any case; float16 has a dynamic loss scale. auto: bfloat16 on '
    'devices that multiply in it, else float32.')
_AVERAGE_DECAY = flags.DEFINE_float(
    'average_decay', None,
    'The rate of an average of the weights over the steps, such as 0.999, '
    'which is what is then evaluated and exported. None has none.',
    lower_bound=0, upper_bound=1)
_FLIP = flags.DEFINE_enum(
    'flip', 'none', ['none', 'random', 'alternating'],
    'How to mirror training images left to right: half of them at random, or a '
    'random half in the first epoch and then each in every other epoch.')
_MAX_SHIFT = flags.DEFINE_integer(
    'max_shift', 0,
    'By how many pixels, at most, to move training images in each direction.',
    lower_bound=0, upper_bound=4096)
_RANDOM_ERASING = flags.DEFINE_float(
    'random_erasing', 0.0,
    'How often to replace a rectangle of a training image by noise.',
    lower_bound=0, upper_bound=1)
_TEST_TIME_AUGMENTATION = flags.DEFINE_enum(
    'test_time_augmentation', 'none', ['none', 'flip', 'flip_shift'],
    'What logits are averages over in validation, test and launch.evaluate: an '
    'image and its mirror image, or these also moved by a pixel, six views in '
    'all. Exports are of the model without.')
_RESIDENT_GB = flags.DEFINE_float(
    'resident_gb', 4.0,
    'A data set whose decoded images take up to this many 10^9 bytes lies in '
    'the memory of every device; a larger one is streamed from disk, and '
    'shuffled in a buffer of 10,000 examples.', lower_bound=0,
    upper_bound=1e6)
_JIT = flags.DEFINE_enum(
    'jit', 'auto', ['auto', 'on', 'off', 'force'],
    'What XLA compiles. auto: what gains, the whole loop on one GPU and for '
    "dense networks on a CPU, else the optimizer's update. on: more than that, "
    'but no loop around convolutions on a CPU. force: all that can be.')
_MAX_SKIPPED_STEPS = flags.DEFINE_integer(
    'max_skipped_steps', 100,
    'End the run, with exit code 1, after so many steps in a row whose '
    'gradients were not finite and which were skipped. float16 alone skips '
    'steps, some of them to find its loss scale.', lower_bound=1,
    upper_bound=2**31 - 1)
_GLOBAL_BATCH_SIZE = flags.DEFINE_integer(
    'global_batch_size', 128, 'The examples of one step, over all replicas.',
    lower_bound=1, upper_bound=10**9)
_NUM_EPOCHS = flags.DEFINE_integer(
    'num_epochs', 10, 'How often to go through the training examples.',
    lower_bound=1, upper_bound=10**6)
_NUM_STEPS = flags.DEFINE_integer(
    'num_steps', None, 'How many steps to take, whatever --num_epochs says.',
    lower_bound=1, upper_bound=2**31 - 1)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'Decides initial weights, data order, augmentation and '
    'dropout.',
    lower_bound=0, upper_bound=2**31 - 1)
_STEPS_PER_LOOP = flags.DEFINE_integer(
    'steps_per_loop', None,
    'How many steps a call of the graph takes at most. None chooses as many as '
    'take half a second; periods cut a call short.', lower_bound=1,
    upper_bound=2**31 - 1)
_COMPILATION_CACHE_DIR = flag_types.DEFINE_path(
    'compilation_cache_dir',
    'Where to keep what XLA compiles, so that a second start need not compile '
    "again. Default: the user's cache folder; an empty name keeps nothing.",
    may_be_empty=True)
_LOG_EVERY_STEPS = flags.DEFINE_integer(
    'log_every_steps', 100, 'The steps between rows of metrics.jsonl.',
    lower_bound=1, upper_bound=2**31 - 1)
_EVAL_EVERY_EPOCHS = flags.DEFINE_integer(
    'eval_every_epochs', 1, 'The epochs between validations.', lower_bound=1,
    upper_bound=10**6)
_CHECKPOINT_EVERY_STEPS = flags.DEFINE_integer(
    'checkpoint_every_steps', None,
    'The steps between checkpoints. None saves at the end of an epoch, not '
    'sooner than ten seconds of training after the last time.',
    lower_bound=1, upper_bound=2**31 - 1)
_KEEP_CHECKPOINTS = flags.DEFINE_integer(
    'keep_checkpoints', 3, 'How many of the last checkpoints are kept.',
    lower_bound=1, upper_bound=10**6)
_WORKDIR = flag_types.DEFINE_path(
    'workdir', 'The directory of the run: what it writes and resumes.')
_STRATEGY = flags.DEFINE_enum(
    'strategy', 'auto', ['auto', 'mirrored', 'one_device', 'multi_worker'],
    'auto and mirrored: replicas on all GPUs, else on the CPU. one_device: the '
    'first of these. multi_worker: the workers of TF_CONFIG, each of which '
    'runs this program with the same flags.')
_NUM_VIRTUAL_DEVICES = flags.DEFINE_integer(
    'num_virtual_devices', None,
    'Split the CPU into that many devices, to try replicas on one machine.',
    lower_bound=1, upper_bound=64)
_ACCEPT_CHANGES = flags.DEFINE_bool(
    'accept_changes', False,
    'Whether a run goes on although flags that decide its weights, or its '
    'data, are not those that it began with. What changes is kept in the '
    'history of its config.json.')

# These tell where a run is, not what it computes; a resumed run may differ.
_PLACE = (
    _DATA_DIR, _ARCHIVES_DIR, _WORKDIR, _STRATEGY, _NUM_VIRTUAL_DEVICES,
    _STEPS_PER_LOOP,
)


def main() -> int:
  """Runs the program; returns its exit code."""
  if not _WORKDIR.value:
    raise programs.UserError('--workdir is missing: name a directory for it.')
  config = config_lib.Config(
      dataset=_DATASET.value,
      validation_examples=_VALIDATION_EXAMPLES.value,
      validation_split=_VALIDATION_SPLIT.value,
      test_split=_TEST_SPLIT.value,
      image_size=_IMAGE_SIZE.value,
      normalize=_NORMALIZE.value,
      model=_MODEL.value,
      model_arg=config_lib.arguments_of(_MODEL_ARG),
      loss=_LOSS.value,
      loss_arg=config_lib.arguments_of(_LOSS_ARG),
      class_weights=_CLASS_WEIGHTS.value,
      label_smoothing=_LABEL_SMOOTHING.value,
      l1_penalty=_L1_PENALTY.value,
      l2_penalty=_L2_PENALTY.value,
      optimizer=_OPTIMIZER.value,
      optimizer_arg=config_lib.arguments_of(_OPTIMIZER_ARG),
      learning_rate=_LEARNING_RATE.value,
      schedule=_SCHEDULE.value,
      schedule_arg=config_lib.arguments_of(_SCHEDULE_ARG),
      clip_global_norm=_CLIP_GLOBAL_NORM.value,
      global_batch_size=_GLOBAL_BATCH_SIZE.value,
      num_epochs=_NUM_EPOCHS.value,
      num_steps=_NUM_STEPS.value,
      seed=_SEED.value,
      log_every_steps=_LOG_EVERY_STEPS.value,
      eval_every_epochs=_EVAL_EVERY_EPOCHS.value,
      checkpoint_every_steps=_CHECKPOINT_EVERY_STEPS.value,
      keep_checkpoints=_KEEP_CHECKPOINTS.value,
      precision=_PRECISION.value,
      average_decay=_AVERAGE_DECAY.value,
      flip=_FLIP.value,
      max_shift=_MAX_SHIFT.value,
      random_erasing=_RANDOM_ERASING.value,
      test_time_augmentation=_TEST_TIME_AUGMENTATION.value,
      resident_gb=_RESIDENT_GB.value,
      jit=_JIT.value,
      max_skipped_steps=_MAX_SKIPPED_STEPS.value,
  )
  cache = compilation_cache.prepare(
      config.global_batch_size, _COMPILATION_CACHE_DIR.value
  )
  # Imported here, so that --help and mistyped flags need not wait for it.
  programs.import_tensorflow()
  from . import experiment, training_program

  try:
    experiment.check_names(config)
  except ValueError as error:
    raise programs.UserError(str(error)) from error
  programs.say_what_was_dropped()
  place: dict[str, Any] = {holder.name: holder.value for holder in _PLACE}
  return training_program.run(
      config,
      **place,
      compilations=cache.count,
      accept_changes=_ACCEPT_CHANGES.value,
  )


if __name__ == '__main__':
  programs.run(main)
