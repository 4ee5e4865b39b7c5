"""Tests of launch.config."""

from __future__ import annotations

import dataclasses
import json

from absl.testing import absltest

from launch import config as config_lib
from tests.launch import runs

_DATA = config_lib.DataSpec(
    image_shape=(8, 8, 3),
    label_names=('cat', 'dog'),
    mean=(0.1, 1 / 3, 0.3),
    std=(0.25, 0.2, 0.1),
    num_examples={'train': 10, 'test': 3},
)


def _through_json(value):
  return json.loads(json.dumps(value.to_json()))


class ConfigTest(absltest.TestCase):

  def test_json_gives_the_same_config(self):
    config = runs.config(
        class_weights=(0.1, 2.0),
        image_size=(8, 9),
        model_arg={'hidden_sizes': (3, 2), 'activation': 'tanh'},
    )
    again = config_lib.Config.from_json(_through_json(config))
    self.assertEqual(again, config)
    self.assertEqual(config.differences(again), [])

  def test_each_field_counts_as_a_difference(self):
    config = runs.config()
    for field in dataclasses.fields(config):
      other = dataclasses.replace(config, **{field.name: 'other'})
      [difference] = config.differences(other)
      self.assertEndsWith(difference, ', not other')
      self.assertStartsWith(difference, f'--{field.name}: ')

  def test_another_version_is_refused(self):
    values = _through_json(runs.config())
    del values['seed']
    values['sead'] = 3
    with self.assertRaisesRegex(ValueError, 'it differs in sead, seed'):
      config_lib.Config.from_json(values)


class DataSpecTest(absltest.TestCase):

  def test_json_gives_the_same_spec(self):
    again = config_lib.DataSpec.from_json(_through_json(_DATA))
    self.assertEqual(again, _DATA)
    self.assertEqual(again.num_classes, 2)


if __name__ == '__main__':
  absltest.main()
