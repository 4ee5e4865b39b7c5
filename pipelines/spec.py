"""What the examples of a data set are: named features, some of them targets."""

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

# What losses and metrics compare with, unless a task says otherwise.
LABEL = 'label'
# Names that a batch has besides the features of the data set.
RESERVED = ('weight', 'index', 'epoch')


@dataclasses.dataclass(frozen=True)
class Feature:
  """One named part of every example.

  Attributes:
    kind: What the values mean:
      `image`, uint8 ``[H, W, C]``;
      `mask`, the class of each pixel, integers ``[H, W]``;
      `class`, one class, an integer ``[]``;
      `classes`, which classes apply, 0 or 1 ``[num_classes]``;
      `numbers`, float32 ``[]`` or ``[num_numbers]``, NaN where missing;
      `categories`, integers ``[num_categories]``, one per column;
      `text`, the integers of its tokens ``[length]``, 0 for padding;
      `array`, anything else of a fixed shape.
    shape: The shape of one example's value.
    dtype: The name of its NumPy type, such as 'uint8'.
    class_names: The name of each class, of `class`, `classes` and `mask`.
    columns: The name of each column, of `numbers` and `categories`; of a `text`
      those that it was joined from.
    vocabularies: The values of each column of `categories`, or the one
      vocabulary of a `text`. The position in it is the integer of a value.
    tokenizer: How a `text` is cut into tokens: 'words', 'characters',
      'trigrams' or 'bytes'.
  """

  kind: str
  shape: tuple[int, ...]
  dtype: str
  class_names: tuple[str, ...] = ()
  columns: tuple[str, ...] = ()
  vocabularies: tuple[tuple[str, ...], ...] = ()
  tokenizer: str = ''

  def __post_init__(self):
    """Checks the kind."""
    if self.kind not in KINDS:
      raise ValueError(
          f'kind: expected one of {", ".join(KINDS)}, got {self.kind!r}.'
      )

  @property
  def num_classes(self) -> int:
    """The number of classes; 0 if the values are none."""
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
    features: Each feature by the name that it has in a batch.
    targets: The names of those that are to be predicted.

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

  def __post_init__(self):
    """Checks the names."""
    for name in RESERVED:
      if name in self.features:
        raise errors.DataError(
            f'dataset: a feature is named {name!r}, which batches have a '
            'meaning for; rename it.'
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
    """Returns the inputs of some kinds by name."""
    return {n: f for n, f in self.inputs.items() if f.kind in kinds}

  def zeros(self, batch_size: int = 1) -> dict[str, tf.Tensor]:
    """Returns a batch of examples of zeros, with a weight of 0 each."""
    import tensorflow as tf

    specs = {
        name: feature.tensor_spec(batch_size)
        for name, feature in self.features.items()
    }
    batch = {n: tf.zeros(s.shape, s.dtype) for n, s in specs.items()}
    return {**batch, 'weight': tf.zeros([batch_size])}

  def to_json(self) -> dict[str, Any]:
    """Returns the spec as JSON has it; features without what is empty."""
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
    """Undoes `to_json`.

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


def of_images(
    image_shape: Sequence[int], class_names: Sequence[str]
) -> Spec:
  """Returns the features of images of one class each.

  Args:
    image_shape: (height, width, channels).
    class_names: The name of each class.

  Returns:
    `image` and `label`.
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
