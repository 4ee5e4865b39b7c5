"""The recorded description of a run's data: features, statistics, sizes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from pipelines import spec as spec_lib

from . import config as config_lib

# Fields that older versions did not write. They are not compared if missing.
_MAY_LACK = ('fingerprint',)
_DTYPES = frozenset(
    ['bool', 'float16', 'bfloat16', 'float32', 'float64']
    + [f'{sign}int{size}' for sign in ('', 'u') for size in (8, 16, 32, 64)]
)


@dataclasses.dataclass(frozen=True)
class DataSpec:
  """The description of the data of a run, recorded next to the config.

  Attributes:
    spec: The features.
    num_examples: The number of examples of each split.
    mean: The mean of each channel of the training images, scaled to [0, 1].
    std: The standard deviations. Both are empty without --normalize.
    target_mean: The mean of each number to predict, over the training split.
    target_std: The standard deviations. Both are empty for other targets.
    class_counts: The number of training examples per class; empty if nothing
      depends on it.
    fingerprint: A hash of the examples in memory, by split.
    checksums: The checksums of these examples, which are saved to another file.
  """

  spec: spec_lib.Spec
  num_examples: Mapping[str, int]
  mean: tuple[float, ...] = ()
  std: tuple[float, ...] = ()
  target_mean: tuple[float, ...] = ()
  target_std: tuple[float, ...] = ()
  class_counts: tuple[int, ...] = ()
  fingerprint: Mapping[str, str] = dataclasses.field(default_factory=dict)
  checksums: Mapping[str, Any] = dataclasses.field(
      default_factory=dict, compare=False, repr=False
  )

  @property
  def target(self) -> spec_lib.Feature:
    """The main target.

    Raises:
      ValueError: If the data have no label.
    """
    if spec_lib.LABEL not in self.spec:
      raise ValueError(
          f'dataset: it has no {spec_lib.LABEL!r}, but {", ".join(self.spec)}; '
          'name a --task of your own.'
      )
    return self.spec[spec_lib.LABEL]

  def describe(self) -> str:
    """Describes the features in one line."""
    return '; '.join(
        f'{name}: {_describe(name, feature)}'
        for name, feature in self.spec.items()
    )

  def to_json(self) -> dict[str, Any]:
    """Returns the fields that are not empty, as JSON values."""
    values: dict[str, Any] = {
        'spec': self.spec.to_json(),
        'num_examples': dict(self.num_examples),
    }
    for field in dataclasses.fields(self):
      if not field.compare:
        continue
      value = getattr(self, field.name)
      if field.name not in values and value:
        values[field.name] = (
            list(value) if isinstance(value, tuple) else dict(value)
        )
    return values

  def of_all_workers(self) -> dict[str, Any]:
    """Returns the values that must be equal on all workers, by name.

    Statistics are rounded, since different processors may round differently.
    """
    features = json.dumps(self.spec.to_json(), sort_keys=True).encode()
    return {
        'features of the data': hashlib.sha256(features).hexdigest(),
        'class counts': list(self.class_counts),
        **{
            f'number of examples of {split}': number
            for split, number in self.num_examples.items()
        },
        **{
            f'examples of {split}': digest
            for split, digest in self.fingerprint.items()
        },
        **{
            name: [f'{number:.5g}' for number in getattr(self, name)]
            for name in ('mean', 'std', 'target_mean', 'target_std')
        },
    }

  @classmethod
  def from_json(cls, values: Any) -> DataSpec:
    """Undoes `to_json`; also reads the format of version 0.1.0.

    Raises:
      ValueError: If a field is unknown, missing, or invalid.
    """
    if not isinstance(values, dict):
      raise ValueError(f'it has {values!r} where data are expected')
    if 'image_shape' in values:
      values = _from_first_version(values)
    known = [field.name for field in dataclasses.fields(cls) if field.compare]
    unknown = sorted(values.keys() - set(known))
    if unknown:
      raise ValueError(
          f'it has {", ".join(unknown)}, which this version of Quatrain does '
          'not know: a newer one wrote it'
      )
    missing = [name for name in known[:2] if name not in values]
    if missing:
      raise ValueError(f'it lacks {", ".join(missing)}')
    for name, value in values.items():
      if name != 'spec' and not _FITS[name](value):
        raise ValueError(f'its {name} is {value!r}')
    rest: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != 'spec'
    }
    data = cls(_read_spec(values['spec']), **rest)
    for name, size in (('std', data.mean), ('target_std', data.target_mean)):
      if len(getattr(data, name)) != len(size):
        raise ValueError(f'its {name} is {values.get(name)!r}')
    return data

  def differences(self, before: DataSpec) -> dict[str, list[Any]]:
    """Returns the values that changed, `[before, now]` by name."""
    old, new = before.to_json(), self.to_json()
    for name in _MAY_LACK:
      if name not in old:
        new.pop(name, None)
    differing = config_lib.changes(old, new)
    if 'spec' in differing:
      del differing['spec']
      differing.update(_features_that_differ(before.spec, self.spec))
    return differing


def _features_that_differ(
    before: spec_lib.Spec, now: spec_lib.Spec
) -> dict[str, list[Any]]:
  """Returns the differences of each feature, by `NAME.WHAT`."""
  old, new = before.to_json(), now.to_json()
  differing: dict[str, list[Any]] = {}
  for name in {**old['features'], **new['features']}:
    one, other = old['features'].get(name), new['features'].get(name)
    if one is None or other is None:
      differing[name] = [one, other]
      continue
    for what, pair in config_lib.changes(one, other).items():
      differing[f'{name}.{what}'] = pair
  if old['targets'] != new['targets']:
    differing['targets'] = [old['targets'], new['targets']]
  return differing


def _describe(name: str, feature: spec_lib.Feature) -> str:
  if feature.class_names:
    return f'{feature.num_classes} classes'
  if feature.vocabularies and feature.kind == spec_lib.TEXT:
    return f'{len(feature.vocabularies[0]):,} different tokens'
  shape = ' x '.join(map(str, feature.shape)) or '1'
  is_said = feature.kind in (name, spec_lib.ARRAY)
  return shape if is_said else f'{feature.kind} {shape}'


def _from_first_version(values: Mapping[str, Any]) -> dict[str, Any]:
  """Converts the format of version 0.1.0, which had only images and classes."""
  expected = {'image_shape', 'label_names', 'mean', 'std', 'num_examples'}
  if expected - values.keys():
    raise ValueError(f'it lacks {", ".join(sorted(expected - values.keys()))}')
  shape, names = values['image_shape'], values['label_names']
  if not (_are(int, shape) and len(shape) == 3 and min(shape) > 0):
    raise ValueError(f'its image_shape is {shape!r}')
  if not _are(str, names):
    raise ValueError(f'its label_names is {names!r}')
  if len(values['mean'] or ()) not in (0, shape[-1]):
    raise ValueError(f'its mean is {values["mean"]!r}')
  spec = spec_lib.of_images(shape, names).to_json()
  rest = {n: v for n, v in values.items() if n not in expected}
  kept = {n: values[n] for n in ('mean', 'std', 'num_examples')}
  return {'spec': spec, **kept, **rest}


def _read_spec(values: Any) -> spec_lib.Spec:
  """Reads a spec, and checks what its class does not check.

  Raises:
    ValueError: If a value is invalid.
  """
  spec = spec_lib.Spec.from_json(values)
  for name, feature in spec.items():
    for what, fits in (
        ('shape', _are(int, feature.shape) and 0 not in feature.shape),
        ('shape', _counts(feature.shape)),
        ('dtype', isinstance(feature.dtype, str) and feature.dtype in _DTYPES),
        ('class_names', _are(str, feature.class_names)),
        ('columns', _are(str, feature.columns)),
        ('vocabularies', all(map(_words, feature.vocabularies))),
        ('tokenizer', isinstance(feature.tokenizer, str)),
    ):
      if not fits:
        value = getattr(feature, what)
        raise ValueError(f'its {name} has the {what} {value!r}')
  return spec


def _are(kind: type, value: Any) -> bool:
  return isinstance(value, list | tuple) and all(
      isinstance(item, kind) and not isinstance(item, bool) for item in value
  )


def _words(value: Any) -> bool:
  return _are(str, value)


def _numbers(value: Any) -> bool:
  return isinstance(value, list) and all(
      isinstance(item, int | float)
      and not isinstance(item, bool)
      and math.isfinite(item)
      for item in value
  )


def _scales(value: Any) -> bool:
  return _numbers(value) and min(value, default=0) >= 0


def _counts(value: Any) -> bool:
  return _are(int, value) and min(value, default=0) >= 0


def _splits(value: Any) -> bool:
  return (
      isinstance(value, dict)
      and _counts(list(value.values()))
      and value.get('train', 0) > 0
  )


_FITS: dict[str, Callable[[Any], bool]] = {
    'num_examples': _splits,
    'mean': _numbers,
    'std': _scales,
    'target_mean': _numbers,
    'target_std': _scales,
    'class_counts': _counts,
    'fingerprint': lambda value: (
        isinstance(value, dict) and _words(list(value.values()))
    ),
}
