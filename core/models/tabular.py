"""A perceptron for tables of numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from .. import checks, layers, random
from . import model

INPUTS: tuple[str, ...] = ('numbers', 'categories')
MISSING = ('mean', 'indicator')


class Tabular(model.Model):
  """Normalized numbers and embedded categories, then dense layers.

  Numbers are normalized with statistics of the training split: call
  `initialize` with its inputs once after `build`, before the first step. Until
  then numbers are not normalized. A missing number is NaN, and counts as the
  mean; with ``missing='indicator'`` the dense layers also see, per number,
  whether it is missing.

  The inputs given to `build` determine whether there are ``numbers``,
  ``categories`` or both. In half precision (`precision.mixed`) inputs are cast
  before they are normalized: numbers far from 0, such as years, lose digits, so
  subtract a constant first.

  Reference:
    Guo and Berkhahn 2016, `Entity embeddings of categorical variables
    <https://arxiv.org/abs/1604.06737>`_, section 2; the MLP of Gorishniy et al.
    2021, `Revisiting deep learning models for tabular data
    <https://arxiv.org/abs/2106.11959>`_, section 3.1.

  Example:
    >>> import tensorflow as tf
    >>> from core import models
    >>> model = models.create('tabular', 1, vocabulary_sizes=(3, 7))
    >>> inputs = {
    ...     'numbers': tf.constant([[63.0, 1.0], [37.0, 0.0]]),
    ...     'categories': tf.constant([[0, 6], [2, 1]]),
    ... }
    >>> model.build({'numbers': (None, 2), 'categories': (None, 2)})
    >>> model.initialize(inputs)
    >>> model(inputs, is_training=False).shape.as_list()
    [2, 1]
  """

  task = 'tables'
  input_names: tuple[str, ...] = INPUTS
  input_dtypes: Mapping[str, tf.DType] = {'categories': tf.int32}

  def __init__(
      self,
      num_classes: int,
      vocabulary_sizes: Sequence[int] = (),
      embedding_size: int = 8,
      hidden_sizes: Sequence[int] = (128, 64),
      activation: str = 'relu',
      dropout_rate: float = 0.0,
      missing: str = 'mean',
      name: str | None = None,
  ):
    """Constructs the model.

    Args:
      num_classes: The number of logits, at least 1.
      vocabulary_sizes: The number of values of each category, if there are any.
      embedding_size: The size of the vector for a category's value.
      hidden_sizes: The size of each hidden layer.
      activation: A name of `layers.ACTIVATIONS`.
      dropout_rate: The rate of dropout after each hidden layer, in [0, 1).
      missing: How the dense layers see missing numbers: as the ``mean``, or
        with an additional ``indicator``.
      name: Name of the module.

    Raises:
      ValueError: If a size or rate is out of range or a name is unknown.
    """
    super().__init__(name=name)
    checks.size('num_classes', num_classes)
    checks.sizes('vocabulary_sizes', vocabulary_sizes)
    checks.size('embedding_size', embedding_size)
    checks.sizes('hidden_sizes', hidden_sizes)
    checks.rate('dropout_rate', dropout_rate)
    checks.one_of('missing', missing, MISSING)
    self.missing = missing
    self.normalization: layers.Normalization | None = None
    self.embeddings = [
        layers.Embedding(size, embedding_size) for size in vocabulary_sizes
    ]
    self.input_names = INPUTS if vocabulary_sizes else ('numbers',)
    self.hidden = [layers.Dense(size, activation) for size in hidden_sizes]
    self.dropout = layers.Dropout(dropout_rate)
    self.output = layers.Dense(num_classes)

  def initialize(self, inputs: Mapping[str, tf.Tensor] | tf.Tensor) -> None:
    """Sets the statistics for normalizing numbers.

    Args:
      inputs: The training split or a representative part, as for `__call__`.

    Raises:
      ValueError: If the inputs differ from those the model was built for, or a
        number is infinite.
    """
    named = self._named(inputs)
    if 'numbers' in named:
      self._normalization().fit(named['numbers'])

  def __call__(
      self,
      inputs: Mapping[str, tf.Tensor] | tf.Tensor,
      is_training: bool,
      seed: tf.Tensor | None = None,
  ) -> tf.Tensor:
    """Computes logits.

    Args:
      inputs: ``numbers``, float ``[batch_size, num_numbers]``, NaN where one is
        missing, and ``categories``, integers ``[batch_size, num_categories]``,
        each in [0, vocabulary size). A category out of range raises eagerly; in
        a graph the example's logits are NaN, as for infinite numbers. A mapping
        of both or of one of them, or the only input as a tensor.
      is_training: Whether dropout is on.
      seed: Integers ``[2]``, required in training with dropout.

    Returns:
      Logits ``[batch_size, num_classes]``.

    Raises:
      ValueError: If an input is missing, unknown or of a shape that does not
        fit or, eagerly, a category is out of range.
      TypeError: If numbers are not floating point or categories not integers.
    """
    named = self._named(inputs)
    x = features = tf.concat(self._features(named), axis=-1)
    for index, dense in enumerate(self.hidden):
      x = dense(x)
      x = self.dropout(x, is_training, random.layer_seed(seed, index))
    return model.nan_unless_finite(features, self.output(x))

  def _named(
      self, inputs: Mapping[str, tf.Tensor] | tf.Tensor
  ) -> dict[str, tf.Tensor]:
    """Returns the checked inputs by name; the first call fixes the names."""
    if not isinstance(inputs, Mapping) and len(self.input_names) == 1:
      inputs = {self.input_names[0]: inputs}
    names = tuple(inputs) if isinstance(inputs, Mapping) else ('a tensor',)
    is_first = self.normalization is None and not self._is_embedding()
    possible = {self.input_names}
    if is_first and self.embeddings:
      possible = {INPUTS, ('categories',)}
    if not any(set(names) == set(each) for each in possible):
      expected = ' or '.join(
          ' and '.join(each) for each in sorted(possible, key=len, reverse=True)
      )
      raise ValueError(
          f'inputs: expected {expected}, for vocabulary_sizes='
          f'{tuple(e.vocab_size for e in self.embeddings)}, got '
          f'{" and ".join(map(str, names)) or "none"}.'
      )
    tensors = {
        name: tf.convert_to_tensor(inputs[name])
        for name in INPUTS
        if name in names
    }
    for name, tensor in tensors.items():
      checks.rank(name, tensor, 2)
    if 'categories' in tensors:
      checks.integers('categories', tensors['categories'])
      tensors['categories'] = checks.shape(
          'categories', tensors['categories'], [None, len(self.embeddings)]
      )
    self.input_names = tuple(tensors)
    return dict(zip(tensors, checks.same_batch(**tensors), strict=True))

  def _is_embedding(self) -> bool:
    """Returns whether the tables of categories exist."""
    return any(each.table is not None for each in self.embeddings)

  def _normalization(self) -> layers.Normalization:
    if self.normalization is None:
      self.normalization = layers.Normalization()
    return self.normalization

  def _features(self, named: dict[str, tf.Tensor]) -> list[tf.Tensor]:
    """Returns the inputs of the dense layers, each ``[batch_size, size]``."""
    features = []
    if 'numbers' in named:
      numbers = named['numbers']
      features.append(self._normalization()(numbers))
      if self.missing == 'indicator':
        features.append(tf.cast(tf.math.is_nan(numbers), numbers.dtype))
    if 'categories' in named:
      columns = tf.unstack(named['categories'], axis=1)
      features += [
          embedding(column)
          for embedding, column in zip(self.embeddings, columns, strict=True)
      ]
    return features
