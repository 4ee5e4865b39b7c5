"""Every public name has a line in the table, or a reason to have none."""

from __future__ import annotations

from absl.testing import absltest, parameterized

from tests.core.conformance import member, table


class CompletenessTest(parameterized.TestCase):

  @parameterized.named_parameters((kind, kind) for kind in table.NAMES)
  def test_every_public_name_has_a_line(self, kind):
    public, lines, others = table.NAMES[kind]
    named = {name.split('__')[0] for name in lines}
    self.assertEmpty(named & others.keys())
    self.assertEqual(
        named | others.keys(),
        set(public),
        f'A public name of core.{kind} has no line in table_{kind}.py, or a '
        'line there has no public name.',
    )

  def test_exceptions_have_reasons(self):
    _, *others = zip(*table.NAMES.values(), strict=True)
    for reasons in [
        *others[1],
        *(line.exceptions for line in table.MEMBERS.values()),
    ]:
      for name, reason in reasons.items():
        self.assertGreater(len(reason.split()), 1, name)
    for name, line in table.MEMBERS.items():
      self.assertContainsSubset(line.exceptions, member.PROPERTIES, name)


if __name__ == '__main__':
  absltest.main()
