"""Every model learns the real Fashion-MNIST; recipes reach their scores."""

from __future__ import annotations

import json
import pathlib

import pytest
from absl.testing import absltest, parameterized

from pipelines import sources
from tests import small_datasets
from tests.launch import runs


@pytest.mark.slow
@absltest.skipIf(
    small_datasets.FASHION_MNIST_DIR is None, small_datasets.NO_ARCHIVES
)
class FashionMnistTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = runs.kept_directory()
    sources.open_dataset(
        'fashion_mnist',
        data_dir=cls.folder,
        archives_dir=small_datasets.FASHION_MNIST_DIR,
    )

  @parameterized.parameters(*runs.IMAGE_MODELS)
  def test_a_model_learns(self, model):
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    ended = runs.train(
        workdir,
        data=self.folder,
        dataset='fashion_mnist',
        validation_examples=None,
        model=model,
        model_arg={},
        learning_rate=0.002,
        global_batch_size=100,
        num_steps=300,
        log_every_steps=100,
    )
    self.assertEqual(ended.code, 0, ended.err)
    result = json.loads((workdir / 'result.json').read_text())
    counts = [
        result[f'num_{split}_examples']
        for split in ('train', 'validation', 'test')
    ]
    self.assertEqual(counts, [55_000, 5_000, 10_000])
    # Chance is 0.1.
    self.assertGreater(result['test_accuracy'], 0.75)

  @parameterized.parameters(
      ('fashion_mnist_convnet', 0.925),
      ('fashion_mnist_cpu', 0.918),
      ('fashion_mnist_mlp', 0.885),
  )
  def test_a_recipe_reaches_its_score(self, recipe, accuracy):
    workdir = pathlib.Path(runs.scratch(self)) / 'run'
    ended = runs.call(
        'train',
        f'--flagfile={runs.ROOT}/launch/recipes/{recipe}.flags',
        f'--workdir={workdir}',
        f'--data_dir={self.folder}',
    )
    self.assertEqual(ended.code, 0, ended.err)
    result = json.loads((workdir / 'result.json').read_text())
    self.assertGreaterEqual(result['test_accuracy'], accuracy)
    self.assertEqual(result['num_train_step_traces'], 1)


if __name__ == '__main__':
  absltest.main()
