"""Are 50 steps those of the CPU, are they repeatable, do they go on?"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from tests.gpu import answers, making

_STEPS = {'num_steps': '50', 'log_every_steps': '5', 'learning_rate': '1e-3'}
_ON_CPU = {'num_virtual_devices': '1'}


class _Variant(NamedTuple):
  """A run to compare with that of the CPU.

  Attributes:
    flags: What differs.
    environment: Variables to add.
    bound: How far its losses may be from the CPU's, relatively.
  """

  flags: dict[str, str]
  environment: dict[str, str]
  bound: float


_VARIANTS = {
    'float32': _Variant({}, making.EXACT, 1e-4),
    'not compiled': _Variant({'jit_compile': 'off'}, making.EXACT, 1e-4),
    'streamed': _Variant({'resident_gb': '0'}, making.EXACT, 1e-4),
    # Products round their factors to 11 bits, 8 bits and 11 bits.
    'TF32': _Variant({}, making.GPU, 2e-2),
    'bfloat16': _Variant({'precision': 'bfloat16'}, making.GPU, 1e-1),
    'float16': _Variant({'precision': 'float16'}, making.GPU, 2e-2),
}


def ask(workshop: making.Workshop) -> Iterator[answers.Answer]:
  """Compares runs of every model.

  Args:
    workshop: What makes runs.

  Yields:
    For each model and variant, the largest relative difference of a loss, and
    whether a second run and a resumed one have the same bits.
  """
  for model in workshop.models:
    yield from _of_model(workshop, model)


def _of_model(
    workshop: making.Workshop, model: str
) -> Iterator[answers.Answer]:
  place = f'right/{model}'
  of_cpu = making.train(
      f'{place}/cpu', model, {**_STEPS, **_ON_CPU}, making.CPU
  )
  first, again, halves, resumed = {}, {}, {}, {}
  for name, variant in _VARIANTS.items():
    job = functools.partial(making.train, model=model, env=variant.environment)
    flags = {**_STEPS, **variant.flags}
    first[name] = job(f'{place}/{name}', flags=flags)
    again[name] = job(f'{place}/{name} again', flags=flags)
    halves[name] = job(
        f'{place}/{name} half', flags={**flags, 'num_steps': '25'}
    )
    resumed[name] = job(
        f'{place}/{name} resumed', flags=flags, begin=halves[name].name
    )
  jobs = [of_cpu, *first.values(), *again.values(), *halves.values()]
  made = dict(zip(jobs, workshop.make(jobs), strict=True))
  going_on = [*resumed.values()]
  made |= zip(going_on, workshop.make(going_on), strict=True)
  for name, variant in _VARIANTS.items():
    one = made[first[name]]
    yield _compared(made[of_cpu], one, first[name].name, variant.bound)
    for other in again[name], resumed[name]:
      yield _equal(one, made[other], other.name)


def _compared(
    reference: making.Made, made: making.Made, name: str, bound: float
) -> answers.Answer:
  for each in reference, made:
    if each.code != 0:
      return answers.Answer(name, each.failure(), False)
  gaps = [
      abs(one['loss'] - other['loss']) / abs(one['loss'])
      for one, other in zip(reference.rows(), made.rows(), strict=True)
  ]
  return answers.Answer(
      name,
      f'losses differ by {gaps[0]:.1e} after 5 steps, at most {max(gaps):.1e}; '
      f'allowed {bound:.0e}',
      max(gaps) <= bound,
  )


def _equal(one: making.Made, other: making.Made, name: str) -> answers.Answer:
  for each in one, other:
    if each.code != 0:
      return answers.Answer(name, each.failure(), False)
  digests = [each.result()['weights_sha256'][:12] for each in (one, other)]
  same = digests[0] == digests[1]
  return answers.Answer(
      name, 'the same bits' if same else f'bits differ: {digests}', same
  )
