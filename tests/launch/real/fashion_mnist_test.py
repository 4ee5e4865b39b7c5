"""Fashion-MNIST, against logistic regression of pixels."""

from __future__ import annotations

import pytest
from absl.testing import absltest
from sklearn import linear_model

from tests import small_datasets
from tests.launch.real import cycle, sets

_ROW = 'Fashion-MNIST'


@absltest.skipIf(
    small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
)
class FashionMnistTest(absltest.TestCase):

  @pytest.mark.medium
  def test_a_few_epochs(self):
    """The regression has a tenth of the images, for time."""
    scores = self._classify(['--num_epochs=2'], every=10)
    cycle.assert_not_worse(self, *scores)

  @pytest.mark.slow
  def test_as_told(self):
    cycle.assert_as_told(self, _ROW, *self._classify([], every=1))

  def _classify(self, more, every):
    flags = [
        *cycle.told(_ROW).flags,
        *more,
        f'--data_dir={sets.folder()}/data',
        f'--archives_dir={small_datasets.FASHION_MNIST_DIR}',
    ]
    ran = cycle.run(self, flags, killed_at=600)
    train, test = (
        (data['image'].reshape([len(data['image']), -1]) / 255, data['label'])
        for data in (ran.data['train'], ran.data['test'])
    )
    model = linear_model.LogisticRegression(C=0.1, max_iter=100)
    model.fit(train[0][::every], train[1][::every])
    ours = cycle.score(cycle.right(ran.rows))
    self.assertAlmostEqual(ours.value, ran.values['accuracy'], places=5)
    return ours, cycle.score(model.predict(test[0]) == test[1])


if __name__ == '__main__':
  absltest.main()
