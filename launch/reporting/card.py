"""A model card: what a run is and came to, in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines import spec as spec_lib

from .. import starts

# A list of more letters is left to result.json.
_MAX_LETTERS = 20_000
# Hugging Face's names of tasks, by the kinds of input and target.
_TASKS = {
    (spec_lib.IMAGE, spec_lib.CLASS): 'image-classification',
    (spec_lib.IMAGE, spec_lib.CLASSES): 'image-classification',
    (spec_lib.IMAGE, spec_lib.MASK): 'image-segmentation',
    (spec_lib.TEXT, spec_lib.CLASS): 'text-classification',
    (spec_lib.TEXT, spec_lib.CLASSES): 'text-classification',
    (spec_lib.NUMBERS, spec_lib.CLASS): 'tabular-classification',
    (spec_lib.NUMBERS, spec_lib.NUMBERS): 'tabular-regression',
    (spec_lib.CATEGORIES, spec_lib.CLASS): 'tabular-classification',
    (spec_lib.CATEGORIES, spec_lib.NUMBERS): 'tabular-regression',
}


def text(
    name: str, start: starts.Start, result: Mapping[str, Any], command: str
) -> str:
  """Writes the card of a run.

  Args:
    name: What the run is called.
    start: What its config.json says.
    result: What its result.json holds.
    command: The command that trains it again.

  Returns:
    Markdown, with the front matter that Hugging Face reads.
  """
  config, data = start.config, start.data
  kinds = [feature.kind for feature in data.spec.inputs.values()]
  targets = [data.spec[n].kind for n in data.spec.targets if n in data.spec]
  task = next(
      (_TASKS[i, t] for i in kinds for t in targets if (i, t) in _TASKS), None
  )
  counts = ', '.join(f'{n:,} {split}' for split, n in data.num_examples.items())
  numbers = dict(_numbers(result))
  lists = dict(_lists(result))
  lines = [
      '---', *_front(name, str(config.dataset), task, result), '---', '',
      f'# {_line(name)}', '',
      f'- Task: {_line(config.task or task or "by the data")}',
      f'- Model: {_line(config.model)}, {result.get("num_parameters", 0):,} '
      'trainable parameters',
      f'- Data: {_line(config.dataset)}: {counts}; {_line(data.describe())}',
      f'- Loss: {_line(config.loss)}; optimizer: {_line(config.optimizer)}',
      '', '## Train it again', '', *_code(command, 'sh'),
      '', '## Use it', '',
      *_code(
          'import launch\n\n'
          f'run = launch.load({json.dumps(str(name))})\n'
          f'run.predict(inputs)  # {_line(", ".join(data.spec.inputs))}',
          'python',
      ),
      '', '## Results', '', 'Every number of `result.json`:', '',
      '| | |', '|---|---|',
      *(f'| {_cell(key)} | {_cell(value)} |' for key, value in numbers.items()),
  ]
  for key, value in lists.items():
    shown = json.dumps(value)
    if len(shown) > _MAX_LETTERS:
      shown = f'{len(shown):,} letters, in result.json'
    lines += ['', f'### {_line(key)}', '', *_code(shown, 'json')]
  return '\n'.join(lines) + '\n'


def _front(
    name: str, dataset: str, task: str | None, result: Mapping[str, Any]
) -> Iterator[str]:
  """Yields the lines of the front matter; strings of JSON are ones of YAML."""
  values = result.get('test', {}).get('values', {})
  yield 'library_name: quatrain'
  yield f'tags: {json.dumps(["tensorflow", "sonnet"])}'
  if task:
    yield f'pipeline_tag: {task}'
  if not values:
    return
  yield f'metrics: {json.dumps([n for n in values if n != "loss"])}'
  yield 'model-index:'
  yield f'- name: {json.dumps(name)}'
  yield '  results:'
  yield f'  - task: {{type: {task or "other"}}}'
  yield (
      f'    dataset: {{name: {json.dumps(dataset)}, type: {json.dumps(dataset)}'
      ', split: test}'
  )
  yield '    metrics:'
  for key, value in values.items():
    yield f'    - {{type: {json.dumps(key)}, value: {json.dumps(value)}}}'


def _numbers(values: Any, name: str = '') -> Iterator[tuple[str, Any]]:
  """Yields all but lists, by their paths."""
  if isinstance(values, Mapping):
    for key, value in values.items():
      yield from _numbers(value, f'{name}.{key}' if name else str(key))
  elif not isinstance(values, list):
    yield name, values


def _lists(values: Any, name: str = '') -> Iterator[tuple[str, Any]]:
  """Yields the lists, by their paths."""
  if isinstance(values, Mapping):
    for key, value in values.items():
      yield from _lists(value, f'{name}.{key}' if name else str(key))
  elif isinstance(values, list):
    yield name, values


def _line(value: Any) -> str:
  """Returns text that is one line, and begins nothing of Markdown or HTML."""
  text = ' '.join(str(value).split())
  for letter in '\\`*_[]<>|#':
    text = text.replace(letter, f'\\{letter}')
  return text


def _cell(value: Any) -> str:
  is_text = isinstance(value, str)
  return _line(value) if is_text else json.dumps(value)


def _code(text: str, language: str) -> list[str]:
  """Returns a block of code; what would end it is left out."""
  return [f'```{language}', text.replace('```', "'''"), '```']
