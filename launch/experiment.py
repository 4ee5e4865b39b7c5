"""From a config to the parts of a run: model, objective, optimizer, metrics.

Training, evaluation and export all build their model here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from core import (
  augmentation,
  checks,
  compilation,
  distribution,
  loss_scaling,
  losses,
  metrics,
  models,
  objectives,
  optimizers,
  precision,
  training,
)
from pipelines import datasets, preprocessing, sources, splits, streams

from . import arguments, factories, model_size, programs
from . import config as config_lib

# What `core.models.Model.initialize` is given.
_NUM_INITIAL_EXAMPLES = 5_000
_VIEWS: dict[str, Callable[[], Sequence[augmentation.View]]] = {
    'none': tuple,
    'flip': augmentation.flip_views,
    'flip_shift': augmentation.flip_shift_views,
}


def open_dataset(
    config: config_lib.Config, data_dir: str | None, archives_dir: str | None
) -> datasets.Dataset:
  """Opens the data set of a config, preparing it where that is needed.

  Raises:
    DataError: If the set cannot be had or used.
  """
  return sources.open_dataset(
      config.dataset,
      data_dir=data_dir,
      archives_dir=archives_dir,
      validation_examples=config.validation_examples,
      validation_split=config.validation_split,
      test_split=config.test_split,
      image_size=config.image_size,
      memory_budget_gb=config.resident_gb,
  )


def check_names(config: config_lib.Config) -> None:
  """Checks what can be checked before a data set is prepared.

  Raises:
    ValueError, UserError: If a name or an argument is not valid.
  """
  if config.image_size is not None:
    model_size.check_batch(config.global_batch_size, *config.image_size)
  for kind in ('model', 'loss', 'optimizer', 'schedule'):
    arguments.checked(
        f'{kind}_arg',
        getattr(config, f'{kind}_arg'),
        factories.known_arguments(kind, getattr(config, kind)),
    )


def describe_data(
    config: config_lib.Config, dataset: datasets.Dataset
) -> config_lib.DataSpec:
  """Checks a data set and reads off it what the model must know.

  Raises:
    DataError: If an example is damaged, of whatever split.
  """
  dataset.check()
  mean: tuple[float, ...] = ()
  std: tuple[float, ...] = ()
  if config.normalize:
    mean, std = (
        tuple(float(number) for number in numbers)
        for numbers in preprocessing.statistics(dataset.split('train'))
    )
  height, width, channels = dataset.spec['image'].shape
  return config_lib.DataSpec(
      image_shape=(height, width, channels),
      label_names=dataset.spec['label'].class_names,
      mean=mean,
      std=std,
      num_examples=dict(dataset.num_examples),
  )


class Experiment:
  """The parts of a run.

  Attributes:
    config: The config.
    data: What the model knows of the data.
    model: The model; `build` makes its variables.
    preprocess: A function of images in [0, 1] to the model's inputs.
    objective: The objective, in the precision and with the augmentations of the
      config.
    full_precision_objective: The same in float32 and without augmentations, as
      exports compute.
    num_steps: The number of steps of the whole run.
    steps_per_epoch: The number of steps of an epoch.
    train_metric: What is measured in every training step.
    eval_metric: What is measured in evaluation.
    rate_factor: What the schedule is multiplied by, if a hook may change that.
  """

  rate_factor: tf.Variable | None = None

  def __init__(
      self,
      config: config_lib.Config,
      data: config_lib.DataSpec,
      steps_per_epoch: int,
  ):
    """Makes the parts; no variable is made yet.

    Args:
      config: The config.
      data: What the data set is.
      steps_per_epoch: The number of steps of an epoch.

    Raises:
      ValueError, UserError: If a name or an argument in the config is not
        valid.
    """
    for name, known in (
        ('jit', compilation.MODES),
        ('test_time_augmentation', tuple(_VIEWS)),
    ):  # The flags are checked already, what a config.json has is not.
      checks.one_of(name, getattr(config, name), known)
    self.config = config
    self.data = data
    self.steps_per_epoch = steps_per_epoch
    self.num_steps = config.num_steps or config.num_epochs * steps_per_epoch
    self._make_model = functools.partial(
        factories.make_model, config.model, data.num_classes, config.model_arg
    )
    self.model = self._make_model()
    self.preprocess = _preprocess(self.model.input_names, data)
    supervised = functools.partial(
        objectives.supervised,
        make_loss(config, data.num_classes),
        inputs=lambda batch: self.preprocess(
            preprocessing.scale(batch['image'])
        ),
        penalty=_penalty(config),
    )
    self.full_precision_objective = supervised()
    self.objective = objectives.augmented(
        supervised(views=_VIEWS[config.test_time_augmentation]()),
        _augment(config, data),
    )
    if config.precision != 'float32':
      self.objective = precision.mixed(self.objective, config.precision)
    self.train_metric = metrics.collection({'accuracy': metrics.accuracy()})
    self.eval_metric = _eval_metric(data.num_classes)

  @functools.cached_property
  def schedule(self) -> factories.Schedule:
    """The learning rate as a function of the step."""
    schedule = factories.make(
        'schedule',
        self.config.schedule,
        self.config.schedule_arg,
        learning_rate=self.config.learning_rate,
        num_steps=self.num_steps,
    )
    if self.config.plateau_patience is None:
      return schedule
    return lambda step: schedule(step) * (
        1.0 if self.rate_factor is None else self.rate_factor
    )

  @functools.cached_property
  def optimizer(self) -> optimizers.GradientTransformation:
    """The optimizer; training alone needs it."""
    return _optimizer(self.config, self.schedule)

  def make_state(self) -> training.TrainState:
    """Builds the model and its state; call it under the strategy's scope.

    Raises:
      UserError: If the config's average_decay is out of range.
    """
    self.build()
    if self.config.plateau_patience is not None:
      self.rate_factor = tf.Variable(1.0, trainable=False)
    is_float16 = self.config.precision == 'float16'
    try:
      return training.TrainState(
          self.model,
          self.optimizer,
          self.config.seed,
          average_decay=self.config.average_decay,
          loss_scale=loss_scaling.init() if is_float16 else None,
      )
    except ValueError as error:
      raise programs.UserError(f'--average_decay: {error}') from None

  def build(self) -> None:
    """Makes the model's variables; call it under the strategy's scope."""
    forward = functools.partial(
        self.full_precision_objective, seed=None, is_training=False
    )
    config, batch = self.config, self.example_batch()
    model_size.check(
        config.model,
        config.model_arg,
        lambda: forward(self._make_model(), batch),
    )
    # Sonnet's initializers draw from TensorFlow's global generator.
    tf.random.set_seed(self.config.seed)
    forward(self.model, batch)

  def initialize(
      self, data: splits.Split, strategy: tf.distribute.Strategy
  ) -> None:
    """Lets the model compute what it wants of data, once, in a new run.

    Args:
      data: The training examples: the first 5,000 are given to the model,
        preprocessed but not augmented.
      strategy: The strategy that the model was built under.
    """
    if type(self.model).initialize is models.Model.initialize:
      return  # Nothing is wanted: spare the examples.
    keys = data.keys().batch(_NUM_INITIAL_EXAMPLES)
    with streams.explained(data):
      images = data.load(next(iter(keys)))['image']
    self.model.initialize(self.preprocess(preprocessing.scale(images)))
    # Workers may round differently.
    distribution.broadcast(strategy, self.model.variables)

  def example_batch(self) -> dict[str, tf.Tensor]:
    """Returns a batch of one example of zeros."""
    return {
        'image': tf.zeros([1, *self.data.image_shape], tf.uint8),
        'label': tf.zeros([1], tf.int32),
        'weight': tf.zeros([1]),
    }

  def extent(
      self, strategy: tf.distribute.Strategy, is_resident: bool
  ) -> compilation.Extent:
    """Chooses what is compiled of a step.

    Args:
      strategy: The strategy of the run.
      is_resident: Whether the data lie on the devices.

    Returns:
      The extent, by the config's `jit` and the operations of the model alone:
      augmentation is cheap wherever it runs.
    """
    with strategy.scope():  # Layers may ask what they are computed on.
      forward = self._forward
    return compilation.choose_for(
        self.model,
        forward,
        strategy,
        self.config.jit,
        is_resident=is_resident,
        is_deterministic=True,
    )

  def is_slow_on_cpu(self, strategy: tf.distribute.Strategy) -> bool:
    """Tells whether the run is on a CPU and its model slow under XLA there."""
    return not distribution.on_gpu(strategy) and compilation.is_slow_on_cpu(
        compilation.operations(self._forward)
    )

  def zero_sums(self, metric: metrics.Metric) -> training.Sums:
    """Returns the sums that a loop with this metric starts from."""
    return training.zero_sums(metric, self._forward)

  @functools.cached_property
  def _forward(self) -> tf.types.experimental.ConcreteFunction:
    # Traced once for all that is read off it.
    return training.trace(
        self.full_precision_objective, self.model, self.example_batch()
    )


def _preprocess(
    input_names: tuple[str, ...], data: config_lib.DataSpec
) -> Callable[[tf.Tensor], Any]:
  unknown = set(input_names) - preprocessing.FEATURES.keys()
  if unknown:
    raise programs.UserError(
        f'--model_arg: the model takes the input {min(unknown)!r}; an image '
        f'gives: {", ".join(sorted(preprocessing.FEATURES))}.'
    )

  def preprocess(images: tf.Tensor) -> Any:
    if data.mean:
      images = preprocessing.normalize(images, data.mean, data.std)
    inputs = {
        name: preprocessing.FEATURES[name](images) for name in input_names
    }
    return inputs if len(inputs) > 1 else inputs[input_names[0]]

  return preprocess


def make_loss(
    config: config_lib.Config, num_classes: int
) -> objectives.Loss:
  """Makes the loss of a config, with its class weights and smoothing."""
  weights = config.class_weights
  if weights is not None and len(weights) != num_classes:
    raise programs.UserError(
        f'--class_weights: {len(weights)} weights for {num_classes} classes; '
        'give one for each class.'
    )
  # float32 would take what is nearer to 0 for 0, and what is larger for inf.
  if weights is not None and (
      not all(w == 0 or 1e-30 <= w <= 1e30 for w in weights)
      or not any(weights)
  ):
    raise programs.UserError(
        f'--class_weights: {",".join(map(str, weights))}: expected 0 or '
        'numbers in [1e-30, 1e30], and not all of them 0.'
    )
  return factories.make_loss(
      config.loss, config.loss_arg, weights, config.label_smoothing
  )


def _penalty(
    config: config_lib.Config,
) -> Callable[[models.Model], tf.Tensor] | None:
  """Penalises weights; biases and scales, which have one axis, stay free."""
  if not config.l1_penalty and not config.l2_penalty:
    return None

  def penalty(model: models.Model) -> tf.Tensor:
    weights = [v for v in model.trainable_variables if v.shape.rank > 1]
    return losses.l1_penalty(
        weights, scale=config.l1_penalty
    ) + losses.l2_penalty(weights, scale=config.l2_penalty)

  return penalty


def _augment(
    config: config_lib.Config, data: config_lib.DataSpec
) -> augmentation.Augmenter:
  smallest = min(data.image_shape[:2])
  if config.max_shift >= smallest:
    raise programs.UserError(
        f'--max_shift={config.max_shift}: expected less than the {smallest} '
        'pixels of an image.'
    )
  return augmentation.augment(
      flip=config.flip,
      max_shift=config.max_shift,
      erasing_probability=config.random_erasing,
      salt=config.seed,
  )


def _optimizer(
    config: config_lib.Config, schedule: factories.Schedule
) -> optimizers.GradientTransformation:
  optimizer = factories.make(
      'optimizer',
      config.optimizer,
      config.optimizer_arg,
      learning_rate=schedule,
  )
  if config.clip_global_norm is None:
    return optimizer
  clip = optimizers.clip_by_global_norm(config.clip_global_norm)
  return optimizers.chain(clip, optimizer)


def _eval_metric(num_classes: int) -> metrics.Metric:
  members = {
      'accuracy': metrics.accuracy(),
      'cross_entropy': metrics.cross_entropy(),
      'macro_precision': metrics.precision(num_classes, average='macro'),
      'macro_recall': metrics.recall(num_classes, average='macro'),
      'macro_f1': metrics.f1(num_classes, average='macro'),
      'weighted_f1': metrics.f1(num_classes, average='weighted'),
      'precision': metrics.precision(num_classes, average=None),
      'recall': metrics.recall(num_classes, average=None),
      'f1': metrics.f1(num_classes, average=None),
      'confusion_matrix': metrics.confusion_matrix(num_classes),
  }
  if num_classes > 5:
    members['top_5_accuracy'] = metrics.top_k_accuracy(5)
  return metrics.collection(members)
