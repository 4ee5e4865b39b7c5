"""Tests of launch.reading: the options of data reach their source."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from launch import config as config_lib
from launch import programs, reading
from pipelines import errors
from tests.launch import runs

_TEXTS = np.array(
    ['one two three four', 'five', 'six seven eight nine ten'] * 20
)


def _open(dataset, **changes):
  config = config_lib.Config(
      dataset=dataset, validation_split='none', test_split='none', **changes
  )
  return reading.open_dataset(config)


class OpenDatasetTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))

  def _texts(self):
    path = self.folder / 'texts.npz'
    np.savez(path, text=_TEXTS, label=np.arange(60) % 2)
    return f'npz:{path}'

  @parameterized.parameters(
      ('words', 5, ('eight', 'five')),
      ('characters', len(_TEXTS[2]), ('e', 'f')),
      ('bytes', len(_TEXTS[2]), ('\\x65', '\\x66')),
  )
  def test_how_texts_are_cut(self, tokenizer, length, known):
    [text] = _open(self._texts(), tokenizer=tokenizer).spec.inputs.values()
    self.assertEqual(text.tokenizer, tokenizer)
    self.assertEqual(text.shape, (length,))
    self.assertContainsSubset(known, text.vocabularies[0])
    [text] = _open(
        self._texts(), tokenizer=tokenizer, max_tokens=3
    ).spec.inputs.values()
    self.assertEqual(text.shape, (3,))

  def test_nothing_else_is_cut(self):
    path = self.folder / 'numbers.npz'
    np.savez(path, numbers=np.ones([60, 2]), label=np.arange(60) % 2)
    for name, value, what in (
        ('tokenizer', 'bytes', 'texts'),
        ('max_tokens', 3, 'texts'),
        ('normalize', True, 'images'),
    ):
      with self.assertRaisesRegex(
          programs.UserError, f'{name}={value}: it is for {what}, .* numbers'
      ):
        config = config_lib.Config(**{name: value})
        reading.describe_data(config, _open(f'npz:{path}'))

  def test_what_is_damaged(self):
    generator = np.random.default_rng(0)
    for name in ('cat', 'dog'):
      (self.folder / name).mkdir()
      for index in range(8):
        image = generator.integers(0, 256, [4, 4, 3], np.uint8)
        (self.folder / name / f'{index}.png').write_bytes(
            tf.io.encode_png(image).numpy()
        )
    (self.folder / 'dog' / '5.png').write_bytes(b'no picture')
    name = f'folder:{self.folder}'
    with self.assertRaisesRegex(errors.DataError, 'dog/5.png.*skip_damaged'):
      _open(name).check()
    dataset = _open(name, skip_damaged=True)
    dataset.check()
    self.assertEqual(dataset.split('train').num_examples, 15)
    self.assertIn('dog/5.png', ' '.join(dataset.notes))


if __name__ == '__main__':
  absltest.main()
