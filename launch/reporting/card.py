"""A model card in Markdown: what was trained, and its results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines import spec as spec_lib

from ..files import starts
from . import page

# Longer lists are only in result.json.
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
    name: str,
    start: starts.Start,
    result: Mapping[str, Any],
    task: str,
    command: str,
) -> str:
  """Returns the card of a run.

  Args:
    name: The name of the run.
    start: The content of its config.json.
    result: The content of its result.json.
    task: The name of its task.
    command: The command that repeats the training.

  Returns:
    Markdown with front matter for Hugging Face.
  """
  config, data = start.config, start.data
  kinds = [feature.kind for feature in data.spec.inputs.values()]
  targets = [data.spec[n].kind for n in data.spec.targets if n in data.spec]
  kind = next(
      (_TASKS[i, t] for i in kinds for t in targets if (i, t) in _TASKS), None
  )
  counts = ', '.join(f'{n:,} {split}' for split, n in data.num_examples.items())
  leaves = dict(_leaves(result))
  lists = {k: v for k, v in leaves.items() if isinstance(v, list)}
  lines = [
      '---',
      *_front(name, str(config.dataset), kind, result),
      '---',
      '',
      f'# {_line(name)}',
      '',
      f'- Task: {_line(task)}',
      (
          f'- Model: {_line(page.part(config.model))}, '
          f'{result.get("num_parameters", 0):,} trainable parameters'
      ),
      f'- Data: {_line(config.dataset)}: {counts}; {_line(data.describe())}',
      (
          f'- Loss: {_line(page.part(config.loss))}; '
          f'optimizer: {_line(config.optimizer)}'
      ),
      '',
      '## Train it again',
      '',
      *_code(command, 'sh'),
      '',
      '## Use it',
      '',
      *_code(
          'import launch\n\n'
          f'run = launch.load({name!r})\n'
          f'run.predict(inputs)  # {_line(", ".join(data.spec.inputs))}',
          'python',
      ),
      '',
      '## Results',
      '',
      'Every number of `result.json`:',
      '',
      '| | |',
      '|---|---|',
      *(
          f'| {_cell(key)} | {_cell(value)} |'
          for key, value in leaves.items()
          if key not in lists
      ),
  ]
  for key, value in lists.items():
    shown = json.dumps(value)
    if len(shown) > _MAX_LETTERS:
      shown = f'{len(shown):,} characters, in result.json'
    lines += ['', f'### {_line(key)}', '', *_code(shown, 'json')]
  return '\n'.join(lines) + '\n'


def _front(
    name: str, dataset: str, task: str | None, result: Mapping[str, Any]
) -> Iterator[str]:
  """Yields the lines of the front matter; JSON values are valid YAML."""
  values = result.get('test', {}).get('values', {})
  yield 'library_name: quatrain'
  yield f'tags: {json.dumps(["tensorflow", "sonnet"])}'
  if task:
    yield f'pipeline_tag: {task}'
  if not values:
    return
  yield f'metrics: {json.dumps([n for n in values if n != "loss"])}'
  yield 'model-index:'
  yield f'- name: {_string(name)}'
  yield '  results:'
  yield f'  - task: {{type: {task or "other"}}}'
  yield (
      f'    dataset: {{name: {_string(dataset)}, type: {_string(dataset)}, '
      'split: test}'
  )
  yield '    metrics:'
  for key, value in values.items():
    yield f'    - {{type: {json.dumps(key)}, value: {json.dumps(value)}}}'


def _string(text: str) -> str:
  """Returns a YAML string, in which JSON's surrogate pairs are invalid."""
  return json.dumps(text, ensure_ascii=False)


def _leaves(values: Any, name: str = '') -> Iterator[tuple[str, Any]]:
  """Yields numbers, texts and lists by path."""
  if not isinstance(values, Mapping):
    yield name, values
    return
  for key, value in values.items():
    yield from _leaves(value, f'{name}.{key}' if name else str(key))


def _line(value: Any) -> str:
  """Returns text as one line, with the syntax of Markdown and HTML escaped."""
  text = ' '.join(str(value).split())
  for letter in '\\`*_[]<>|#':
    text = text.replace(letter, f'\\{letter}')
  return text


def _cell(value: Any) -> str:
  is_text = isinstance(value, str)
  return _line(value) if is_text else json.dumps(value)


def _code(text: str, language: str) -> list[str]:
  """Returns a code block; fences in the text become quotes."""
  return [f'```{language}', text.replace('```', "'''"), '```']
