"""Tests of launch.tasks.segmentation."""

from __future__ import annotations

import numpy as np
from absl.testing import absltest, parameterized

from launch import programs
from pipelines import spec as spec_lib
from tests.launch.tasks import training

_NAMES = ('ground', 'thing')
_MASKS = np.zeros([8, 6, 6], np.int32)
for _i in range(8):
  _MASKS[_i, _i % 3 : _i % 3 + 3, 1:4] = 1
_IMAGES = (200 * _MASKS[..., None] + 20).astype(np.uint8)


def _data():
  return training.data_of(
      {
          'image': spec_lib.Feature('image', (6, 6, 1), 'uint8'),
          'label': spec_lib.Feature('mask', (6, 6), 'int32', _NAMES),
      },
      num_train=8,
  )


def _make(num_replicas=1, **changes):
  small = {'channels': (4, 8)}
  return training.make(_data(), num_replicas, **{'model_arg': small, **changes})


class SegmentationTest(parameterized.TestCase):

  @parameterized.parameters((6, 5), (5, 6), (12, 12))
  def test_masks_have_the_size_of_their_images(self, *size):
    data = training.data_of(
        {
            'image': spec_lib.Feature('image', (6, 6, 1), 'uint8'),
            'label': spec_lib.Feature('mask', size, 'int32', _NAMES),
        },
        num_train=8,
    )
    with self.assertRaisesRegex(
        programs.UserError,
        rf"'label' has masks of shape \[{size[0]}, {size[1]}\], 'image' "
        r'images of \[6, 6, 1\]; expected masks of \[6, 6\]',
    ):
      training.make(data)

  def test_is_learned(self):
    task = _make()
    self.assertEqual((task.monitor, task.direction), ('mean_iou', 'max'))
    values = training.train(
        task, {'image': _IMAGES, 'label': _MASKS}, num_steps=25
    )
    predicted = task.predict({'image': _IMAGES})['mask'].numpy()
    self.assertEqual(predicted.shape, _MASKS.shape)
    iou = [
        ((predicted == c) & (c == _MASKS)).sum()
        / ((predicted == c) | (c == _MASKS)).sum()
        for c in range(2)
    ]
    np.testing.assert_allclose(values['iou'], iou, rtol=1e-5)
    np.testing.assert_allclose(values['mean_iou'], np.mean(iou), rtol=1e-5)
    np.testing.assert_allclose(
        values['pixel_accuracy'], np.mean(predicted == _MASKS), rtol=1e-5
    )
    self.assertGreater(values['mean_iou'], 0.8)
    report = task.report(values)
    self.assertIn('thing', report.table)
    self.assertAlmostEqual(
        report.values['per_class']['thing']['iou'], iou[1], places=5
    )
    self.assertEqual(np.sum(report.values['confusion_matrix']), _MASKS.size)

  @parameterized.parameters(
      *['dice_loss', 'tversky_loss', 'softmax_focal_loss']
  )
  def test_losses_are_of_examples(self, loss):
    task = _make(loss=loss)
    batch = {'image': _IMAGES, 'label': _MASKS}
    evaluation = task.objective(task.model, batch, None, False)
    self.assertEqual(evaluation.values.shape, [8])
    self.assertEqual(evaluation.predictions.shape, [8, 6, 6, 2])

  def test_class_weights(self):
    batch = {'image': _IMAGES, 'label': _MASKS}
    plain, weighted = (
        task.objective(task.model, batch, None, False).values.numpy()
        for task in (_make(), _make(class_weights=(2.0, 2.0)))
    )
    np.testing.assert_allclose(weighted, 2 * plain, rtol=1e-5)

  @parameterized.parameters(
      ({'test_time_augmentation': 'flip'}, '--test_time_augmentation=flip'),
      (
          {'loss': 'dice_loss', 'class_weights': (1.0, 2.0)},
          'one value per example',
      ),
      (
          {'loss': 'dice_loss', 'label_smoothing': 0.1},
          '--loss=dice_loss has none',
      ),
  )
  def test_what_does_not_fit(self, changes, message):
    with self.assertRaisesRegex(programs.UserError, message):
      _make(**changes)


if __name__ == '__main__':
  absltest.main()
