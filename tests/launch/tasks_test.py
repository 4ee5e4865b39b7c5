"""Tests of launch.tasks: which task a run has."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
from absl.testing import absltest, parameterized

from core import layers, losses, models, objectives
from launch import data as data_lib
from launch import experiment as experiment_lib
from launch import programs, tasks
from launch.tasks import making
from pipelines import spec as spec_lib
from tests.launch import runs

_FEATURES = {
    'image': spec_lib.Feature('image', (4, 4, 1), 'uint8'),
    'numbers': spec_lib.Feature('numbers', (3,), 'float32'),
    'categories': spec_lib.Feature(
        'categories', (2,), 'int32', vocabularies=(('', 'a'), ('', 'b', 'c'))
    ),
    'tokens': spec_lib.Feature(
        'text', (5,), 'int32', vocabularies=(('',) * 9,)
    ),
    'class': spec_lib.Feature('class', (), 'int64', ('a', 'b')),
    'classes': spec_lib.Feature('classes', (2,), 'int8', ('a', 'b')),
    'number': spec_lib.Feature('numbers', (), 'float32'),
    'mask': spec_lib.Feature('mask', (4, 4), 'uint8', ('a', 'b')),
}


def _data(label, *inputs):
  features = {name: _FEATURES[name] for name in inputs}
  return data_lib.DataSpec(
      spec_lib.Spec({**features, 'label': _FEATURES[label]}),
      {'train': 10},
      target_mean=(0.0,),
      target_std=(1.0,),
  )


def _config(**changes):
  return runs.config(**{'model': None, 'model_arg': {}, **changes})


def _own(spec, width=2):
  return tasks.Task(
      model=layers.Dense(width),
      objective=objectives.supervised(
          losses.squared_error,
          inputs='numbers',
          labels=lambda batch: batch['label'][:, tf.newaxis],
      ),
  )


class OfTest(parameterized.TestCase):

  @parameterized.parameters(
      ('class', ('image',), 'classification', 'ConvNet'),
      ('class', ('numbers', 'categories'), 'classification', 'Tabular'),
      ('class', ('categories',), 'classification', 'Tabular'),
      ('class', ('tokens',), 'text', 'TextClassifier'),
      ('classes', ('image',), 'multi_label', 'ConvNet'),
      ('classes', ('tokens',), 'multi_label', 'TextClassifier'),
      ('number', ('image',), 'regression', 'ConvNet'),
      ('number', ('numbers',), 'regression', 'Tabular'),
      ('number', ('tokens',), 'regression', 'TextClassifier'),
      ('mask', ('image',), 'segmentation', 'UNet'),
  )
  def test_target_and_inputs_decide(self, label, inputs, task, model):
    data = _data(label, *inputs)
    self.assertEqual(tasks.of(data.spec), task)
    made = tasks.make(data, _config())
    self.assertEqual(type(made.model).__name__, model)
    batch = data.spec.zeros(2)
    evaluation = made.objective(made.model, batch, None, is_training=False)
    self.assertEqual(evaluation.values.shape, [2])
    columns = made.predict({name: batch[name] for name in inputs})
    for name, column in columns.items():
      self.assertEqual(column.shape[0], 2, name)
    self.assertEqual(list(made.export().signature), list(inputs))

  def test_no_target(self):
    spec = spec_lib.Spec({'numbers': _FEATURES['numbers']}, ())
    with self.assertRaisesRegex(programs.UserError, 'has no label, only num'):
      tasks.of(spec)

  def test_no_model_for_these_inputs(self):
    with self.assertRaisesRegex(programs.UserError, '--model: none of ours'):
      tasks.make(_data('class', 'image', 'numbers'), _config())

  def test_every_loss_has_a_name(self):
    for module in tasks.TASKS.values():
      self.assertIn(module.DEFAULT_LOSS, module.LOSSES)
      self.assertContainsSubset(module.LOSSES, tasks.losses())


class MakeTest(parameterized.TestCase):

  @parameterized.parameters(
      ('regression', "is for a target of the kind 'numbers', and .* 'class'"),
      ('regresion', 'unknown; there are: classification'),
  )
  def test_a_name_that_does_not_fit(self, name, message):
    with self.assertRaisesRegex(
        programs.UserError, f'--task={name}: .*{message}'
    ):
      tasks.make(_data('class', 'image'), _config(task=name))

  def test_of_ones_own(self):
    data = _data('number', 'numbers')
    config = _config(task=_own, task_arg={'width': 1})
    experiment = experiment_lib.Experiment(config, data, 1)
    experiment.build()
    batch = data.spec.zeros(3)
    evaluation = experiment.objective(experiment.model, batch, None, False)
    self.assertEqual(evaluation.values.shape, [3])
    self.assertEqual(list(experiment.task.export().signature), ['numbers'])
    columns = experiment.task.predict({'numbers': batch['numbers']})
    self.assertEqual(columns['prediction'].shape, [3, 1])

  @parameterized.parameters(
      (_own, {'depth': 1}, '--task_arg=depth: no such'),
      (lambda spec: spec, {}, 'returned a Spec without model'),
  )
  def test_ones_own_that_does_not_fit(self, function, given, message):
    config = _config(task=function, task_arg=given)
    with self.assertRaisesRegex(programs.UserError, message):
      tasks.make(_data('number', 'numbers'), config)

  def test_a_model_gets_what_its_signature_names(self):
    data = _data('class', 'categories', 'tokens')
    found = {}

    def net(num_outputs, vocabulary_size, vocabulary_sizes, width=3):
      found.update(locals())
      return models.create('mlp', num_outputs)

    config = _config(model=net, model_arg={'width': 7})
    making.model(config, data, 2)
    self.assertEqual(
        {k: v for k, v in found.items() if k != 'found'},
        {
            'num_outputs': 2,
            'vocabulary_size': 9,
            'vocabulary_sizes': (2, 3),
            'width': 7,
        },
    )
    one = dataclasses.replace(data, spec=_data('class', 'numbers').spec)
    self.assertEqual(making.given(one, 2)['input_shape'], (3,))


if __name__ == '__main__':
  absltest.main()
