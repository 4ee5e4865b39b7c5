"""Opens the data set of a config, and describes its data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import (
    autograph,
    datasets,
    preprocessing,
    sources,
    splits,
    streams,
)
from pipelines import spec as spec_lib

from . import config as config_lib
from . import data as data_lib
from . import parts, programs
from .lookup import own
from .settings import typed_json


def open_dataset(
    config: config_lib.Config, like: spec_lib.Spec | None = None
) -> datasets.Dataset:
  """Opens the data set of a config, and prepares it if necessary.

  Args:
    config: The config; its data set is a name, or a function that returns one.
    like: The features of a run, to read the data in the same form.

  Returns:
    The data set.

  Raises:
    DataError: If the data set is unavailable or unusable.
    UserError: If it was an object of the program that trained the run.
  """
  name: Any = config.dataset
  if name == typed_json.GIVEN:
    raise programs.UserError(
        '--dataset: the run was trained on an object of a program, which no '
        'other can open; name a data set, or give the object to launch.load.'
    )
  load = None
  if own.is_part(name):
    load = parts.bind('dataset', name, config.dataset_arg)
  return sources.open_dataset(
      getattr(name, '__name__', str(name)),
      load,
      like=like,
      data_dir=config.data_dir,
      archives_dir=config.archives_dir,
      validation_examples=config.validation_examples,
      validation_split=config.validation_split,
      test_split=config.test_split,
      image_size=config.image_size,
      memory_budget_gb=config.resident_gb,
      skip_damaged=config.skip_damaged,
      tokenizer=config.tokenizer,
      max_tokens=config.max_tokens,
  )


def describe_data(
    config: config_lib.Config, dataset: datasets.Dataset
) -> data_lib.DataSpec:
  """Checks a data set and extracts what the model needs to know.

  Raises:
    DataError: If an example of any split is damaged.
  """
  _check_inputs(config, dataset)
  dataset.check()
  train = dataset.split('train')
  checksums = dataset.checksums()
  mean: tuple[float, ...] = ()
  std: tuple[float, ...] = ()
  if config.normalize:
    mean, std = (
        tuple(float(number) for number in numbers)
        for numbers in preprocessing.statistics(train)
    )
  target = dataset.spec.get(spec_lib.LABEL)
  moments: dict[str, Any] = {}
  if target and target.kind == spec_lib.NUMBERS:
    labels = _labels(train).astype(np.float64).reshape([train.num_examples, -1])
    moments = {
        'target_mean': tuple(labels.mean(axis=0).tolist()),
        'target_std': tuple(labels.std(axis=0).tolist()),
    }
  counts: tuple[int, ...] = ()
  if target and target.num_classes and config.class_weights == 'balanced':
    counts = _class_counts(_labels(train), target)
  return data_lib.DataSpec(
      spec=dataset.spec,
      num_examples=dict(dataset.num_examples),
      mean=mean,
      std=std,
      class_counts=counts,
      fingerprint=fingerprint(checksums),
      checksums=checksums,
      **moments,
  )


def fingerprint(checksums: Mapping[str, np.ndarray]) -> dict[str, str]:
  """Returns a hash of the checksums of each split."""
  return {
      name: hashlib.sha256(each.tobytes()).hexdigest()
      for name, each in checksums.items()
  }


def _check_inputs(config: config_lib.Config, dataset: datasets.Dataset) -> None:
  """Rejects options for inputs that the data set does not have.

  Raises:
    UserError: If there is such an option.
  """
  default = config_lib.Config()
  has_image = spec_lib.IMAGE in dataset.spec.inputs
  has_text = bool(dataset.spec.of_kind(spec_lib.TEXT))
  for name, is_there, what in (
      ('image_size', has_image, 'images'),
      ('normalize', has_image, 'images'),
      ('test_time_augmentation', has_image, 'images'),
      ('tokenizer', has_text, 'texts'),
      ('max_tokens', has_text, 'texts'),
  ):
    value = getattr(config, name)
    if value != getattr(default, name) and not is_there:
      if isinstance(value, tuple):
        value = ','.join(map(str, value))
      raise programs.UserError(
          f'--{name}={value}: it is for {what}, and the data set has '
          f'{", ".join(dataset.spec.inputs)}.'
      )


def _labels(data: splits.Split) -> np.ndarray:
  """Returns the main target of every example of a split."""
  loaded = (
      data.keys()
      .batch(1024)
      .map(
          autograph.off(lambda keys: data.load(keys)[spec_lib.LABEL]),
          num_parallel_calls=tf.data.AUTOTUNE,
      )
  )
  with streams.explained(data):
    return np.concatenate(list(loaded.as_numpy_iterator()))


def _class_counts(
    labels: np.ndarray, target: spec_lib.Feature
) -> tuple[int, ...]:
  """Returns how many examples, or pixels of them, belong to each class."""
  if target.kind == spec_lib.CLASSES:
    return tuple(labels.astype(np.int64).sum(axis=0).tolist())
  counts = np.bincount(labels.ravel(), minlength=target.num_classes)
  return tuple(counts.tolist())
