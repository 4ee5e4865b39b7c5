"""Tests of launch.settings.arguments."""

from __future__ import annotations

from absl.testing import absltest, parameterized

from launch import programs
from launch.settings import arguments


def _target(size, sizes=(3, 4), rate=0.5, name='relu', on=False, limit=None):
  del size, sizes, rate, name, on, limit


_KNOWN = arguments.parameters(_target, 'size')


class ParseTest(parameterized.TestCase):

  @parameterized.parameters(
      ('a=3', 3),
      ('a=-0.5', -0.5),
      ('a=1e-3', 1e-3),
      ('a=relu', 'relu'),
      ('a=True', True),
      ('a=false', False),
      ('a=none', None),
      ('a = 7 ', 7),
      ('a=512,256', (512, 256)),
      ('a=512,', (512,)),
      ('a=()', ()),
      ('a=relu,tanh', ('relu', 'tanh')),
      ('a=0.5,none', (0.5, None)),
      ('a=b=c', 'b=c'),
      ('a=', ''),
  )
  def test_value(self, pair, expected):
    value = arguments.parse('model_arg', [pair])['a']
    self.assertEqual(value, expected)
    self.assertIs(type(value), type(expected))

  def test_the_last_of_equal_names_counts(self):
    self.assertEqual(
        arguments.parse('x', ['a=1', 'b=2', 'a=3']), {'a': 3, 'b': 2}
    )

  def test_no_equals_sign(self):
    with self.assertRaisesRegex(
        programs.UserError, '--model_arg=rate: expected NAME=VALUE'
    ):
      arguments.parse('model_arg', ['rate'])


class CheckedTest(parameterized.TestCase):

  @parameterized.parameters(
      ('sizes', (1, 2, 3), (1, 2, 3)),
      ('sizes', 5, (5,)),
      ('sizes', (), ()),
      ('sizes', '', ()),
      ('rate', 1, 1),
      ('name', 'tanh', 'tanh'),
      ('on', True, True),
      ('limit', 3, 3),
      ('limit', None, None),
  )
  def test_fits(self, name, value, expected):
    self.assertEqual(
        arguments.checked('model_arg', {name: value}, _KNOWN),
        {name: expected},
    )

  @parameterized.parameters(
      ('sizes', (1, 2.5)),
      ('sizes', 'relu'),
      ('sizes', (1, True)),
      ('rate', 'high'),
      ('rate', True),
      ('rate', (0.1, 0.2)),
      ('rate', None),
      ('name', 3),
      ('on', 1),
  )
  def test_another_kind(self, name, value):
    with self.assertRaisesRegex(
        programs.UserError, f'--model_arg={name}=.*like the default'
    ):
      arguments.checked('model_arg', {name: value}, _KNOWN)

  @parameterized.parameters('size', 'depth')
  def test_unknown_or_not_the_users(self, name):
    with self.assertRaisesRegex(
        programs.UserError,
        rf'--loss_arg={name}: no such argument; there are: sizes=\(3, 4\), '
        r"rate=0.5, name='relu', on=False, limit=None\.",
    ):
      arguments.checked('loss_arg', {name: 1}, _KNOWN)

  def test_nothing_to_choose_from(self):
    with self.assertRaisesRegex(programs.UserError, 'there are: none'):
      arguments.checked('loss_arg', {'x': 1}, {})


if __name__ == '__main__':
  absltest.main()
