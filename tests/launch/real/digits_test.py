"""scikit-learn's digits in three forms, against a support vector machine."""

from __future__ import annotations

import pytest
from absl.testing import absltest, parameterized
from sklearn import svm

from tests.launch import runs
from tests.launch.real import cycle, sets

_FORMS = {
    'digits, folder': sets.write_digits_folder,
    'digits, arrays': sets.write_digits_npz,
    'digits, TFDS': sets.write_digits_tfds,
}


class DigitsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    for write in _FORMS.values():
      write()

  @pytest.mark.medium
  def test_the_form_changes_no_bit(self):
    """Three runs, of which what the test split gives is the same as well."""
    found = [cycle.train(self, cycle.told(row).flags) for row in _FORMS]
    self.assertLen({runs.digest(workdir) for workdir in found}, 1)
    values = [runs.result(workdir)['test']['values'] for workdir in found]
    self.assertEqual(values, [values[0]] * len(found))

  @pytest.mark.medium
  def test_arrays(self):
    self._classify('digits, arrays')

  @parameterized.parameters('digits, folder', 'digits, TFDS')
  @pytest.mark.slow
  def test_other_forms(self, row):
    self._classify(row)

  def _classify(self, row):
    ran = cycle.run(self, cycle.told(row).flags)
    train, test = (
        (data['image'].reshape([len(data['image']), -1]), data['label'])
        for data in (ran.data['train'], ran.data['test'])
    )
    theirs = svm.SVC().fit(*train).predict(test[0]) == test[1]
    ours = cycle.score(cycle.right(ran.rows))
    self.assertAlmostEqual(ours.value, ran.values['accuracy'], places=5)
    cycle.assert_as_told(self, row, ours, cycle.score(theirs))


if __name__ == '__main__':
  absltest.main()
