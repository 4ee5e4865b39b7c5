"""Tests of what data sets say of their features."""

from __future__ import annotations

import json

from absl.testing import absltest, parameterized

from pipelines import errors, spec

_FEATURES = {
    'image': spec.Feature('image', (8, 8, 1), 'uint8'),
    'numbers': spec.Feature('numbers', (2,), 'float32', columns=('a', 'b')),
    'categories': spec.Feature(
        'categories', (1,), 'int32', columns=('c',), vocabularies=(('', 'x'),)
    ),
    'tokens': spec.Feature(
        'text', (5,), 'int32', vocabularies=(('', '?', 'w'),), tokenizer='words'
    ),
    'label': spec.Feature('class', (), 'int64', ('even', 'odd')),
}


class SpecTest(parameterized.TestCase):

  def test_json_keeps_all(self):
    given = spec.Spec(_FEATURES)
    text = json.dumps(given.to_json())
    self.assertEqual(spec.Spec.from_json(json.loads(text)), given)

  @parameterized.parameters(
      (None,),
      ({'features': {}},),
      ({'features': {'a': {'kind': 'image'}}, 'targets': []},),
      ({'features': {'a': 3}, 'targets': []},),
      (
          {
              'features': {'a': {'kind': 'b', 'shape': [], 'dtype': 'x'}},
              'targets': [],
          },
      ),
  )
  def test_refuses_what_is_none(self, values):
    with self.assertRaises(ValueError):
      spec.Spec.from_json(values)

  def test_inputs_are_what_is_no_target(self):
    given = spec.Spec(_FEATURES)
    self.assertEqual(
        list(given.inputs), ['image', 'numbers', 'categories', 'tokens']
    )
    self.assertEqual(list(given.of_kind('text', 'image')), ['image', 'tokens'])
    self.assertEqual(list(spec.Spec(_FEATURES, ()).inputs), list(_FEATURES))

  def test_zeros_are_a_batch(self):
    batch = spec.Spec(_FEATURES).zeros(3)
    for name, feature in _FEATURES.items():
      self.assertEqual(batch[name].shape, [3, *feature.shape])
      self.assertEqual(batch[name].dtype.name, feature.dtype)
    self.assertEqual(batch['weight'].numpy().tolist(), [0, 0, 0])

  def test_names_of_a_batch_are_reserved(self):
    with self.assertRaisesRegex(errors.DataError, "'weight'"):
      spec.Spec({'weight': _FEATURES['numbers']})


if __name__ == '__main__':
  absltest.main()
