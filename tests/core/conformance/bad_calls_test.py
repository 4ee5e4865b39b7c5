"""A bad call raises ValueError or TypeError, which names the argument."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from absl.testing import absltest, parameterized

from tests.core.conformance import (
    bad_calls,
    bad_calls_augmentation,
    bad_calls_modules,
    public,
)

_TABLES = {
    'augmentation': bad_calls_augmentation.AUGMENTATION,
    'layers': bad_calls_modules.LAYERS,
    'losses': bad_calls.LOSSES,
    'metrics': bad_calls.METRICS,
    'models': bad_calls_modules.MODELS,
    'optimizers': bad_calls_modules.OPTIMIZERS,
    'schedules': bad_calls_modules.SCHEDULES,
}
_LINES = {
    f'{package}.{name}': line
    for package, table in _TABLES.items()
    for name, line in table.items()
}


# Values that are wrong wherever an argument has the annotation.
_OTHERS: dict[str, tuple[Any, ...]] = {
    'int': ('64', None),
    'int | None': ('64',),
    'float': ('0.5',),
    'float | None': ('0.5',),
    'Sequence[int]': (64, '64', ('64',), None),
    'tuple[int, ...]': (64, '64', ('64',), None),
}


def _of_other_types(function: Any) -> Iterator[tuple[str, Any]]:
  """Yields arguments that are sizes or numbers, and what is neither."""
  is_class = isinstance(function, type)
  source = function.__init__ if is_class else function
  for name, parameter in inspect.signature(source).parameters.items():
    for value in _OTHERS.get(str(parameter.annotation), ()):
      yield name, value


class BadCallsTest(parameterized.TestCase):

  def test_every_public_name_that_may_raise_has_a_line(self):
    raising = set(filter(public.may_raise, public.MEMBERS))
    self.assertEqual(raising, _LINES.keys())

  @parameterized.named_parameters(
      (name.replace('.', '_'), name) for name in _LINES
  )
  def test_names_the_argument(self, name):
    function, line = public.MEMBERS[name], _LINES[name]
    made = function(**line.good)
    for argument, values in line.bad.items():
      called = bad_calls.CALLED.get(argument, argument)
      for value in values:
        with (
            self.subTest(argument=argument, value=value),
            self.assertRaisesRegex(
                (ValueError, TypeError), rf'^(?=.*\b{called}\b).*: '
            ),
        ):
          function(**{**line.good, argument: value})
    for argument, value in _of_other_types(function):
      with (
          self.subTest(argument=argument, value=value),
          self.assertRaisesRegex(
              (ValueError, TypeError), rf'^(?=.*\b{argument}\b).*: '
          ),
      ):
        function(**{**line.good, argument: value})
    for shape in line.shapes:
      with (
          self.subTest(shape=shape),
          self.assertRaisesRegex(ValueError, r'^\w+: '),
      ):
        made.build(shape)


if __name__ == '__main__':
  absltest.main()
