"""Writes docs/performance.md and its plot from files of results.

python -m tests.benchmarks.report results.json [results_gpu.json ...]
python -m tests.benchmarks.report --name=performance_avx2 results_avx2.json
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import matplotlib

from tests.benchmarks import cases, environments, lineup, results

matplotlib.use('agg')
from matplotlib import pyplot as plt

_INTRO = """\
<!-- Made by `python -m tests.benchmarks.report`; its words stand there. -->

# Performance

Every number here was measured by `tests/benchmarks`, and can be measured again:
one driver, one file a contender. Each contender is a process of its own, in an
environment of its own, and trains the same network from the same distribution
of weights, with the same batches, optimizer and precision, on the same bytes:
no images are decoded. It shuffles every epoch, sums up loss and accuracy as its
users would, and scores held-out examples at the end. Processes run one after
another, in turn, round after round, each round with a seed of its own; a number
is the median over rounds, in brackets the minimum and the maximum. A ratio is
one of the same round. Above 1, the row's contender is the faster one.

![Speed of every contender in every case](images/{name}.png)
"""
_NOTES = """\
- Images a second are those of training, without the epochs that compile.
- `1st step` and `1st epoch` are seconds from the start of the process to their
  end, compilation in them; a contender that runs an epoch in one call has no
  first step. `torch.compile` and `launch.train` keep what they compiled from
  process to process, as is their default; the other contenders do not.
