"""Tests of launch.report.

Covers: commands.
"""

from __future__ import annotations

import pathlib
import re
import shutil

from absl.testing import absltest, parameterized

import launch
from launch import commands
from tests.launch import runs
from tests.launch.reporting import reading


class OneRunTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(runs.scratch(self))
    self.workdir = self.root / 'run'
    shutil.copytree(runs.finished(), self.workdir)
    shutil.rmtree(self.workdir / 'report')

  def report(self, *args):
    return runs.call('report', f'--data_dir={runs.data_dir()}', *args)

  def test_it_is_written_again(self):
    ended = self.report(str(self.workdir))
    self.assertEqual((ended.code, ended.err), (0, ''))
    self.assertIn(f'{self.workdir}/report/index.html', ended.out)
    before = runs.finished() / 'report'
    for path in before.iterdir():
      again = (self.workdir / 'report' / path.name).read_bytes()
      # Names are escaped in Markdown.
      again, first = (
          content.replace(b'\\_', b'_').replace(bytes(run), b'RUN')
          for content, run in (
              (again, self.workdir),
              (path.read_bytes(), runs.finished()),
          )
      )
      self.assertEqual(again, first, path.name)

  def test_of_a_run_that_is_not_complete(self):
    result = runs.result(self.workdir)
    (self.workdir / 'result.json').unlink()
    self.assertEqual(self.report(str(self.workdir)).code, 0)
    self.assertFalse((self.workdir / 'result.json').exists())
    text = reading.read(self.workdir / 'report' / 'index.html').text
    self.assertIn('not complete: step 40 of 40', text)
    self.assertIn(f'{result["test_loss"]:.4f}', text)

  def test_data_that_are_gone(self):
    ended = runs.call('report', f'--data_dir={self.root}', str(self.workdir))
    self.assertEqual((ended.code, ended.err.count('\n')), (2, 1))
    self.assertFalse((self.workdir / 'report').exists())


class MistakesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('nothing', [], 'expected the work directory of a run'),
      ('no_output', ['RUN', 'OTHER'], '--output is missing'),
      ('twice', ['RUN', 'RUN/', '--output=x.html'], 'it is for several runs'),
      ('output_of_one', ['RUN', '--output=x.html'], 'it is for several runs'),
      ('no_run', ['ROOT'], ': ROOT: there is no run'),
      ('a_file', ['RUN/config.json'], ': RUN/config.json: it is a file'),
      ('one_of_two', ['RUN', 'ROOT', '--output=x.html'], 'there is no run'),
      ('suffix', ['RUN', 'OTHER', '--output=ROOT/x.txt'], 'ends in .html'),
  )
  def test_mistakes(self, args, message):
    root = pathlib.Path(runs.scratch(self))
    names = {
        'RUN': str(runs.finished()),
        'OTHER': f'{runs.scratch(self)}/other',
        'ROOT': str(root),
    }
    shutil.copytree(names['RUN'], names['OTHER'])
    args, [message] = (
        [re.sub('RUN|ROOT|OTHER', lambda m: names[m[0]], each) for each in some]
        for some in (args, [message])
    )
    ended = runs.call('report', *args)
    self.assertEqual((ended.code, ended.out), (2, ''))
    self.assertRegex(ended.err, f'^.*({message}).*\n$')
    self.assertEmpty(list(root.iterdir()))


class CommandsTest(absltest.TestCase):

  def test_a_command_gives_the_config(self):
    config = launch.Config(
        model='mlp',
        model_arg={'hidden_sizes': (16,), 'dropout_rate': 0.5},
        learning_rates={'=b': 0.5, 'c': 2.0},
        class_weights=(1.0, 2.0),
        freeze='x y|.*',
        jit_compile='off',
        normalize=True,
        num_steps=3,
        init_from='some where',
        init_map={'': 'encoder'},
        hooks=('a.py:b', 'c:d'),
    )
    ended, parsed = runs.parsed(*commands.flags(config))
    self.assertEqual(ended.code, 0, ended)
    self.assertEqual(parsed, config)

  def test_a_line_for_a_shell(self):
    line = commands.line('x', ['--a=b c'])
    self.assertEqual(line, "python -m launch.x '--a=b c'")
    text = commands.line('x', [f'--a={"b" * 50}', '--c= '])
    self.assertEqual(text.splitlines()[0], 'python -m launch.x \\')
    self.assertEqual(text.splitlines()[2], "  '--c= '")


if __name__ == '__main__':
  absltest.main()
