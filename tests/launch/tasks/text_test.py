"""Tests of launch.tasks.text, and of classes of tables.

Covers: making.
"""

from __future__ import annotations

import numpy as np
from absl.testing import absltest

from launch import tasks
from pipelines import spec as spec_lib
from tests.launch.tasks import training

_NAMES = ('no', 'yes')
_LABELS = np.arange(32) % 2


class TextTest(absltest.TestCase):

  def test_is_learned(self):
    words = ('', '?', 'good', 'bad')
    data = training.data_of({
        'tokens': spec_lib.Feature(
            'text', (4,), 'int32', vocabularies=(words,), tokenizer='words'
        ),
        'label': spec_lib.Feature('class', (), 'int64', _NAMES),
    })
    self.assertEqual(tasks.of(data.spec), 'text')
    task = training.make(data)
    tokens = np.zeros([32, 4], np.int32)
    tokens[:, 0] = 3 - _LABELS
    values = training.train(task, {'tokens': tokens, 'label': _LABELS}, 30)
    self.assertEqual(values['accuracy'], 1)
    predicted = task.predict({'tokens': tokens})['prediction'].numpy()
    self.assertEqual(
        [p.decode() for p in predicted], [_NAMES[i] for i in _LABELS]
    )
    self.assertEqual(list(task.export().signature), ['tokens'])
    self.assertEqual(task.export().label_names, _NAMES)


class TableTest(absltest.TestCase):

  def test_numbers_and_categories(self):
    data = training.data_of({
        'numbers': spec_lib.Feature('numbers', (2,), 'float32'),
        'categories': spec_lib.Feature(
            'categories', (1,), 'int32', vocabularies=(('a', 'b', 'c'),)
        ),
        'label': spec_lib.Feature('class', (), 'int64', _NAMES),
    })
    self.assertEqual(tasks.of(data.spec), 'classification')
    task = training.make(data, class_weights=(1.0, 1.0))
    arrays = {
        'numbers': np.zeros([32, 2], np.float32),
        'categories': (_LABELS[:, None] * 2).astype(np.int32),
        'label': _LABELS,
    }
    values = training.train(task, arrays, 40)
    self.assertEqual(values['accuracy'], 1)
    report = task.report(values)
    self.assertEqual(report.values['confusion_matrix'], [[16, 0], [0, 16]])
    self.assertEqual(list(task.export().signature), ['numbers', 'categories'])


if __name__ == '__main__':
  absltest.main()
