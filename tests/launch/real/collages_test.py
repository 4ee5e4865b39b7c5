"""2 x 2 collages of Fashion-MNIST: which classes there are, and where.

By default there are few of them, of every other pixel, in fewer epochs; the
slow tests are those of the page.
"""

from __future__ import annotations

import numpy as np
import pytest
from absl.testing import absltest
from sklearn import ensemble, linear_model, multiclass

from tests import small_datasets
from tests.launch.real import cycle, sets

_CLASSES, _MASKS = 'collages, classes', 'collages, masks'
_QUARTER = 14
_RADIUS = 4
# Neighbours look alike, so that the trees see every seventh patch.
_EVERY = 7


def _flags(row, collages, *more):
  flags = [flag.replace('collages', collages) for flag in cycle.told(row).flags]
  return [*flags, *more]


def _macro_f1(counts):
  """Takes hits, false alarms and misses of each class, ``[3, classes]``."""
  hits, alarms, misses = counts
  return np.mean(2 * hits / np.maximum(2 * hits + alarms + misses, 1e-9))


def _detections(labels, found):
  """Returns what `_macro_f1` takes, for each example."""
  labels, found = labels.astype(float), found.astype(float)
  return np.stack(
      [labels * found, (1 - labels) * found, labels * (1 - found)], axis=1
  )


def _mean_iou(confusions):
  """Takes a confusion matrix ``[classes, classes]``."""
  both = np.diag(confusions)
  either = confusions.sum(0) + confusions.sum(1) - both
  return np.mean(both / np.maximum(either, 1e-9))


def _confusions(labels, found, num_classes=11):
  """Returns the confusion matrix of each mask."""
  counts = np.zeros([len(labels), num_classes, num_classes])
  for each, label, other in zip(counts, labels, found):
    np.add.at(each, (label.ravel(), other.ravel()), 1)
  return counts


def _patches(images):
  """Returns the surroundings of each pixel, ``[num_pixels, size]``."""
  width = 2 * _RADIUS + 1
  around = [(0, 0), (_RADIUS, _RADIUS), (_RADIUS, _RADIUS)]
  windows = np.lib.stride_tricks.sliding_window_view(
      np.pad(images[..., 0], around), (width, width), axis=(1, 2)
  )
  return windows.reshape([-1, width**2])


@absltest.skipIf(
    small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
)
class CollagesTest(absltest.TestCase):

  @pytest.mark.medium
  def test_classes(self):
    collages = sets.collages(500, 200, _QUARTER)
    cycle.assert_not_worse(
        self, *self._find_classes(_flags(_CLASSES, collages))
    )

  @pytest.mark.slow
  def test_more_classes(self):
    collages = sets.collages(1000, 500, _QUARTER)
    scores = self._find_classes(_flags(_CLASSES, collages))
    cycle.assert_as_told(self, _CLASSES, *scores)

  @pytest.mark.medium
  def test_masks(self):
    collages = sets.collages(500, 200, _QUARTER)
    flags = _flags(_MASKS, collages, '--num_epochs=3')
    cycle.assert_not_worse(self, *self._find_masks(flags))

  @pytest.mark.slow
  def test_more_masks(self):
    collages = sets.collages(1000, 500, _QUARTER)
    scores = self._find_masks(_flags(_MASKS, collages))
    cycle.assert_as_told(self, _MASKS, *scores)

  def _find_classes(self, flags):
    ran = cycle.run(self, flags, killed_at=100)
    (x, y), (test_x, test_y) = (
        (data['image'].reshape([len(data['image']), -1]) / 255, data['label'])
        for data in (ran.data['train'], ran.data['test'])
    )
    found = np.array([row['classes'] for row in ran.rows])
    ours = cycle.score(_detections(test_y, found), _macro_f1)
    self.assertAlmostEqual(ours.value, ran.values['macro_f1'], places=5)
    model = multiclass.OneVsRestClassifier(
        linear_model.LogisticRegression(C=0.01, max_iter=300)
    )
    theirs = _detections(test_y, model.fit(x, y).predict(test_x))
    return ours, cycle.score(theirs, _macro_f1)

  def _find_masks(self, flags):
    ran = cycle.run(self, flags, killed_at=40)
    train, test = ran.data['train'], ran.data['test']
    masks = test['label'].astype(int)
    found = np.array([row['mask'] for row in ran.rows])
    ours = cycle.score(_confusions(masks, found), _mean_iou)
    self.assertAlmostEqual(ours.value, ran.values['mean_iou'], places=5)
    model = ensemble.ExtraTreesClassifier(
        20, min_samples_leaf=3, random_state=0
    ).fit(_patches(train['image'])[::_EVERY], train['label'].ravel()[::_EVERY])
    theirs = model.predict(_patches(test['image'])).reshape(masks.shape)
    baseline = cycle.score(_confusions(masks, theirs.astype(int)), _mean_iou)
    return ours, baseline


if __name__ == '__main__':
  absltest.main()
