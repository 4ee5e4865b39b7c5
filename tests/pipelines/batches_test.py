"""Batches are the same from any step, on any replicas and workers.

Covers: streams.
"""

from __future__ import annotations

import tempfile

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from pipelines import batches, sources
from tests import small_datasets, virtual_devices

_SOURCES = ('memory', 'stream')
_NUM_TRAIN, _NUM_TEST = 50, 26
_LAYOUTS = ((2, 1), (3, 1), (2, 2), (6, 3))  # Replicas, workers.

_folder = tempfile.TemporaryDirectory()
_data: dict[tuple[str, str], batches.Data] = {}


def setUpModule():
  small_datasets.write(
      _folder.name, num_train=_NUM_TRAIN, num_test=_NUM_TEST, num_shards=3
  )
  for source, budget in zip(_SOURCES, (1.0, 0.0)):
    dataset = sources.open_dataset(
        'tiny_shapes',
        data_dir=_folder.name,
        validation_examples=0,
        memory_budget_gb=budget,
    )
    for split in dataset.num_examples:
      _data[source, split] = dataset.split(split)


def tearDownModule():
  _folder.cleanup()


def indices(images: np.ndarray, split: str = 'train') -> list[int]:
  """Returns the place of each image in its split; all are different."""
  ordered = _data['memory', split].arrays['image']
  places = {image.tobytes(): index for index, image in enumerate(ordered)}
  assert len(places) == len(ordered)
  return [places[image.tobytes()] for image in images]


def global_batches(make, num_replicas, num_workers):
  """Returns the global batches that all workers' elements make up."""
  parts = [
      list(
          make(
              num_replicas=num_replicas, num_workers=num_workers, worker=worker
          ).as_numpy_iterator()
      )
      for worker in range(num_workers)
  ]
  num_local = num_replicas // num_workers
  return [
      {
          key: np.concatenate([
              element[key]
              for part in parts
              for element in part[first : first + num_local]
          ])
          for key in ('image', 'label', 'weight')
          if key in parts[0][0]
      }
      for first in range(0, len(parts[0]), num_local)
  ]


