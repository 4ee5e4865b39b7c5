"""A set's own files neither run code nor fail without their name."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys
import tempfile

from absl.testing import absltest, parameterized

from pipelines import errors, preparation, sources
from tests import small_datasets
from tests.pipelines import damages

_CLASS = 'quatrain_trap.Feature'
_TRUSTED = 'tensorflow_datasets.core.features.'


def _label(features):
  return features['featuresDict']['features']['label']


# Places in a JSON value where a class can be named.
_PLACES = {
    'top': lambda features: features.update(pythonClassName=_CLASS),
    'nested': lambda features: _label(features).update(pythonClassName=_CLASS),
    "protobuf's name": (
        lambda features: _label(features).update(python_class_name=_CLASS)
    ),
    'old format': lambda features: features.update(
        type=_TRUSTED + 'features_dict.FeaturesDict',
        content={'label': {'type': _CLASS, 'content': {}}},
    ),
    'in a string': (
        lambda features: _label(features).update(
            jsonFeature={'json': json.dumps({'feature': {'type': _CLASS}})}
        )
    ),
}


class ManifestsTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.whole = pathlib.Path(cls.enter_context(tempfile.TemporaryDirectory()))
    small_datasets.write(cls.whole, num_train=4, num_test=0)

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(
        self.enter_context(tempfile.TemporaryDirectory()), 'data'
    )
    shutil.copytree(self.whole, self.root)
    self.folder = self.root / 'tiny_shapes' / '1.0.0'

  def assert_refused(self, *words: str, name: str = 'tiny_shapes'):
    with self.assertRaises(errors.DataError) as context:
      sources.open_dataset(name, data_dir=self.root).check()
    message = str(context.exception)
    self.assertNotIn('\n', message)
    for word in words:
      self.assertIn(word, message)

  def trap(self) -> None:
    """Puts a module where Python would find it."""
    (self.root / 'quatrain_trap.py').write_text('raise SystemExit("caught")')
    sys.path.insert(0, str(self.root))
    self.addCleanup(sys.path.remove, str(self.root))

  @parameterized.product(
      place=[*_PLACES], name=('tiny_shapes', 'tiny_shapes:1.0.0')
  )
  def test_imports_nothing_but_classes_of_tfds(self, place, name):
    self.trap()
    damages.edit_json(self.folder / 'features.json', _PLACES[place])
    self.assert_refused(
        _CLASS, 'features.json', 'tensorflow_datasets', name=name
    )
    self.assertNotIn('quatrain_trap', sys.modules)

  def test_so_does_the_other_file(self):
    self.trap()
    features = json.loads((self.folder / 'features.json').read_text())
    _PLACES['nested'](features)
    damages.edit_json(
        self.folder / 'dataset_info.json',
        lambda info: info.update(features=features),
    )
    self.assert_refused(_CLASS, 'dataset_info.json')
    self.assertNotIn('quatrain_trap', sys.modules)

  @parameterized.product(
      name=('dataset_info.json', 'features.json'),
      content=('', '{', '[]', '{}', '"text"', '[' * 100_000, b'\xff\xfe{}'),
  )
  def test_damage_is_named(self, name, content):
    content = content if isinstance(content, bytes) else content.encode()
    (self.folder / name).write_bytes(content)
    self.assert_refused(str(self.folder / name), 'is damaged', 'backup')

  @parameterized.parameters('dataset_info.json', 'features.json')
  def test_absence_is_named(self, name):
    (self.folder / name).unlink()
    self.assert_refused(f'{self.folder / name} is missing')

  @parameterized.parameters(
      ('dataset_info.json', 'name', 'lacks'),
      ('dataset_info.json', 'version', 'lacks'),
      ('dataset_info.json', 'splits', "no split 'train'"),
      ('features.json', 'pythonClassName', 'lacks'),
      ('features.json', 'featuresDict', '1.0.0'),
  )
  def test_missing_keys_are_named(self, name, key, words):
    damages.edit_json(self.folder / name, lambda value: value.pop(key))
    self.assert_refused('tiny_shapes', words)

  @parameterized.parameters(
      ('a\nb\n', '2 names'),
      ('a\na\nb\nc\n', '3 of them different'),
      (b'\xff\xfe\n', 'cannot be read'),
  )
  def test_names_of_classes(self, content, words):
    path = self.folder / 'label.labels.txt'
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    self.assert_refused(str(path), words)
    path.write_text('a\nb\nc\nd\n')
    dataset = sources.open_dataset('tiny_shapes', data_dir=self.root)
    self.assertEqual(dataset.spec['label'].class_names, ('a', 'b', 'c', 'd'))

  @parameterized.parameters(0, -4, 10**9)
  def test_numbers_of_classes(self, number):
    damages.edit_json(
        self.folder / 'features.json',
        lambda features: _label(features).update(
            classLabel={'numClasses': str(number)}
        ),
    )
    self.assert_refused('tiny_shapes declares', '1 to 100,000')

  def test_other_sets_and_whole_ones_are_left_alone(self):
    other = self.root / 'other' / '1.0.0'
    shutil.copytree(self.folder, other)
    damages.edit_json(other / 'features.json', _PLACES['top'])
    builder = preparation.make_builder('tiny_shapes', self.root)
    self.assertEqual(str(builder.version), '1.0.0')


if __name__ == '__main__':
  absltest.main()
