"""Tests of launch.training.init_names: which variable is which."""

from __future__ import annotations

from absl.testing import absltest, parameterized

from launch import config as config_lib
from launch import programs
from launch.training import init_names


class NamesTest(parameterized.TestCase):

  def match(self, model, saved, **changes):
    config = config_lib.Config(init_from='run', **changes)
    model, saved = (
        {
            name: form or '[1]'
            for name, _, form in (each.partition(':') for each in names.split())
        }
        for names in (model, saved)
    )
    return init_names.match(config, model, saved)

  @parameterized.parameters(
      ('a/w b/w', 'a/w b/w', {}, {'a/w': 'a/w', 'b/w': 'b/w'}),
      ('a/w b/w', 'c/w b/w', {'a': 'c'}, {'a/w': 'c/w', 'b/w': 'b/w'}),
      ('a/w', 'c/w', {'a/': 'c/'}, {'a/w': 'c/w'}),
      ('a/w', 'c/v', {'a/w': 'c/v'}, {'a/w': 'c/v'}),
      (
          'a/w b/w',
          'a/w b/w',
          {'a': 'b', 'b': 'a'},
          {'a/w': 'b/w', 'b/w': 'a/w'},
      ),
      ('a/w b/w', 'c/w', {'a': 'c', 'b': 'c'}, {'a/w': 'c/w', 'b/w': 'c/w'}),
      ('a/w ab/w', 'c/w ab/w', {'a': 'c'}, {'a/w': 'c/w', 'ab/w': 'ab/w'}),
      (
          'a/b/w a/c/w',
          'x/w y/c/w',
          {'a': 'y', 'a/b': 'x'},
          {'a/b/w': 'x/w', 'a/c/w': 'y/c/w'},
      ),
      ('body/a/w', 'a/w', {'body': ''}, {'body/a/w': 'a/w'}),
      ('a/w', 'body/a/w', {'': 'body'}, {'a/w': 'body/a/w'}),
      (
          'a/w b/w',
          'x/a/w b/w',
          {'': 'x', 'b': 'b'},
          {'a/w': 'x/a/w', 'b/w': 'b/w'},
      ),
      ('a:[2] b', 'a:[3] b', {}, {'b': 'b'}),
  )
  def test_which_is_which(self, model, saved, names, expected):
    matched = self.match(model, saved, init_map=names)
    self.assertEqual(matched.pairs, expected)
    again = self.match(
        model, saved, init_map=dict(reversed(list(names.items())))
    )
    self.assertEqual(again, matched)

  def test_what_is_not(self):
    matched = self.match(
        'a b:[2] c d e',
        'a b:[3] q r e',
        init_map={'d': 'q', 'c': 'r'},
        init_pattern='[a-d]',
    )
    self.assertEqual(matched.pairs, {'a': 'a', 'c': 'r', 'd': 'q'})
    self.assertEqual(matched.kept, {'b': 'it is [2] here, [3] there'})
    self.assertEqual((matched.left_out, matched.unused), (('e',), ()))
    matched = self.match('a x/b c', 'a y/d z', init_map={'x': 'y'})
    self.assertEqual(
        matched.kept,
        {
            'x/b': 'it is not there, as y/b',
            'c': 'it is not there',
        },
    )
    self.assertEqual(matched.unused, ('y/d', 'z'))

  @parameterized.parameters(
      (
          {'init_map': {'bdy': 'x'}},
          r'=bdy=x: the model has no bdy, but body/a, '
          r'body/b; did you mean body',
      ),
      (
          {'init_map': {'body': 'hiden'}},
          'the checkpoint has no hiden, but .*; ' r'did you mean hidden',
      ),
      ({'init_map': {'body': 'qqqqqq'}}, r'has no qqqqqq, but hidden/a, z\.$'),
      ({'init_pattern': 'a'}, '--init_pattern=a: it matches .* body/a, body'),
      (
          {},
          r'--init_from=run: nothing of it fits. It has hidden/a \[1\], z '
          r'\[1\]; the model has body/a \[1\], body/b \[1\]; did you mean '
          r'--init_map=body=hidden\.$',
      ),
      (
          {'init_pattern': 'body/b', 'init_map': {'body/b': 'hidden'}},
          r'the model has body/b \[1\]',
      ),
  )
  def test_what_matches_nothing(self, changes, message):
    with self.assertRaisesRegex(programs.UserError, message):
      self.match('body/a body/b', 'hidden/a z', **changes)

  def test_an_error_has_an_end(self):
    many = ' '.join(f'v{index}' for index in range(1000))
    with self.assertRaisesRegex(programs.UserError, 'v49 .*and 950 more'):
      self.match('a:[2]', many)
    with self.assertRaisesRegex(programs.UserError, 'It has no variables; the'):
      self.match('a', '')


if __name__ == '__main__':
  absltest.main()
