"""Tests of launch.cluster.agreement."""

from __future__ import annotations

from absl.testing import absltest

from launch import programs
from launch.cluster import agreement, members

_THREE = members.Members(('a:1', 'b:1', 'c:1'), 1)


class AgreementTest(absltest.TestCase):

  def test_what_is_told_of_the_program(self):
    told = agreement.of_program()
    self.assertEqual(told, agreement.of_program())
    self.assertContainsSubset(
        (
            'program',
            'quatrain',
            'code of quatrain',
            'python',
            'tensorflow',
            'dm-sonnet',
            'numpy',
        ),
        told,
    )
    self.assertLen(told['code of quatrain'], 64)

  def test_equal_workers(self):
    agreement.check(_THREE, [{'a': [1, None], 'b': 'x'}] * 3)

  def test_names_values_and_workers(self):
    told = {'--learning_rate': 0.1, 'code': 'f' * 64, '--seed': 1}
    other = {**told, '--learning_rate': 0.2, 'code': 'e' * 64}
    with self.assertRaises(programs.UserError) as caught:
      agreement.check(_THREE, [told, other, told])
    self.assertEqual(
        str(caught.exception),
        'worker 1 (b:1): the workers differ in --learning_rate: 0.1 at worker '
        '0 (a:1), worker 2 (c:1), 0.2 at worker 1 (b:1); code: ffffffffffff... '
        'at worker 0 (a:1), worker 2 (c:1), eeeeeeeeeeee... at worker 1 '
        '(b:1). Start all of them alike.',
    )

  def test_what_one_does_not_tell_differs(self):
    for told in ([{'a': 1}, {}, {'a': 1}], [{}, {}, {'a': 1}]):
      with self.assertRaisesRegex(programs.UserError, 'a: .*None at'):
        agreement.check(_THREE, told)

  def test_many_of_many_workers_are_a_short_line(self):
    many = members.Members(tuple(f'n{i}:1' for i in range(512)), 0)
    told = [{f'name{i}': 0 for i in range(100)}] * 511
    other = {f'name{i}': 'x' * 10**5 for i in range(100)}
    with self.assertRaises(programs.UserError) as caught:
      agreement.check(many, [*told, other])
    message = str(caught.exception)
    self.assertIn('and 509 more', message)
    self.assertIn('and 92 more', message)
    self.assertLess(len(message), 2000)


if __name__ == '__main__':
  absltest.main()