class TrainBatchesTest(parameterized.TestCase):

  def train(self, source, num_steps, start_step=0, seed=3, batch=12, **layout):
    return batches.train_batches(
        _data[source, 'train'],
        seed=seed,
        global_batch_size=batch,
        start_step=start_step,
        num_steps=num_steps,
        **layout,
    )

  @parameterized.product(source=_SOURCES)
  def test_every_epoch_is_a_permutation(self, source):
    rows = list(self.train(source, 15, batch=10).as_numpy_iterator())
    epochs = [
        indices(np.concatenate([row['image'] for row in rows[first:][:5]]))
        for first in (0, 5, 10)
    ]
    for epoch in epochs:
      self.assertCountEqual(epoch, range(_NUM_TRAIN))
      self.assertNotEqual(epoch, list(range(_NUM_TRAIN)))
    self.assertLen({tuple(epoch) for epoch in epochs}, 3)

  @parameterized.product(source=_SOURCES)
  def test_labels_belong_to_images(self, source):
    labels = _data['memory', 'train'].arrays['label']
    for row in self.train(source, 4).as_numpy_iterator():
      np.testing.assert_array_equal(row['label'], labels[indices(row['image'])])
      self.assertNotIn('weight', row)  # All would be 1.

  def test_remainder_differs_between_epochs(self):
    rows = list(self.train('memory', 8).as_numpy_iterator())
    used = [
        set(indices(np.concatenate([row['image'] for row in rows[first:][:4]])))
        for first in (0, 4)
    ]
    self.assertLen(used[0], 48)
    self.assertLen(used[1], 48)
    self.assertNotEqual(*used)

  @parameterized.product(source=_SOURCES, start_step=(1, 4, 9))
  def test_resumes_at_any_step(self, source, start_step):
    straight = list(self.train(source, 10).as_numpy_iterator())
    tf.random.set_seed(start_step)  # The global seed must not matter.
    resumed = self.train(source, 10 - start_step, start_step)
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        list(resumed.as_numpy_iterator()),
        straight[start_step:],
    )

  @parameterized.product(source=_SOURCES)
  def test_seeds_differ(self, source):
    first, second, again = (
        indices(row['image'])
        for seed in (0, 1, 0)
        for row in self.train(source, 1, seed=seed).as_numpy_iterator()
    )
    self.assertEqual(first, again)
    self.assertNotEqual(first, second)

  @parameterized.product(source=_SOURCES, layout=_LAYOUTS)
  def test_replicas_and_workers_share_the_global_batch(self, source, layout):
    expected = global_batches(lambda **sizes: self.train(source, 6, 2), 1, 1)
    actual = global_batches(
        lambda **sizes: self.train(source, 6, 2, **sizes), *layout
    )
    self.assertLen(actual, 6)
    tf.nest.map_structure(np.testing.assert_array_equal, actual, expected)

  def test_strategy_deals_slices_to_its_replicas(self):
    strategy = virtual_devices.mirrored(3)
    distributed = strategy.distribute_datasets_from_function(
        lambda context: self.train(
            'memory',
            5,
            num_replicas=context.num_replicas_in_sync,
            num_workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
        )
    )
    expected = list(self.train('memory', 5).as_numpy_iterator())
    steps = list(distributed)
    self.assertLen(steps, 5)
    for step, row in zip(steps, expected):
      parts = strategy.experimental_local_results(step['image'])
      np.testing.assert_array_equal(np.concatenate(parts), row['image'])

  @parameterized.product(source=_SOURCES)
  def test_static_shapes(self, source):
    spec = self.train(source, 1, num_replicas=3).element_spec
    self.assertEqual(spec['image'], tf.TensorSpec([4, 8, 8, 3], tf.uint8))
    self.assertEqual(spec['label'], tf.TensorSpec([4], tf.int64))
    self.assertEqual(spec['epoch'], tf.TensorSpec([4], tf.int32))

  @parameterized.parameters(
      ({'batch': 51}, '51 is more than the 50 training'),
      ({'batch': 0}, 'global_batch_size: expected at least 1, got 0'),
      ({'num_replicas': 3, 'num_workers': 2}, '3 cannot .* 2 workers'),
      ({'num_replicas': 2, 'num_workers': 2, 'worker': 2}, 'worker: .* got 2'),
      ({'start_step': -1}, 'start_step.* got -1'),
  )
  def test_refuses(self, arguments, words):
    with self.assertRaisesRegex(ValueError, words):
      self.train('memory', 1, **arguments)

  @parameterized.product(source=_SOURCES, num_replicas=(3, 4))
  def test_replicas_that_do_not_divide_the_batch(self, source, num_replicas):
    """Their parts are filled up with weight 0: 10 examples as 4 + 4 + 2."""
    expected = list(self.train(source, 3, batch=10).as_numpy_iterator())
    rows = global_batches(
        lambda **sizes: self.train(source, 3, batch=10, **sizes),
        num_replicas,
        num_workers=1,
    )
    size = -(-10 // num_replicas) * num_replicas
    for row, whole in zip(rows, expected, strict=True):
      self.assertLen(row['weight'], size)
      np.testing.assert_array_equal(row['weight'], np.arange(size) < 10)
      for name in ('image', 'label'):
        np.testing.assert_array_equal(row[name][:10], whole[name])


class EvalBatchesTest(parameterized.TestCase):

  @parameterized.product(source=_SOURCES, layout=_LAYOUTS, batch=(12, 36))
  def test_every_example_once(self, source, layout, batch):
    rows = global_batches(
        lambda **sizes: batches.eval_batches(
            _data[source, 'test'], global_batch_size=batch, **sizes
        ),
        *layout,
    )
    self.assertLen(rows, batches.num_eval_steps(_NUM_TEST, batch))
    joined = {
        key: np.concatenate([row[key] for row in rows]) for key in rows[0]
    }
    self.assertEqual(joined['weight'].sum(), _NUM_TEST)
    self.assertEqual(
        indices(joined['image'][:_NUM_TEST], 'test'), list(range(_NUM_TEST))
    )
    np.testing.assert_array_equal(
        joined['label'][:_NUM_TEST], _data['memory', 'test'].arrays['label']
    )
    for values in joined.values():
      self.assertFalse(values[_NUM_TEST:].any())

  def test_replica_may_have_nothing(self):
    rows = batches.eval_batches(
        _data['memory', 'test'], global_batch_size=24, num_replicas=6
    )
    sums = [row['weight'].sum() for row in rows.as_numpy_iterator()]
    self.assertEqual(sums, [4] * 6 + [2] + [0] * 5)

  def test_streams_read_the_same_twice(self):
    rows = batches.eval_batches(_data['stream', 'test'], global_batch_size=7)
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        list(rows.as_numpy_iterator()),
        list(rows.as_numpy_iterator()),
    )


class StepsTest(parameterized.TestCase):

  @parameterized.parameters((10, 5, 2, 2), (11, 5, 2, 3), (5, 5, 1, 1))
  def test_numbers(self, num_examples, batch, train, evaluation):
    self.assertEqual(
        batches.num_train_steps_per_epoch(num_examples, batch), train
    )
    self.assertEqual(batches.num_eval_steps(num_examples, batch), evaluation)


if __name__ == '__main__':
  absltest.main()
