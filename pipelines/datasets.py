"""Data sets: features, and splits by name."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from . import errors, splits
from . import in_memory as in_memory_lib
from . import spec as spec_lib

NAMES = ('train', 'validation', 'test')
_BLOCK = 1024


class Dataset:
  """A data set from any kind of source.

  Attributes:
    name: The name under which it was opened.
    spec: The features of its examples.
    version: The version according to the source; may be empty.
    num_examples: The number of examples in each existing split of 'train',
      'validation' and 'test'.
    left_out: The reason for leaving out each of the other splits, by name.
    notes: Messages for the user. Opening a split may add some.
    is_resident: Whether the examples are in memory instead of streamed.
  """

  def __init__(
      self,
      name: str,
      spec: spec_lib.Spec,
      opened: Mapping[str, splits.Split | Callable[[], splits.Split]],
      *,
      num_examples: Mapping[str, int] | None = None,
      is_resident: bool | None = None,
      notes: Sequence[str] = (),
      left_out: Mapping[str, str] | None = None,
      version: str = '',
  ):
    """Creates a data set from its splits, with the attributes of the class.

    Each split in `opened` is given by name, or as a function that opens it when
    needed; then `num_examples` and `is_resident` are required. A list of notes
    is kept, not copied.

    Raises:
      DataError: If there is no training split.
    """
    if 'train' not in opened:
      raise errors.DataError(f'dataset: {name} has no split train.')
    self.name = name
    self.spec = spec
    self.version = version
    self.notes = notes if isinstance(notes, list) else list(notes)
    self.left_out = dict(left_out or {})
    self._splits = {n: opened[n] for n in NAMES if n in opened}
    self.num_examples: dict[str, int] = dict(num_examples or {}) or {
        n: self.split(n).num_examples for n in self._splits
    }
    self.is_resident: bool = (
        all(self.split(n).is_resident for n in self._splits)
        if is_resident is None
        else is_resident
    )

  def split(self, name: str) -> splits.Split:
    """Returns a split of `num_examples`, which stays open.

    Raises:
      DataError: If the split does not exist, or an example in it is damaged.
        Streamed examples are checked when they are read.
    """
    if name not in self._splits:
      why = self.left_out.get(name)
      raise errors.DataError(
          f'split: {self.name} has no {name!r}{f" ({why})" if why else ""}; it '
          f'has {", ".join(self._splits)}.'
      )
    split = self._splits[name]
    if callable(split):
      split = self._splits[name] = split()
    return split

  def check(self) -> None:
    """Opens all splits, to detect damage in any of them.

    Raises:
      DataError: As for `split`.
    """
    for name in self._splits:
      self.split(name)

  def checksums(self, *names: str) -> dict[str, np.ndarray]:
    """Returns a checksum of each example in the given splits, or in all.

    For splits in memory, this is uint32 ``[num_examples]``, the CRC-32 of the
    bytes of the features in the order of their names; for others, the result of
    their method `checksums`, if they have one.
    """
    found = {}
    for name in names or self._splits:
      split = self.split(name)
      if split.is_resident:
        found[name] = checksums(split.arrays)  # type: ignore[attr-defined]
      elif known := getattr(split, 'checksums', None):
        found[name] = known()
    return found


def in_memory(
    arrays: Mapping[str, np.ndarray], spec: spec_lib.Spec
) -> in_memory_lib.InMemorySplit:
  """Creates a split from arrays.

  Args:
    arrays: An array ``[num_examples, ...]`` per feature.
    spec: The features.

  Returns:
    The split.

  Raises:
    DataError: If arrays and features do not match.
  """
  return in_memory_lib.InMemorySplit(arrays, spec)


def of_arrays(
    name: str,
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    spec: spec_lib.Spec,
    notes: Sequence[str] = (),
    left_out: Mapping[str, str] | None = None,
) -> Dataset:
  """Creates a data set from arrays.

  Args:
    name: The name of the data set.
    arrays: For each split, an array ``[num_examples, ...]`` per feature.
    spec: The features.
    notes: Messages for the user.
    left_out: The reason for leaving out each missing split, by name.

  Returns:
    The data set.

  Raises:
    DataError: If arrays and features do not match.

  Example:
    >>> import numpy as np
    >>> from pipelines import datasets, spec
    >>> line = spec.Spec({
    ...     'numbers': spec.Feature('numbers', (1,), 'float32', columns=('x',)),
    ...     'label': spec.Feature('numbers', (), 'float32', columns=('y',)),
    ... })
    >>> x = np.arange(4, dtype=np.float32)
    >>> data = datasets.of_arrays(
    ...     'line', {'train': {'numbers': x[:, None], 'label': 2 * x}}, line
    ... )
    >>> data.num_examples
    {'train': 4}
  """
  opened = {split: in_memory(some, spec) for split, some in arrays.items()}
  return Dataset(name, spec, opened, notes=notes, left_out=left_out)


def checksums(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
  """Returns the CRC-32 of each example in arrays.

  Args:
    arrays: Arrays ``[num_examples, ...]`` by feature.

  Returns:
    uint32 ``[num_examples]``.
  """
  length = len(next(iter(arrays.values())))
  found = []
  for start in range(0, length, _BLOCK):
    parts = [
        np.ascontiguousarray(arrays[name][start : start + _BLOCK])
        for name in sorted(arrays)
    ]
    rows = np.concatenate(
        [part.reshape(len(part), -1).view(np.uint8) for part in parts], axis=1
    )
    view, width = rows.tobytes(), rows.shape[1]
    found += [
        zlib.crc32(view[at : at + width]) for at in range(0, len(view), width)
    ]
  return np.array(found, np.uint32)


def first_difference(
    before: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]
) -> str | None:
  """Describes the first example that differs between two data sets.

  Args:
    before: The result of `Dataset.checksums`.
    now: A later result.

  Returns:
    A description such as 'example 7 of train', or None if all are equal.
  """
  for name in NAMES:
    old, new = before.get(name), now.get(name)
    if old is None or new is None:
      if old is not new:
        return f'split {name}, which {"was" if new is None else "is now"} there'
      continue
    length = min(len(old), len(new))
    if differing := np.flatnonzero(old[:length] != new[:length]).tolist():
      return f'example {differing[0]} of {name}'
    if len(old) != len(new):
      return f'example {length} of {name}: it had {len(old)}, now {len(new)}'
  return None
