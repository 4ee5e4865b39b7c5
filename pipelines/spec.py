"""The structure of examples: named features, some of which are targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import errors

# Specs are read before a program imports TensorFlow.
if TYPE_CHECKING:
  import tensorflow as tf

IMAGE = 'image'
MASK = 'mask'
CLASS = 'class'
CLASSES = 'classes'
NUMBERS = 'numbers'
CATEGORIES = 'categories'
TEXT = 'text'
ARRAY = 'array'
KINDS = (IMAGE, MASK, CLASS, CLASSES, NUMBERS, CATEGORIES, TEXT, ARRAY)

# The default target of losses and metrics.
LABEL = 'label'
# Names in a batch in addition to the features of the data set.
RESERVED = ('weight', 'index', 'epoch')


@dataclasses.dataclass(frozen=True)
class Feature:
  """One named part of every example.

  Attributes:
    kind: The meaning of the values: `image`, uint8 ``[H, W, C]``; `mask`, the
      class of each pixel, integers ``[H, W]``; `class`, one class, an integer
      ``[]``; `classes`, which classes apply, 0 or 1 ``[num_classes]``;
      `numbers`, float32 ``[]`` or ``[num_numbers]``, NaN if missing;
      `categories`, integers ``[num_categories]``, one per column; `text`, token
      ids ``[length]``, 0 for padding; `array`, anything else of a fixed shape.
    shape: The shape of one example's value.
    dtype: The name of its NumPy dtype, such as 'uint8'.
    class_names: The class names of `class`, `classes` and `mask`.
    columns: The column names of `numbers` and `categories`, or those from which
      a `text` was joined.
    vocabularies: The values of each column of `categories`, or the single
      vocabulary of a `text`. The integer of a value is its position.
    tokenizer: How a `text` is split into tokens: 'words', 'characters',
      'trigrams' or 'bytes'.
  """

  kind: str
  shape: tuple[int, ...]
  dtype: str
  class_names: tuple[str, ...] = ()
  columns: tuple[str, ...] = ()
  vocabularies: tuple[tuple[str, ...], ...] = ()
  tokenizer: str = ''

  def __post_init__(self) -> None:
    """Checks the kind."""
    if self.kind not in KINDS:
      raise ValueError(
          f'kind: expected one of {", ".join(KINDS)}, got {self.kind!r}.'
      )

  @property
  def num_classes(self) -> int:
    """The number of classes, or 0 if the values are not classes."""
    return len(self.class_names)

  def tensor_spec(self, batch_size: int | None) -> tf.TensorSpec:
    """Returns the shape and dtype of a batch of values."""
    import tensorflow as tf

    dtype = tf.dtypes.as_dtype(self.dtype)
    return tf.TensorSpec([batch_size, *self.shape], dtype)


@dataclasses.dataclass(frozen=True)
class Spec(Mapping[str, Feature]):
  """The features of a data set by name.

  Attributes:
    features: Each feature by its name in a batch.
    targets: The names of the features to predict.

  Example:
    >>> from pipelines import spec
    >>> digits = spec.Spec(
    ...     {
    ...         'image': spec.Feature('image', (8, 8, 1), 'uint8'),
    ...         'label': spec.Feature('class', (), 'int64', ('even', 'odd')),
    ...     }
    ... )
    >>> digits['label'].num_classes
    2
    >>> list(digits.inputs)
    ['image']
  """

  features: Mapping[str, Feature]
  targets: tuple[str, ...] = (LABEL,)

  def __post_init__(self) -> None:
    """Checks the names."""
    for name in RESERVED:
      if name in self.features:
        raise errors.DataError(
            f'dataset: a feature is named {name!r}, which is reserved in '
            'batches; rename it.'
        )

  def __getitem__(self, name: str) -> Feature:
    """Returns a feature by its name."""
    return self.features[name]

  def __iter__(self) -> Iterator[str]:
    """Yields the names of all features."""
    return iter(self.features)

  def __len__(self) -> int:
    """Returns the number of features."""
    return len(self.features)

  @property
  def inputs(self) -> dict[str, Feature]:
    """The features that are not targets."""
    return {n: f for n, f in self.features.items() if n not in self.targets}

  def of_kind(self, *kinds: str) -> dict[str, Feature]:
    """Returns the inputs of the given kinds by name."""
    return {n: f for n, f in self.inputs.items() if f.kind in kinds}

  def zeros(self, batch_size: int = 1) -> dict[str, tf.Tensor]:
    """Returns a batch of zeros with weights of 0."""
    import tensorflow as tf

    specs = {
        name: feature.tensor_spec(batch_size)
        for name, feature in self.features.items()
    }
    batch = {n: tf.zeros(s.shape, s.dtype) for n, s in specs.items()}
    return {**batch, 'weight': tf.zeros([batch_size])}

  def to_json(self) -> dict[str, Any]:
    """Returns the spec as a JSON value, without empty fields."""
    features = {
        name: {
            key: _lists(value)
            for key, value in vars(feature).items()
            if value or key == 'shape'
        }
        for name, feature in self.features.items()
    }
    return {'features': features, 'targets': list(self.targets)}

  @classmethod
  def from_json(cls, values: Any) -> Spec:
    """Inverts `to_json`.

    Raises:
      ValueError: If the values are not those of a spec.
    """
    try:
      features = {
          name: Feature(**{k: _tuples(v) for k, v in given.items()})
          for name, given in values['features'].items()
      }
      return cls(features, tuple(values['targets']))
    except (KeyError, TypeError, AttributeError) as error:
      raise ValueError(f'not the features of a data set: {error}') from None


def of_images(image_shape: Sequence[int], class_names: Sequence[str]) -> Spec:
  """Returns the features of images with one class each.

  Args:
    image_shape: (height, width, channels).
    class_names: The name of each class.

  Returns:
    A spec of `image` and `label`.
  """
  return Spec({
      IMAGE: Feature(IMAGE, tuple(image_shape), 'uint8'),
      LABEL: Feature(CLASS, (), 'int64', tuple(class_names)),
  })


def _lists(value: Any) -> Any:
  return [_lists(v) for v in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
  if isinstance(value, Sequence) and not isinstance(value, str):
    return tuple(_tuples(item) for item in value)
  return value
