"""Tests of launch.show.

Covers: showing.copies, showing.ranges, showing.page.
"""

from __future__ import annotations

import csv
import html
import pathlib
import re
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from launch.showing import copies
from launch.showing import page as showing
from pipelines import spec as spec_lib
from tests.launch import runs
from tests.launch.reporting import reading


class ShowTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(runs.scratch(self))
    self.output = self.folder / 'show.html'

  def show(self, *arguments):
    """Runs the program; returns the text of the page, and what it printed."""
    self.output.unlink(missing_ok=True)
    before = set(self.folder.rglob('*'))
    ended = runs.call('show', f'--output={self.output}', *arguments)
    self.assertEqual((ended.code, ended.err), (0, ''), ended)
    self.assertEqual(set(self.folder.rglob('*')) - before, {self.output})
    reading.read(self.output)  # It stands alone.
    return self.output.read_text(), ended.out

  def cells(self, page, first):
    """Returns the cells of the rows that begin with a cell."""
    rows = re.findall('<tr>(.*?)</tr>', page, re.DOTALL)
    found = [
        [
            html.unescape(re.sub('<.*?>', '', cell))
            for cell in re.findall('<t[dh].*?>(.*?)</t[dh]>', row)
        ]
        for row in rows
    ]
    return [cells for cells in found if cells[0] == first]

  def sections(self, page):
    parts = re.split('<h2>(.*?)</h2>', page)[1:]
    return dict(zip(parts[::2], parts[1::2]))

  def write_images(self):
    """Writes images of two classes; some are the same, some lack a label."""
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (('train', 40), ('validation', 8), ('test', 12)):
      images = generator.integers(0, 256, [count, 6, 5, 3], dtype=np.uint8)
      arrays |= {
          f'{split}_image': images,
          f'{split}_label': np.arange(count) % 2,
      }
    arrays['test_image'][3] = arrays['train_image'][7]  # Of class 1, both.
    arrays['train_image'][10] = arrays['train_image'][21]  # Of both classes.
    path = self.folder / 'images.npz'
    np.savez(path, **arrays)
    return f'--dataset=npz:{path}'

  def test_images(self):
    page, out = self.show(
        self.write_images(), '--random_flip=random', '--random_erasing=1'
    )
    self.assertEqual(
        out,
        '40 train, 8 validation, 12 test; inputs that occur more than once: 2, '
        f'of which in several splits: 1; {self.output}\n',
    )
    sections = self.sections(page)
    self.assertEqual(
        self.cells(sections['Classes'], '0')[0][:4], ['0', '20', '4', '6']
    )
    self.assertEqual(
        self.cells(sections['Features'], 'image')[0],
        ['image', 'image', '6 x 5 x 3', 'uint8', 'input', ''],
    )
    [train, *_] = self.cells(sections['Values'], 'image')
    self.assertEqual([train[1], train[2], train[4]], ['train', '0', '255'])
    copies = sections['Copies']
    self.assertLess(
        copies.index('train 7, test 3'), copies.index('train 10, train 21')
    )
    self.assertEqual(self.cells(copies, 'train 7, test 3')[0][-1], '1')
    self.assertEqual(self.cells(copies, 'train 10, train 21')[0][-1], '0 or 1')
    # Raw, and augmented in two ways; as it is where nothing is trained.
    for split, count, forms in (('train', 24, 3), ('test', 12, 1)):
      cards = sections[f'Examples of {split}'].split('<div class="card">')[1:]
      self.assertLen(cards, count)
      for card in cards:
        images = re.findall('base64,(.*?)"', card)
        self.assertLen(set(images), forms)

  def test_a_stream_is_a_sample(self):
    page, out = self.show(
        f'--data_dir={runs.data_dir()}',
        '--dataset=tiny_shapes',
        '--resident_gb=0',
        '--validation_examples=25',
    )
    # All of it is in the sample here.
    [train, *_] = self.cells(page, 'train')
    self.assertEqual(train, ['train', '240', 'all'])
    self.assertIn('inputs that occur more than once: 0', out)
    with mock.patch.object(showing, '_SAMPLE', 50):
      page, out = self.show(
          f'--data_dir={runs.data_dir()}',
          '--dataset=tiny_shapes',
          '--resident_gb=0',
          '--validation_examples=25',
      )
    sections = self.sections(page)
    [train, *_] = self.cells(sections['Splits'], 'train')
    self.assertEqual(train, ['train', '240', '50 at random'])
    counts = re.findall(
        r'<tr><td>\d</td><td class="n">(\d+)</td>', sections['Classes']
    )
    self.assertEqual(sum(map(int, counts)), 50)
    self.assertIn('train, test: not searched', sections['Copies'])

  def test_a_table_with_what_is_missing(self):
    path = self.folder / 'table.csv'
    with open(path, 'w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow(['size', 'kind', 'part', 'price'])
      for index in range(60):
        part = 'train' if index < 40 else 'test'
        size = '' if index == 3 else index
        writer.writerow([size, 'ab'[index % 4 == 0], part, 10 * index])
    page, _ = self.show(
        f'--dataset=csv:{path}?label=price&split=part&missing=mean',
        '--validation_split=none',
    )
    sections = self.sections(page)
    train, test = self.cells(sections['Values'], 'size')
    self.assertEqual(
        train,
        [
            'size',
            'train',
            '0',
            f'{(780 - 3) / 39:.5g}',
            '39',
            f'{np.std(np.delete(np.arange(40), 3)):.5g}',
            '1',
            '',
        ],
    )
    self.assertEqual(test[1:5], ['test', '40', '49.5', '59'])
    self.assertEqual(
        self.cells(sections['Values'], 'kind')[0][-1], 'a 75%, b 25%'
    )
    header = self.cells(sections['Examples of train'], 'index')[0]
    self.assertEqual(header, ['index', 'label', 'size', 'kind'])
    self.assertNotIn('Classes', sections)

  def test_texts_and_what_is_unknown(self):
    path = self.folder / 'texts.csv'
    with open(path, 'w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow(['words', 'tongue', 'part'])
      for index in range(30):
        writer.writerow([f'the <fox> {index % 7}', 'en', 'train'])
        writer.writerow(['der fuchs', 'de', 'train'])
      writer.writerow(['the wolf', 'en', 'test'])
      writer.writerow(['the', 'en', 'test'])
    page, _ = self.show(
        f'--dataset=csv:{path}?label=tongue&text=words&split=part',
        '--validation_split=none',
    )
    sections = self.sections(page)
    self.assertIn('the &lt; fox &gt; 3', sections['Examples of train'])
    self.assertIn('the ?', sections['Examples of test'])
    [_, test] = self.cells(sections['Values'], 'tokens')
    self.assertEqual(test[2:5], ['1', '1.5', '2'])
    self.assertEqual(test[-1], 'tokens per text, 33.3% unknown')
    self.assertIn('train 1, train 3', sections['Copies'])

  def test_masks_and_several_classes(self):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, [50, 8, 8, 3], dtype=np.uint8)
    mask = (image[..., 0] > 127).astype(np.int64)
    np.savez(self.folder / 'masks.npz', image=image, label=mask)
    page, _ = self.show(f'--dataset=npz:{self.folder}/masks.npz')
    sections = self.sections(page)
    counts = self.cells(sections['Classes'], '1')[0][1:4]
    self.assertEqual(
        sum(int(each.replace(',', '')) for each in counts), mask.sum()
    )
    card = page.split('<div class="card">')[1]
    self.assertEqual(card.count('<img'), 2)
    label = np.stack([mask[:, 0, 0], mask[:, 1, 1]], axis=1)
    np.savez(self.folder / 'classes.npz', image=image, label=label)
    page, _ = self.show(f'--dataset=npz:{self.folder}/classes.npz')
    without = self.cells(self.sections(page)['Missing'], 'label: no class')
    self.assertEqual(
        sum(int(row[2]) for row in without), (~label.any(axis=1)).sum()
    )

  @parameterized.parameters(
      ('--output=page.txt', '--output='),
      ('--output=/dev/null/b.html', '/dev/null'),
      ('--dataset=npz:/nowhere.npz', '/nowhere.npz'),
      ('--random_flip=twice', '--random_flip=twice'),
      ('--dataset=tiny_shapes', 'tiny_shapes'),
  )
  def test_mistakes(self, argument, message):
    ended = runs.call(
        'show', f'--output={self.output}', f'--data_dir={self.folder}', argument
    )
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertIn(message, ended.err)
    self.assertEqual(ended.err.count('\n'), 1)
    self.assertEqual(list(self.folder.iterdir()), [])

  def test_copies_of_which_one_has_no_class(self):
    feature = spec_lib.Feature
    spec = spec_lib.Spec(
        {
            'x': feature('numbers', (1,), 'float32'),
            'label': feature('class', (), 'int64', ('a', 'b')),
        },
        ('label',),
    )
    arrays = {
        'train': {
            'x': np.array([[1], [2], [1], [1]], np.float32),
            'label': np.array([1, 0, -1, 1]),
        }
    }
    groups = copies.find(spec, arrays)
    self.assertEqual(groups, [[('train', 0), ('train', 2), ('train', 3)]])
    page = copies.show(spec, arrays, groups, [])
    self.assertIn('<td>b or none</td>', page)


if __name__ == '__main__':
  absltest.main()
