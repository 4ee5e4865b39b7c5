"""Tables of scikit-learn as CSV files, against its linear models."""

from __future__ import annotations

import numpy as np
import pytest
from absl.testing import absltest
from sklearn import linear_model, pipeline, preprocessing

from tests.launch.real import cycle, sets


class TablesTest(absltest.TestCase):

  @pytest.mark.medium
  def test_breast_cancer(self):
    self._classify('breast cancer', 'breast_cancer')

  @pytest.mark.slow
  def test_wine(self):
    self._classify('wine', 'wine')

  def _classify(self, row, name):
    sets.write_table(name)
    ran = cycle.run(self, cycle.told(row).flags)
    train, test = ran.data['train'], ran.data['test']
    model = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    ).fit(train['numbers'], train['label'])
    ours = cycle.score(cycle.right(ran.rows))
    self.assertAlmostEqual(ours.value, ran.values['accuracy'], places=5)
    theirs = model.predict(test['numbers']) == test['label']
    cycle.assert_as_told(self, row, ours, cycle.score(theirs))

  @pytest.mark.medium
  def test_diabetes(self):
    sets.write_table('diabetes')
    ran = cycle.run(self, cycle.told('diabetes').flags)
    train, test = ran.data['train'], ran.data['test']
    model = pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        linear_model.RidgeCV(np.logspace(-2, 3, 20)),
    ).fit(train['numbers'], train['label'])
    predictions = np.array([row['prediction'] for row in ran.rows])
    ours = cycle.score((predictions - test['label']) ** 2, np.sqrt)
    self.assertAlmostEqual(ours.value, ran.values['rmse'], places=2)
    theirs = (model.predict(test['numbers']) - test['label']) ** 2
    cycle.assert_as_told(
        self, 'diabetes', ours, cycle.score(theirs, np.sqrt), sign=-1
    )


if __name__ == '__main__':
  absltest.main()
