"""report/index.html: a page about one run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .. import commands
from ..files import starts
from ..tasks import inspection as inspection_lib
from ..tasks import task as task_lib
from . import inspecting, page, pictures

# The fields of a row that are not values.
_NO_VALUES = ('step', 'epoch', 'split', 'wall_time', 'num_examples')
_NAMES = {
    'start': 'start: data, model, its graph',
    'first_call': 'first call of the graph, which traces and compiles',
    'steps': 'steps',
    'log': 'rows of metrics and summaries',
    'test': 'scoring the test split',
}


@dataclasses.dataclass(frozen=True)
class Facts:
  """The content of a page.

  Attributes:
    name: The name of the run.
    start: The content of config.json.
    rows: The rows of metrics.jsonl.
    result: The content of result.json.
    task: The name of the task.
    num_steps: The number of steps of the whole run.
    report: The task's report on the test split, if there is one.
    inspected: The inspected examples, if any.
    more: The sections of the inspection.
    drawn: The file of each figure.
    command: The command that repeats the training.
  """

  name: str
  start: starts.Start
  rows: Sequence[Mapping[str, Any]]
  result: Mapping[str, Any]
  task: str
  num_steps: int
  report: task_lib.Report | None
  inspected: inspecting.Inspected | None
  more: Sequence[inspection_lib.Section]
  drawn: Mapping[str, bytes]
  command: str


def text(facts: Facts) -> str:
  """Returns the page."""
  parts = {
      'Summary': _summary(facts),
      'Curves': page.plot('curves.png', facts.drawn['curves.png']),
  }

  def add(title: str, part: str) -> None:
    parts[title] = parts.get(title, '') + part  # Titles may be repeated.

  if facts.report:
    sections = facts.report.sections
    for name in facts.report.figures:
      add(page.heading(name), page.plot(name, facts.drawn[name]))
    if not sections and facts.report.table:
      add('Test', page.pre(facts.report.table))
    for section in sections:
      add(section.title, _section(section, facts.drawn))
  for section in facts.more:
    add(section.title, _section(section, facts.drawn))
  if facts.inspected:
    add(facts.inspected.inspection.title, _worst(facts))
  add('Where the time went', _time(facts))
  add('What it ran on', _machine(facts))
  add('Train it again', _again(facts))
  return page.whole(facts.name, parts)


def _section(
    section: inspection_lib.Section, drawn: Mapping[str, bytes]
) -> str:
  return ''.join([
      page.paragraphs(section.text),
      *(page.plot(name, drawn[name]) for name in section.figures),
      page.table(section.headers, section.rows),
  ])


def _summary(facts: Facts) -> str:
  config, data, result = facts.start.config, facts.start.data, facts.result
  counts = ', '.join(f'{n:,} {split}' for split, n in data.num_examples.items())
  step = result.get('num_steps', facts.rows[-1]['step'] if facts.rows else 0)
  end = f'complete, {step:,} steps'
  if stopped := result.get('stopped'):
    end = (
        f'ended by {stopped["hook"]} at step {stopped["step"]:,}: '
        f'{stopped["reason"]}'
    )
  elif 'seconds' not in result:
    end = f'not complete: step {step:,} of {facts.num_steps:,}'
  arguments = ', '.join(f'{k}={v}' for k, v in config.model_arg.items())
  rows = {
      'run': end,
      'task': facts.task,
      'model': page.part(config.model) + f' ({arguments})' * bool(arguments),
      'parameters': result.get('num_parameters'),
      'data': f'{config.dataset}: {counts}',
      'features': data.describe(),
      'loss, optimizer, schedule': ', '.join(
          map(page.part, (config.loss, config.optimizer, config.schedule))
      ),
      'batch, learning rate': (
          f'{config.global_batch_size}, {config.learning_rate:g}'
      ),
      'weights': result.get('weights_sha256'),
  }
  listed = page.table(
      ('', ''), [[name, value] for name, value in rows.items() if value]
  )
  return listed + _values(result, facts)


def _values(result: Mapping[str, Any], facts: Facts) -> str:
  """Returns a table of the final values, with a column per split."""
  validated = [r for r in facts.rows if r['split'] == 'validation']
  columns: dict[str, Mapping[str, Any]] = {}
  if best := result.get('best_validation'):
    columns[f'best validation (step {best["step"]:,})'] = best
  if validated:
    columns['last validation'] = validated[-1]
  if test := result.get('test'):
    columns[f'test ({test["num_examples"]:,} examples)'] = test['values']
  if not columns:
    return page.paragraphs(
        'Nothing was scored: there is no validation split and no test split.'
    )
  names = dict.fromkeys(
      name
      for values in columns.values()
      for name, value in values.items()
      if isinstance(value, int | float) and name not in _NO_VALUES
  )
  rows = [[n, *(c.get(n) for c in columns.values())] for n in names]
  return page.table(('value', *columns), rows)


def _worst(facts: Facts) -> str:
  seen = facts.inspected
  assert seen is not None
  spec = facts.start.data.spec
  if not seen.worst:
    return page.paragraphs(
        f'There are none among the {seen.num_examples:,} examples of '
        f'{seen.split}.'
    )
  hint = (
      f'{len(seen.worst)} of {seen.num_examples:,} examples of {seen.split}, '
      'by their index in the split, the worst first.'
  )
  return page.hint(hint) + pictures.shown(seen.worst, spec, seen.shown)


def times(result: Mapping[str, Any]) -> list[list[Any]]:
  """Returns rows of the activities of the last start, seconds, and shares."""
  rows: list[list[Any]] = [
      [_NAMES.get(name, name), seconds]
      for name, seconds in result.get('seconds_in', {}).items()
  ]
  if 'seconds' in result:
    known = sum(seconds for _, seconds in rows)
    if rows:
      rest = max(result['seconds'] - known, 0.0)
      rows.append(['report and everything else', rest])
    rows.append(['total', result['seconds']])
  total = result.get('seconds') or 1.0
  for row in rows:
    row.append(f'{row[1] / total:.0%}')
  return rows


def _time(facts: Facts) -> str:
  result = facts.result
  speed = {
      'examples per second': result.get('examples_per_second'),
      'compiled by XLA': result.get('compiled'),
      'programs that XLA compiled': result.get('num_compilations'),
  }
  headers = ('of the last start', 'seconds', 'share')
  return page.table(headers, times(result)) + (
      page.table(('', ''), [[n, v] for n, v in speed.items() if v is not None])
  )


def _machine(facts: Facts) -> str:
  start = facts.start
  machine = dict(facts.result.get('machine', {}))
  memory = machine.pop('peak_memory_bytes', {})
  rows: list[list[Any]] = [
      [name, ', '.join(map(str, value)) if isinstance(value, list) else value]
      for name, value in machine.items()
  ]
  rows += [
      [f'peak memory, {name}', f'{number / 2**20:,.0f} MiB']
      for name, number in memory.items()
  ]
  rows += [
      [
          f'from step {shape["step"]:,} on',
          (
              f'{shape["num_replicas"]} replica(s) on {shape["num_workers"]} '
              'worker(s)'
          ),
      ]
      for shape in start.shapes
  ]
  rows.append(['precision', start.config.precision])
  for name, value in start.environment.items():
    if isinstance(value, Mapping):
      rows += [[f'{name}: {key}', each] for key, each in value.items()]
    elif value is not None:
      rows.append([name, value])
  return page.table(('', ''), [[name, str(value)] for name, value in rows])


def _again(facts: Facts) -> str:
  text = page.pre(facts.command)
  if facts.start.history:
    text += page.paragraphs(
        'Options changed when the run was resumed: config.json has their '
        'history, and this command has the last ones.'
    )
  text += page.paragraphs('To compare the weights bit by bit as well:')
  text += page.pre(commands.line('reproduce', [facts.name]))
  return text
