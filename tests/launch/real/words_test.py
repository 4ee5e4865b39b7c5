"""Which language a word is of, against character n-grams and regression."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from absl.testing import absltest
from sklearn import linear_model, pipeline
from sklearn.feature_extraction import text

from pipelines.sources import csv_files, hashing
from tests.launch.real import cycle, sets, words

_ROW = 'language of a word'


class WordsTest(absltest.TestCase):

  @pytest.mark.medium
  def test_the_language_of_a_word(self):
    try:
      words.write()
    except words.UnavailableError as error:
      self.skipTest(str(error))
    ran = cycle.run(self, cycle.told(_ROW).flags, killed_at=400)
    table = csv_files.read(pathlib.Path(sets.folder()) / 'words.csv')
    split = np.array([hashing.split_of(key) for key in table.keys])
    word, language = (
        np.array(table.column(name)) for name in ('word', 'language')
    )
    is_train, is_test = split == 'train', split == 'test'
    # The run was scored on the same words.
    self.assertEqual(
        [row['label'] for row in ran.rows], language[is_test].tolist()
    )
    model = pipeline.make_pipeline(
        text.TfidfVectorizer(analyzer='char_wb', ngram_range=(1, 3)),
        linear_model.LogisticRegression(max_iter=500),
    ).fit(word[is_train], language[is_train])
    theirs = model.predict(word[is_test]) == language[is_test]
    ours = cycle.score(cycle.right(ran.rows))
    self.assertAlmostEqual(ours.value, ran.values['accuracy'], places=5)
    cycle.assert_as_told(self, _ROW, ours, cycle.score(theirs))


if __name__ == '__main__':
  absltest.main()
