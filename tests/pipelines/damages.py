"""Ways in which a prepared set can be damaged, one function each."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

# The example of a split that is damaged, where a single one is: in the second
# of its two files.
RECORD = 2

Change = Callable[[Any], None]


def _file(folder: pathlib.Path, split: str) -> pathlib.Path:
  return sorted(folder.glob(f'*-{split}.tfrecord-*'))[-1]


def edit_json(path: pathlib.Path, change: Change) -> None:
  """Changes a JSON file."""
  value = json.loads(path.read_text())
  change(value)
  path.write_text(json.dumps(value))


def flip(path: pathlib.Path, position: float = 0.5) -> None:
  """Changes one bit of a file."""
  content = bytearray(path.read_bytes())
  content[int(position * len(content))] ^= 1
  path.write_bytes(content)


def set_label(folder: pathlib.Path, split: str, label: int | None) -> None:
  """Changes the label of all examples of a split; if None, to TFDS's mark."""
  for path in folder.glob(f'*-{split}.tfrecord-*'):
    _rewrite(path, _label(-1 if label is None else label), every=True)


def _rewrite(path: pathlib.Path, change: Change, every: bool = False) -> None:
  records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
  with tf.io.TFRecordWriter(f'{path}.new') as writer:
    for index, record in enumerate(records):
      example = tf.train.Example.FromString(record)
      if every or index == RECORD:
        change(example.features.feature)
      writer.write(example.SerializeToString())
  os.replace(f'{path}.new', path)


def _label(label: int) -> Change:
  def change(features: Any) -> None:
    features['label'].int64_list.value[0] = label

  return change


def _image(content: bytes) -> Change:
  def change(features: Any) -> None:
    features['image'].bytes_list.value[0] = content

  return change


def _example(change: Change) -> Callable[[pathlib.Path, str], None]:
  return lambda folder, split: _rewrite(_file(folder, split), change)


def _lengths(change: Callable[[list[int]], list[int]]):
  def edit(folder: pathlib.Path, split: str) -> None:
    def lie(info: Any) -> None:
      for entry in info['splits']:
        if entry['name'] == split:
          lengths = change([int(length) for length in entry['shardLengths']])
          entry['shardLengths'] = [str(length) for length in lengths]

    edit_json(folder / 'dataset_info.json', lie)

  return edit


def _png(height: int) -> bytes:
  return tf.io.encode_png(np.zeros([height, 8, 3], np.uint8)).numpy()


# Those of one example, and what of it the error says.
EXAMPLES: dict[str, tuple[Callable[[pathlib.Path, str], None], str]] = {
    'no image': (_example(_image(b'not an image')), 'cannot be decoded'),
    'cut image': (_example(_image(_png(8)[:40])), 'cannot be decoded'),
    'other size': (_example(_image(_png(9))), r'\[9,8,3\]'),
    'lost label': (_example(lambda features: features.pop('label')), 'label'),
    'large label': (_example(_label(4)), r'label 4; expected \[0, 4\)'),
    'negative label': (_example(_label(-7)), 'label -7'),
    'one unlabelled': (_example(_label(-1)), 'label.*-1'),
}
# Those of a file or of what is said of it.
FILES: dict[str, tuple[Callable[[pathlib.Path, str], None], str]] = {
    'cut': (
        lambda folder, split: os.truncate(
            _file(folder, split), _file(folder, split).stat().st_size // 2
        ),
        'intact records|truncated record',
    ),
    'emptied': (
        lambda folder, split: os.truncate(_file(folder, split), 0),
        '0 intact',
    ),
    'flipped': (
        lambda folder, split: flip(_file(folder, split)),
        'record . of .*damaged',
    ),
    'missing': (
        lambda folder, split: _file(folder, split).unlink(),
        'is missing',
    ),
    'says more': (
        _lengths(lambda lengths: [length + 3 for length in lengths]),
        'says',
    ),
    'says less': (
        _lengths(lambda lengths: [length - 1 for length in lengths]),
        'says',
    ),
    'says none': (_lengths(lambda lengths: []), '0 examples'),
    'says fewer than none': (_lengths(lambda lengths: [-6, 6]), '0 examples'),
    'other number of files': (
        _lengths(lambda lengths: [sum(lengths)]),
        'is missing',
    ),
}
