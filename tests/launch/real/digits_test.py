"""scikit-learn's digits in three forms, against a support vector machine."""

from __future__ import annotations

from absl.testing import absltest
from sklearn import svm

from tests.launch.real import cycle, sets

_FORMS = {
    'digits, folder': sets.write_digits_folder,
    'digits, arrays': sets.write_digits_npz,
    'digits, TFDS': sets.write_digits_tfds,
}


class DigitsTest(absltest.TestCase):

  def test_the_form_changes_no_bit(self):
    digests = set()
    for row, write in _FORMS.items():
      with self.subTest(row):
        write()
        ran = cycle.run(self, cycle.told(row).flags)
        digests.add(ran.digest)
        train, test = (
            (data['image'].reshape([len(data['image']), -1]), data['label'])
            for data in (ran.data['train'], ran.data['test'])
        )
        theirs = svm.SVC().fit(*train).predict(test[0]) == test[1]
        ours = cycle.score(cycle.right(ran.rows))
        self.assertAlmostEqual(ours.value, ran.values['accuracy'], places=5)
        cycle.assert_as_told(self, row, ours, cycle.score(theirs))
    self.assertLen(digests, 1)


if __name__ == '__main__':
  absltest.main()
