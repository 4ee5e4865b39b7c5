"""Tests of launch.config."""

from __future__ import annotations

import dataclasses
import json
import math

from absl.testing import absltest

from launch import config as config_lib
from launch import factories
from tests.launch import runs


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
    self.assertEqual(
        config_lib.changes(config.to_json(), again.to_json()), {}
    )

  def test_each_field_counts_as_a_change(self):
    config = runs.config()
    for field in dataclasses.fields(config):
      other = dataclasses.replace(config, **{field.name: 'other'})
      [[name, (before, now)]] = config_lib.changes(
          config.to_json(), other.to_json()
      ).items()
      self.assertEqual((name, now), (field.name, 'other'))
      self.assertEqual(before, config.to_json()[field.name])

  def test_every_field_has_a_kind(self):
    config = runs.config()
    self.assertContainsSubset(
        {
            'num_epochs', 'num_steps', 'log_every_steps', 'eval_every_epochs',
            'checkpoint_every_steps', 'keep_checkpoints', 'jit',
            'test_time_augmentation',
        },
        {name for name in vars(config) if config.is_free(name)},
    )
    for name in (
        'dataset', 'validation_examples', 'image_size', 'normalize', 'model',
        'model_arg', 'loss', 'loss_arg', 'class_weights', 'label_smoothing',
        'l1_penalty', 'l2_penalty', 'optimizer', 'optimizer_arg',
        'learning_rate', 'schedule', 'schedule_arg', 'clip_global_norm',
        'global_batch_size', 'seed', 'precision', 'average_decay', 'flip',
        'max_shift', 'random_erasing', 'resident_gb',
    ):
      self.assertFalse(config.is_free(name), name)

  def test_the_length_is_free_unless_a_schedule_stretches_over_it(self):
    for name in factories.names('schedule'):
      rates = [
          float(
              factories.make(
                  'schedule', name, {}, learning_rate=1.0, num_steps=num_steps
              )(60)
          )
          for num_steps in (100, 200)
      ]
      for field in ('num_epochs', 'num_steps'):
        self.assertEqual(
            runs.config(schedule=name).is_free(field), rates[0] == rates[1]
        )

  def test_the_length(self):
    self.assertEqual(runs.config(num_epochs=3).length(25), 6)
    self.assertEqual(runs.config(num_epochs=3, num_steps=5).length(25), 5)

  def test_a_config_of_an_older_version(self):
    """What a field does by default is what was done before there was one."""
    config = runs.config(seed=5)
    values = _through_json(config)
    for field in dataclasses.fields(config):
      if field.default is not dataclasses.MISSING:
        del values[field.name]
        self.assertEqual(config_lib.Config.from_json(values), config)
    self.assertLess(len(values), len(vars(config)))

  def test_what_is_not_a_config(self):
    whole = _through_json(runs.config())
    for name in whole:
      for wrong in ({'a': {}}, [[1]], 'x', 1.5, True, None):
        values = {**whole, name: wrong}
        try:
          config = config_lib.Config.from_json(values)
        except ValueError as error:
          self.assertIn(name, str(error))
          self.assertIn(repr(wrong), str(error))
        else:
          self.assertEqual(config.to_json()[name], wrong)
    for values, message in (
        ({**whole, 'sead': 3}, 'it has sead, which .* a newer one wrote it'),
        ({n: v for n, v in whole.items() if n != 'seed'}, 'it lacks seed'),
        ([], r'it has \[\] where'),
        (None, 'it has None where'),
        ({**whole, 'seed': '3'}, "its seed is '3'"),
        ({**whole, 'class_weights': [1, '2']}, 'its class_weights is'),
        ({**whole, 'image_size': [1, 2, 3]}, 'its image_size is'),
        ({**whole, 'normalize': 1}, 'its normalize is 1'),
        ({**whole, 'seed': True}, 'its seed is True'),
        ({**whole, 'learning_rate': math.nan}, 'its learning_rate is nan'),
        ({**whole, 'class_weights': [1, math.inf]}, 'its class_weights is'),
    ):
      with self.assertRaisesRegex(ValueError, message):
        config_lib.Config.from_json(values)


if __name__ == '__main__':
  absltest.main()
