"""Tables printed by programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tabulate

from .machine import costs

# Maximum values in a line.
_MAX_VALUES = 6


def validation(
    epoch: float,
    rows: Mapping[str, Mapping[str, float]],
    headline: Sequence[str] = (),
) -> str:
  """Formats the values after an epoch, with a line per split.

  Args:
    epoch: The number of epochs so far.
    rows: Values by name, by split.
    headline: The names of those to show. Default: the first six.
  """
  columns = _shown({n: 0.0 for row in rows.values() for n in row}, headline)
  return tabulate.tabulate(
      [
          [split, *(row.get(name, '') for name in columns)]
          for split, row in rows.items()
      ],
      headers=[f'epoch {epoch:g}', *columns],
      floatfmt='.4f',
  )


def evaluation(
    split: str,
    values: Mapping[str, float],
    num_examples: int,
    table: str,
    headline: Sequence[str] = (),
) -> str:
  """Formats an evaluation: the table of its task, and a summary line.

  Args:
    split: The name of the split.
    values: Values by name.
    num_examples: The number of examples scored.
    table: The table of the report.
    headline: The names of values to show. Default: the first six.
  """
  shown = _shown(values, headline)
  line = '  '.join(f'{name} {values[name]:.4f}' for name in shown)
  return f'{table}\n{split} ({num_examples:,} examples): {line}'.lstrip()


def _shown(values: Mapping[str, float], headline: Sequence[str]) -> list[str]:
  """Returns the names of the values to show in a line."""
  return [name for name in headline or values if name in values][:_MAX_VALUES]


def layers(found: Mapping[str, costs.Layer]) -> str:
  """Formats the variables and the cost of each layer of a model.

  Args:
    found: The layers by path.

  Returns:
    The table, with a last row for the total, and a legend.
  """
  rows: list[list[str]] = []
  total = [0] * 5
  for path, layer in found.items():
    variables = layer.variables.values()
    numbers = [
        sum(v.shape.num_elements() for v in variables),
        sum(map(costs.num_bytes, variables)),
        layer.output_bytes,
        layer.forward,
        layer.backward,
    ]
    total = [one + other for one, other in zip(total, numbers, strict=True)]
    listed = ', '.join(
        _variable(name, variable) for name, variable in layer.variables.items()
    )
    rows.append([path or layer.kind, listed, *_short(numbers)])
  table = tabulate.tabulate(
      [*rows, tabulate.SEPARATING_LINE, ['all', '', *_short(total)]],
      headers=[
          'layer',
          'variables',
          'parameters',
          'bytes',
          'bytes out',
          'forward',
          'backward',
      ],
      disable_numparse=True,
      colalign=['left', 'left', *['right'] * 5],
  )
  return (
      f'{table}\nper example: bytes out, and forward and backward, the FLOP of '
      'its products and convolutions'
  )


def benchmark(found: Mapping[str, Any]) -> str:
  """Formats the measured speed of a run.

  Args:
    found: The result of `benchmarking.run`.

  Returns:
    A table of the parts of a step, and one of everything else.
  """
  step = found['seconds_per_step']
  rows = [
      [
          name.replace('_', '-'),
          *(
              ('none', '')
              if seconds is None
              else (
                  _unsigned_zero(f'{1e3 * seconds:,.3f}'),
                  _unsigned_zero(f'{100 * seconds / step:.0f} %'),
              )
          ),
      ]
      for name, seconds in _separable(found).items()
  ]
  low, high = (1e3 * each for each in found['seconds_per_step_quartiles'])
  split = tabulate.tabulate(
      [*rows, tabulate.SEPARATING_LINE, ['step', f'{1e3 * step:,.3f}', '']],
      headers=['part of a step', 'ms', ''],
      disable_numparse=True,
      colalign=['left', 'right', 'right'],
  )
  slow, fast = found['examples_per_second_quartiles']
  rates = found['flop_per_second']
  memory, machine = found['memory_bytes'], found['machine']
  floor = found['floor_seconds']
  at = ', '.join(
      f'{name}s {_quantity(rate, "FLOP/s")}' for name, rate in rates.items()
  )
  peaks = [
      f'{_quantity(peak, "B")}{"" if name == "host" else f" of {name}"}'
      for name, peak in machine['peak_memory_bytes'].items()
  ]
  others = {
      'examples/s': (
          f'{found["examples_per_second"]:,.0f}; half of the '
          f'{found["num_rounds"]} rounds {slow:,.0f} to {fast:,.0f} '
          f'({low:,.3f} to {high:,.3f} ms)'
      ),
      'call': (
          f'{found["steps_per_call"]:,.0f} steps, '
          f'{found["busy_cpus"]:.1f} of {machine["cpus"]} CPUs busy'
      ),
      'first step': (
          f'after {found["first_step_seconds"]:.1f} s, of which '
          f'{found["compile_seconds"]:.1f} s tracing and compiling '
          f'({found["compiled"]}; {found["num_compilations"]} new)'
      ),
      'floor': (
          'not known: no product or convolution'
          if floor is None
          else (
              f'{100 * floor / step:.0f} % of the step:'
              f' {_quantity(found["flop_per_step"], "FLOP")} at the rate of'
              f' large ones here: {at}'
          )
      ),
      'memory': (
          f'{", ".join(peaks)} at most; '
          + ', '.join(
              f'{name.replace("_", " ")} {_quantity(memory[name], "B")}'
              for name in ('parameters', 'optimizer_state', 'training_data')
          )
      ),
  }
  return (
      f'{split}\n\n'
      + tabulate.tabulate(
          others.items(), tablefmt='plain', disable_numparse=True
      )
      + '\n'
  )


def _separable(found: Mapping[str, Any]) -> dict[str, float | None]:
  """Returns the parts of a step, joining passes that cannot be told apart."""
  parts = dict(found['parts'])
  if not found['too_fast']:
    return parts
  return {
      'input': parts.pop('input'),
      'all_reduce': parts.pop('all_reduce'),
      'forward + backward': parts.pop('forward') + parts.pop('backward'),
      **parts,
  }


def _unsigned_zero(text: str) -> str:
  return text[1:] if text.startswith('-') and not text.strip('-0. %') else text


def _variable(name: str, variable: Any) -> str:
  """Returns the name, the shape, and any type other than float32."""
  shape = ' x '.join(map(str, variable.shape)) or '1'
  dtype = variable.dtype.name
  return f'{name} {shape}{"" if dtype == "float32" else f" {dtype}"}'


def _short(numbers: Sequence[int]) -> list[str]:
  """Formats the first number in full, and others to three digits."""
  return [f'{numbers[0]:,}', *map(_magnitude, numbers[1:])]


def _quantity(number: float, unit: str) -> str:
  """Formats a number of a unit, as in `960 B` or `1.2 GFLOP`."""
  text = _magnitude(number)
  return f'{text}{"" if text[-1].isalpha() else " "}{unit}'


def _magnitude(number: float) -> str:
  """Formats a number to three digits, as in `470 k` or `1.2 G`."""
  for power, letter in ((12, 'T'), (9, 'G'), (6, 'M'), (3, 'k')):
    if number >= 0.9995 * 10**power:  # 999,500 is 1 M, not 1e+03 k.
      return f'{number / 10**power:.3g} {letter}'
  return f'{number:.3g}'
