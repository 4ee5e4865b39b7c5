"""Tests of launch.config.

Covers: settings.data_options, settings.option_flags, settings.options,
settings.training_options, settings.typed_json.
"""

from __future__ import annotations

import dataclasses
import json
import math
import warnings

from absl.testing import absltest, parameterized

from launch import config as config_lib
from launch import parts
from launch.settings import options
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
    self.assertEqual(config_lib.changes(config.to_json(), again.to_json()), {})

  def test_each_field_counts_as_a_change(self):
    config = runs.config()
    for name in config.to_json():
      other = runs.changed(config, name)
      [[changed, values]] = config_lib.changes(
          config.to_json(), other.to_json()
      ).items()
      self.assertEqual(changed, name)
      self.assertEqual(values, [config.to_json()[name], other.to_json()[name]])

  def test_the_order_of_learning_rates_counts(self):
    one, other = (
        runs.config(learning_rates=dict(pairs), model_arg=dict(pairs)).to_json()
        for pairs in ([('a', 1.0), ('b', 2.0)], [('b', 2.0), ('a', 1.0)])
    )
    self.assertEqual(list(config_lib.changes(one, other)), ['learning_rates'])
    self.assertEmpty(config_lib.changes(one, json.loads(json.dumps(one))))

  def test_several_parts_may_be_one_or_names_with_commas(self):
    function = lambda: None
    for given, expected in (
        ('a', ('a',)),
        ('a, b', ('a', 'b')),
        ('', ()),
        (['a', 'b'], ('a', 'b')),
        (function, (function,)),
        ([function, 'a'], (function, 'a')),
    ):
      for name in ('metrics', 'hooks'):
        config = config_lib.Config(**{name: given})
        self.assertEqual(getattr(config, name), expected)

  def test_where_it_is_computed_is_kept_apart(self):
    config = runs.config(
        workdir='w',
        data_dir='d',
        archives_dir='a',
        strategy='one_device',
        num_virtual_devices=2,
        steps_per_loop=3,
        compilation_cache_dir='c',
        accept_changes=True,
    )
    self.assertEqual(config.to_json(), runs.config().to_json())
    self.assertEqual(
        config.place(),
        {
            'workdir': 'w',
            'data_dir': 'd',
            'archives_dir': 'a',
            'strategy': 'one_device',
            'num_virtual_devices': 2,
            'steps_per_loop': 3,
        },
    )
    self.assertEqual(
        runs.config().at(config.place()),
        dataclasses.replace(
            config, compilation_cache_dir=None, accept_changes=False
        ),
    )

  def test_every_field_has_a_kind(self):
    config = runs.config()
    self.assertContainsSubset(
        {
            'num_epochs',
            'num_steps',
            'log_every_steps',
            'eval_every_epochs',
            'checkpoint_every_steps',
            'keep_checkpoints',
            'async_checkpoints',
            'jit_compile',
            'test_time_augmentation',
            'metrics',
            'metric_arg',
            'hooks',
            'hook_arg',
            'steps_per_loop',
        },
        {name for name in vars(config) if config.is_free(name)},
    )
    for name in (
        'dataset',
        'validation_examples',
        'image_size',
        'normalize',
        'model',
        'model_arg',
        'loss',
        'loss_arg',
        'class_weights',
        'label_smoothing',
        'l1_penalty',
        'l2_penalty',
        'optimizer',
        'optimizer_arg',
        'learning_rate',
        'schedule',
        'schedule_arg',
        'clip_global_norm',
        'global_batch_size',
        'seed',
        'precision',
        'ema_decay',
        'random_flip',
        'max_shift',
        'random_erasing',
        'resident_gb',
        'task',
        'task_arg',
        'dataset_arg',
    ):
      self.assertFalse(config.is_free(name), name)

  def test_the_length_is_free_unless_a_schedule_stretches_over_it(self):
    for name in parts.names('schedule'):
      rates = [
          float(
              parts.call(
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
    for name, value in list(values.items()):
      del values[name]
      try:
        self.assertEqual(config_lib.Config.from_json(values), config)
      except ValueError as error:
        self.assertEqual(str(error), f'it lacks {name}')
        values[name] = value
    golden = runs.ROOT / 'tests/launch/golden/0.1.0/finished/config.json'
    self.assertContainsSubset(values, json.loads(golden.read_text())['config'])

  def test_former_names(self):
    given = {'average_decay': 0.9, 'flip': 'random', 'jit': 'off'}
    self.assertCountEqual(options.former(config_lib.Config), given)
    with self.assertWarns(DeprecationWarning):
      config = config_lib.Config(**given)
    for name, value in given.items():
      now = options.former(config_lib.Config)[name]
      self.assertEqual(getattr(config, now), value)
      with self.assertWarnsRegex(DeprecationWarning, f'Config.{name} .* {now}'):
        self.assertEqual(getattr(config, name), value)
      with self.assertWarnsRegex(DeprecationWarning, f'Config.{name} .* {now}'):
        config_lib.Config(**{name: value})
      with self.assertWarns(DeprecationWarning):
        plain = dataclasses.replace(config_lib.Config(), **{name: value})
      self.assertEqual(getattr(plain, now), value)
    former = {v: k for k, v in options.former(config_lib.Config).items()}
    values = {former.get(k, k): v for k, v in _through_json(config).items()}
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      self.assertEqual(config_lib.Config.from_json(values), config)
    with self.assertRaises(AttributeError):
      _ = config.jits

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


class ValueTest(parameterized.TestCase):

  def test_a_config_needs_no_argument(self):
    config = config_lib.Config()
    self.assertEqual(config_lib.Config.from_json(_through_json(config)), config)
    self.assertEqual(config_lib.Config(num_epochs=3).num_epochs, 3)

  @parameterized.parameters(
      ({'learning_rate': -1}, 'learning_rate: expected a number from 0 to 1e'),
      ({'learning_rate': math.nan}, 'learning_rate: .* got nan'),
      ({'learning_rate': '0.1'}, "learning_rate: .* got '0.1'"),
      ({'num_epochs': 0}, 'num_epochs: expected an integer from 1 to 1000000'),
      ({'num_epochs': 1.5}, 'num_epochs: .* got 1.5'),
      ({'num_steps': True}, 'num_steps: .* or None, got True'),
      ({'seed': 2**31}, 'seed: expected an integer from 0 to 2147483647'),
      (
          {'random_flip': 'twice'},
          'random_flip: expected one of none, random, alternating',
      ),
      ({'strategy': 'tpu'}, 'strategy: expected one of auto, mirrored'),
      ({'normalize': 'yes'}, "normalize: expected True or False, got 'yes'"),
      ({'image_size': (8,)}, 'image_size: expected HEIGHT,WIDTH from 1'),
      ({'image_size': (8, 0)}, 'image_size: expected HEIGHT,WIDTH from 1'),
      ({'class_weights': (-1.0,)}, 'class_weights: expected numbers from 0 to'),
      ({'class_weights': 'even'}, 'class_weights: .* or balanced or None'),
      ({'metrics': 3}, 'metrics: expected names, or functions'),
      ({'metrics': (3,)}, 'metrics: expected names'),
      ({'model_arg': [1]}, 'model_arg: expected a mapping of names'),
      ({'model': 3}, 'model: expected a name, or a function that makes one'),
      ({'model': math}, 'model: expected a name, or a func.* got <module'),
  )
  def test_what_does_not_fit_is_refused(self, values, message):
    with self.assertRaisesRegex(ValueError, f'^{message}'):
      config_lib.Config(**values)

  def test_bounds_are_those_of_the_flags(self):
    own = runs.flags_of('train')
    for name, spec in options.declared(config_lib.Config).items():
      parser = own[name].parser
      if own[name].flag_type() in ('int', 'float'):
        self.assertEqual(parser.lower_bound, spec.low, name)
        self.assertEqual(parser.upper_bound, spec.high, name)
        for beyond in (spec.low - 1, spec.high * 10 + 1):
          with self.assertRaisesRegex(ValueError, name):
            config_lib.Config(**{name: beyond})

  def test_lists_are_tuples(self):
    config = config_lib.Config(
        class_weights=[1, 2],
        model_arg={'hidden_sizes': [3, 2]},
        metrics=['accuracy'],
    )
    self.assertEqual(config.class_weights, (1, 2))
    self.assertEqual(config.model_arg, {'hidden_sizes': (3, 2)})
    self.assertEqual(config.metrics, ('accuracy',))

  def test_an_object_is_kept_under_its_name(self):
    config = config_lib.Config(loss=math.hypot, metrics=[math.dist])
    self.assertEqual(config.to_json()['loss'], 'math:hypot')
    self.assertEqual(config.to_json()['metrics'], ['math:dist'])

  @parameterized.parameters('1,2.5', 'balanced')
  def test_class_weights(self, text):
    ended, config = runs.parsed('--workdir=x', f'--class_weights={text}')
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertEqual(
        config.class_weights, text if text == 'balanced' else (1, 2.5)
    )

  def test_every_flag_reaches_its_field(self):
    plain = runs.config()
    for name in options.declared(config_lib.Config):
      config = runs.changed(plain, name)
      arguments = runs.arguments(config)
      _, parsed = runs.parsed('--workdir=w', *arguments)
      expected = dataclasses.replace(
          config,
          workdir=config.workdir or 'w',
          data_dir=config.data_dir or runs.data_dir(),
      )
      self.assertEqual(parsed, expected)


if __name__ == '__main__':
  absltest.main()