- Memory is the most that the process held (Linux' VmHWM). Quatrain and the row
  with bytes hold the images as uint8; the others as float32, as their guides
  do, which takes 0.13 GB more.
- PyTorch runs with OMP_WAIT_POLICY=passive: its threads wait by spinning
  otherwise, and stand still as soon as another process takes a core.
- TensorFlow's contenders, but for the notebook, run with
  TF_ENABLE_ONEDNN_OPTS=1, as Quatrain does: by itself TensorFlow leaves oneDNN
  off on CPUs with AVX2 alone, where convolutional networks are slower so.
- `No training` computes what products and convolutions Quatrain does, forward
  and backward, by the same library, and nothing else: no activations, norms,
  loss, update or batches. Whatever trains by that library does all this too.
- The fastest peer is the one with the highest median of the same precision.
"""


def _number(value: float) -> str:
  """Writes a number with three digits that matter, thousands with a k."""
  if value >= 9_995:
    return f'{value / 1000:.3g}k' if value < 999_500 else f'{value:,.0f}'
  if value >= 999.5:
    return f'{value / 1000:.2f}k'
  digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
  return f'{value:.{digits}f}'


def _spread(value: results.Spread | None, factor: str = '') -> str:
  if value is None:
    return '-'
  if math.isclose(value.low, value.high):
    return f'{_number(value.median)}{factor}'
  low, high = _number(value.low), _number(value.high)
  return f'{_number(value.median)}{factor} ({low} - {high})'


def _median(row: results.Row, name: str, form: str) -> str:
  return f'{row.values[name].median:{form}}' if name in row.values else '-'


def table(rows: Sequence[results.Row], case: cases.Case) -> list[str]:
  """Writes a case's table.

  Args:
    rows: Its rows, the fastest first.
    case: The case.

  Returns:
    Lines of Markdown.
  """
  speed = 'seconds to the score' if case.is_race else 'images/s'
  several = len({row.precision for row in rows}) > 1
  lines = [
      (
          f'| contender | {speed} | x notebook | x fastest peer | '
          f'{case.split} accuracy | GB | 1st step | 1st epoch |'
      ),
      '|---|---|---|---|---|---|---|---|',
  ]
  for row in rows:
    if not row.speed:
      continue
    title = lineup.CONTENDERS[row.contender].title
    title += f', {row.precision}' if several else ''
    if lineup.CONTENDERS[row.contender].is_ours:
      title = f'**{title}**'
    value = row.values['end_s'] if case.is_race else row.speed
    cells = [
        title,
        _spread(value),
        _spread(row.over_baseline),
        _spread(row.over_peer),
        _median(row, 'accuracy', '.4f'),
        _median(row, 'peak_rss_gb', '.2f'),
        _median(row, 'first_step_s', '.1f'),
        _median(row, 'first_epoch_s', '.1f'),
    ]
    lines.append(f'| {" | ".join(cells)} |')
  return lines


def _problems(rows: Sequence[results.Row]) -> list[str]:
  return [
      f'- {lineup.CONTENDERS[row.contender].title}, {row.precision}: '
      f'{row.problem.replace("<", " ").replace("|", " ")}.'
      for row in rows
      if row.problem
  ]


def command(settings: dict[str, Any]) -> str:
  """Returns the command that made some results.

  Args:
    settings: The settings of the campaign.

  Returns:
    A command line, without what differs between machines.
  """
  parts = ['python -m tests.benchmarks', f'--rounds={settings["rounds"]}']
  for name, default in (
      ('cases', list(cases.CASES)),
      ('contenders', None),
      ('precisions', ['float32']),
  ):
    if settings[name] != default:
      parts.append(f'--{name}={",".join(settings[name])}')
  for name, value in settings['sizes'].items():
    if value is True:
      parts.append(f'--{name}')
    elif value is not False:
      parts.append(f'--{name}={value}')
  return ' \\\n    '.join(parts)


def _versions(runs: Sequence[results.Run]) -> str:
  found = {
      f'{name} {version}'
      for run in runs
      for name, version in run.get('versions', {}).items()
  }
  return ', '.join(sorted(found, key=str.lower))


def _section(result: dict[str, Any]) -> list[str]:
  """Writes the section of a machine."""
  machine, runs = result['machine'], result['runs']
  # Peers compute on the first of several.
  device = machine['gpus'][0] if machine['gpus'] else machine['cpu']
  cores = f'{machine["cores"]} cores'
  lines = [
      f'## On {cores}' if not machine['gpus'] else f'## On a GPU, {device}',
      '',
      (
          f'{machine["cpu"]}, {cores}, {machine["memory_gb"]} GB, '
          f'{machine["system"]}; {machine["date"]}.'
      ),
      f'Versions: {_versions(runs)}.',
      '',
      '```text',
      command(result['settings']),
      '```',
      '',
  ]
  suffix = ' on a GPU' if machine['gpus'] else ''
  for name, case in cases.CASES.items():
    rows = results.table(runs, name)
    if not rows:
      continue
    precisions = {row.precision for row in rows}
    half = (
        ''
        if len(precisions) > 1 or 'float32' in precisions
        else (f', {min(precisions)}')
    )
    lines += [f'### {case.title}{half}{suffix}', '', *table(rows, case), '']
    problems = _problems(rows)
    if problems:
      lines += ['Without a number, or in fewer rounds:', '', *problems, '']
  return lines


def page(found: Sequence[dict[str, Any]], name: str = 'performance') -> str:
  """Writes the page.

  Args:
    found: The contents of files of results.
    name: The stem of the page's and the plot's files.

  Returns:
    Markdown.
  """
  sections = _numbered([line for result in found for line in _section(result)])
  intro = _INTRO.format(name=name)
  return '\n'.join([intro, _NOTES, *sections]).rstrip() + '\n'


def _numbered(lines: Sequence[str]) -> list[str]:
  """Numbers headings that come again, so that each has its own address."""
  seen: collections.Counter[str] = collections.Counter()
  numbered = []
  for line in lines:
    seen[line] += 1
    again = line.startswith('#') and seen[line] > 1
    numbered.append(f'{line} ({seen[line]})' if again else line)
  return numbered


def plot(found: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
  """Draws a panel of bars for each case: ratios to the notebook.

  Args:
    found: The contents of files of results.
    path: The SVG file to write.
  """
  panels = [
      (
          cases.CASES[name].title + (', GPU' * bool(result['machine']['gpus'])),
          [row for row in results.table(result['runs'], name) if row.speed],
      )
      for result in found
      for name in cases.CASES
  ]
  panels = [(title, rows) for title, rows in panels if rows]
  heights = [len(rows) + 2 for _, rows in panels]
  with plt.rc_context({'font.size': 8}):
    figure, axes = plt.subplots(
        len(panels),
        figsize=(8, 0.19 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout='constrained',
    )
    for axis, (title, rows) in zip(axes[:, 0], panels):
      _bars(axis, title, rows)
    figure.savefig(path, dpi=120, metadata={'Software': None})
    plt.close(figure)


def _bars(axis: Any, title: str, rows: Sequence[results.Row]) -> None:
  """Draws a case; without a notebook to compare with, speeds only."""
  spreads = [row.over_baseline or row.speed for row in rows]
  relative = all(row.over_baseline for row in rows)
  if not relative:
    spreads = [row.speed for row in rows]
  medians = [each.median for each in spreads]
  errors = [
      [each.median - each.low for each in spreads],
      [each.high - each.median for each in spreads],
  ]
  several = len({row.precision for row in rows}) > 1
  labels = [
      row.contender + (f' {row.precision}' if several else '') for row in rows
  ]
  ours = [lineup.CONTENDERS[row.contender].is_ours for row in rows]
  colors = ['#c2410c' if is_ours else '#9aa5b1' for is_ours in ours]
  positions = range(len(rows))
  axis.barh(positions, medians, xerr=errors, color=colors, ecolor='#374151')
  axis.set_yticks(positions, labels)
  axis.invert_yaxis()
  axis.set_title(title, loc='left')
  axis.set_xlabel('speed / that of the notebook' if relative else 'speed')
  axis.spines[['top', 'right']].set_visible(False)


def main() -> None:
  """Writes both files."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('results', nargs='+', type=pathlib.Path)
  parser.add_argument(
      '--docs', type=pathlib.Path, default=environments.ROOT / 'docs'
  )
  parser.add_argument('--name', default='performance', help='Of both files.')
  options = parser.parse_args()
  found = [json.loads(path.read_text()) for path in options.results]
  path = options.docs / options.name
  path.with_suffix('.md').write_text(page(found, options.name))
  images = options.docs / 'images'
  images.mkdir(exist_ok=True)
  plot(found, images / f'{options.name}.png')


if __name__ == '__main__':
  main()
