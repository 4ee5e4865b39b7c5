"""Makes the parts of a run from its config, data and task.

Training, evaluation, prediction and export all build their model here.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import tensorflow as tf

from core import (
    compilation,
    distribution,
    loss_scaling,
    metrics,
    objectives,
    optimizers,
    precision,
    rows,
    training,
    variables,
)
from pipelines import spec as spec_lib
from pipelines import splits, streams

from . import config as config_lib
from . import data as data_lib
from . import parts, programs, several, tasks
from .lookup import own
from .machine import costs, model_size
from .tasks import measuring
from .tasks import task as task_lib
from .training import augmenting, optimizing, penalties, schedules

# The maximum number of examples for data-dependent initialization.
_NUM_INITIAL_IMAGES = 5_000
_NUM_INITIAL_EXAMPLES = 1_000_000


def check_names(config: config_lib.Config) -> None:
  """Checks names and arguments before a data set is prepared.

  Raises:
    ValueError, UserError: If a name or an argument is invalid.
  """
  if config.image_size is not None:
    model_size.check_batch(config.global_batch_size, *config.image_size)
  known = {'loss': tasks.losses()}
  for kind in ('model', 'loss', 'optimizer', 'schedule', 'augment'):
    if (part := getattr(config, kind)) is not None:  # Else the data decide.
      arguments = getattr(config, f'{kind}_arg')
      parts.check(kind, part, arguments, known=known.get(kind))
  for kind in ('dataset', 'task'):
    if own.is_part(part := getattr(config, kind)):
      parts.check(kind, part, getattr(config, f'{kind}_arg'))
  for each in (
      *several.named('metric', config.metrics, config.metric_arg),
      *several.named('hook', config.hooks, config.hook_arg),
  ):
    parts.check(each.kind, each.part, each.arguments)
  if config.max_minutes == 0:
    raise programs.UserError('--max_minutes=0: expected a number above 0.')


class Experiment:
  """The parts of a run.

  Attributes:
    config: The config.
    data: The description of the data.
    task: The task.
    model: The task's model; `build` creates its variables.
    objective: The task's objective, with the penalties, precision and
      augmentations of the config.
    num_steps: The number of steps of the whole run.
    steps_per_epoch: The number of steps per epoch.
    train_metric: The metric of training steps.
    eval_metric: The metric of evaluations.
    rate_factor: The factor of the schedule, if a hook may change it.
  """

  rate_factor: tf.Variable | None = None

  def __init__(
      self,
      config: config_lib.Config,
      data: data_lib.DataSpec,
      steps_per_epoch: int,
  ):
    """Makes the parts, without creating variables.

    Args:
      config: The config.
      data: The description of the data.
      steps_per_epoch: The number of steps per epoch.

    Raises:
      ValueError, UserError: If a name or an argument in the config is invalid.
    """
    self.config = config
    self.data = data
    self.steps_per_epoch = steps_per_epoch
    self.num_steps = config.num_steps or config.num_epochs * steps_per_epoch
    self.task = tasks.make(data, config)
    if self.task.example_batch is None:
      self.task.example_batch = data.spec.zeros()
    self._example_batch: objectives.Batch = self.task.example_batch
    if config.metrics:
      self.task = measuring.replaced(
          self.task, config.metrics, config.metric_arg, data
      )
    self.model = self.task.model
    self.train_metric = self.task.train_metric
    self.eval_metric = self.task.eval_metric
    self._plain = penalties.penalised(
        self.task.objective, config.l1_penalty, config.l2_penalty
    )
    self.objective = self._plain
    # The outermost augmentation, added last, is applied first.
    for augment in (
        augmenting.own(config),
        augmenting.built_in(config, data.spec),
    ):
      if augment is not None:
        self.objective = objectives.augmented(self.objective, augment)
    if config.precision != 'float32':
      self.objective = precision.mixed(self.objective, config.precision)

  @functools.cached_property
  def schedule(self) -> schedules.Schedule:
    """The learning rate as a function of the step."""
    schedule = parts.call(
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
    """The optimizer, which only training needs."""
    return optimizing.make(self.config, self.schedule)

  def make_state(self) -> training.TrainState:
    """Creates the train state; call it under the strategy's scope.

    Raises:
      UserError: If the config's average_decay is out of range.
    """
    self.build()
    names = list(variables.trainable(self.model))
    optimizing.check_patterns(self.config, names)
    optimizing.freeze_statistics(self.config, self.model)
    if self.config.plateau_patience is not None:
      self.rate_factor = tf.Variable(1.0, trainable=False)
    loss_scale = None
    if self.config.precision == 'float16':
      # The scale applies to the sum over the batch. 2^15 times the mean, a
      # common initial scale, avoids skipped steps in most runs.
      size = self.config.global_batch_size
      loss_scale = loss_scaling.init(2.0 ** (15 - (size - 1).bit_length()))
    try:
      return training.TrainState(
          self.model,
          self.optimizer,
          self.config.seed,
          average_decay=self.config.ema_decay,
          loss_scale=loss_scale,
      )
    except ValueError as error:
      is_decay = str(error).startswith('average_decay')
      flag = '--ema_decay' if is_decay else f'--model={self.config.model}'
      raise programs.UserError(f'{flag}: {error}') from None

  def build(self) -> None:
    """Creates the model's variables; call it under the strategy's scope."""
    batch = self._example_batch
    forward = functools.partial(self._plain, seed=None, is_training=False)
    if self.config.model is not None:
      model_size.check(
          self.config.model,
          self.config.model_arg,
          lambda: forward(
              tasks.make(self.data, self.config).model, self.data.spec.zeros()
          ),
      )
    # Sonnet's initializers draw from TensorFlow's global generator.
    tf.random.set_seed(self.config.seed)
    if variables.named(self.model):
      # Its constructor creates them, so repeat it with the seed and the scope.
      self.model = tasks.make(self.data, self.config).model
      self.task.model = self.model
    with self._mistakes():
      forward(self.model, batch)
      if self.config.precision != 'float32':  # Models may cast to float32.
        self.objective(self.model, batch, None, is_training=False)
      if self.config.augment is not None:
        several = rows.take(batch, tf.zeros([2], tf.int32))
        training.trace(self.objective, self.model, several)

  @contextlib.contextmanager
  def _mistakes(self) -> Iterator[None]:
    """Names a custom task or model in the errors of a forward pass."""
    with (
        parts.mistakes_in_own('task', self.config.task),
        parts.mistakes_in_own('model', self.config.model),
    ):
      yield

  def initialize(
      self, data: splits.Split, strategy: tf.distribute.Strategy
  ) -> None:
    """Runs data-dependent initialization once, at the start of a new run.

    Args:
      data: The training examples. The model gets up to 5,000 examples with
        images, or else a million, as the task's inputs, without augmentation.
      strategy: The strategy that the model was built under.
    """
    if not task_lib.wants_data(self.model):
      return  # The model needs no initialization; skip loading examples.
    has_images = bool(self.data.spec.of_kind(spec_lib.IMAGE))
    keys = data.keys().batch(
        _NUM_INITIAL_IMAGES if has_images else _NUM_INITIAL_EXAMPLES
    )
    with streams.explained(data):
      batch = data.load(next(iter(keys)))
    self.model.initialize(self.task.inputs(batch))
    # Workers may round differently, so all take the first worker's values.
    distribution.broadcast(strategy, self.model.variables)

  def extent(
      self, strategy: tf.distribute.Strategy, is_resident: bool
  ) -> compilation.Extent:
    """Chooses which part of a step XLA compiles.

    Args:
      strategy: The strategy of the run.
      is_resident: Whether the data are in the memory of the devices.

    Returns:
      The extent. It depends on `jit` and on the operations of the model, but
      not on the augmentation, which is cheap in any case.
    """
    with strategy.scope():  # Layers may query their devices.
      forward = self._forward
    return compilation.choose_for(
        self.model,
        forward,
        strategy,
        self.config.jit_compile,
        is_resident=is_resident,
        is_deterministic=self.config.deterministic,
    )

  def is_slow_on_cpu(self, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the model runs on a CPU and is slow there under XLA."""
    return not distribution.on_gpu(strategy) and compilation.is_slow_on_cpu(
        compilation.operations(self._forward)
    )

  @property
  def has_places(self) -> bool:
    """Whether each example has several places with a loss."""
    return self._forward.structured_outputs.values.shape.rank > 1

  def layers(self) -> dict[str, costs.Layer]:
    """Returns the cost of each layer of the model; see `costs`."""
    recorder, forward = self._traced
    return recorder.layers(forward, variables.trainable(self.model))

  def digest(self) -> str:
    """Returns a hash of the model's current variables."""
    return variables.digest(variables.named({'model': self.model}))

  def zero_sums(self, metric: metrics.Metric | None) -> training.Sums:
    """Returns the initial sums of a loop with this metric."""
    return training.zero_sums(metric, self._forward)

  @property
  def _forward(self) -> tf.types.experimental.ConcreteFunction:
    return self._traced[1]

  @functools.cached_property
  def _traced(
      self,
  ) -> tuple[costs.CallRecorder, tf.types.experimental.ConcreteFunction]:
    # Several properties share this trace.
    recorder = costs.CallRecorder(self.model)
    with self._mistakes(), recorder.recorded():
      return recorder, training.trace(
          self._plain, self.model, self._example_batch
      )
