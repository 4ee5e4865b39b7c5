"""Tests of launch.cluster.render."""

from __future__ import annotations

import json

from absl.testing import absltest, parameterized

from launch.cluster import manifests
from tests.launch import runs

_GIVEN = ('--num_workers=2', '--image=a/b')


def _render(*own, flags=('--workdir=/runs/first',)):
  return runs.finish(
      runs.start_python('-m', 'launch.cluster.render', *own, '--', *flags)
  )


class RenderTest(parameterized.TestCase):

  @parameterized.parameters(*manifests.KINDS)
  def test_it_prints_what_is_made_of_the_flags(self, kind):
    ended = _render(
        f'--kind={kind}',
        *_GIVEN,
        '--name=tiny',
        '--max_restarts=5',
        '--claim=disk',
        '--mount_path=/data',
        '--gpus_per_worker=4',
        flags=('--workdir=/data/first', '--seed', '7'),
    )
    self.assertEqual((ended.code, ended.err), (0, ''))
    expected = manifests.KINDS[kind](
        manifests.Job(
            name='tiny',
            image='a/b',
            module='launch.train',
            arguments=['--workdir=/data/first', '--seed', '7'],
            num_workers=2,
            gpus_per_worker=4,
            max_restarts=5,
            claim='disk',
            mount_path='/data',
        )
    )
    self.assertEqual(json.loads(ended.out), expected)

  @parameterized.parameters(0, 1)
  def test_the_dockerfile_copies_what_the_program_needs(self, gpus):
    ended = _render('--kind=dockerfile', f'--gpus_per_worker={gpus}', flags=())
    self.assertEqual((ended.code, ended.err), (0, ''))
    copied = [
        line.split()[1:-1]
        for line in ended.out.splitlines()
        if line.startswith('COPY')
    ]
    names = [name for each in copied for name in each]
    self.assertContainsSubset(
        ['requirements.txt', 'core', 'pipelines', 'launch'], names
    )
    for name in names:
      self.assertTrue((runs.ROOT / name).exists(), name)
    self.assertEqual('[and-cuda]' in ended.out, gpus > 0)

  @parameterized.parameters(
      ((), ('--workdir=/runs/first',), '--kind is missing: one of jobset'),
      (('--kind=jobset',), (), '--num_workers is missing'),
      (('--kind=jobset', '--num_workers=2'), (), '--image is missing'),
      (('--kind=jobset', *_GIVEN), (), '--workdir is missing after --'),
      (
          ('--kind=jobset', *_GIVEN),
          ('--workdir=runs/first',),
          'below --mount_path=/runs',
      ),
      (
          ('--kind=jobset', *_GIVEN),
          ('--workdir=/runs/../first',),
          'below --mount_path=/runs',
      ),
      (
          ('--kind=jobset', *_GIVEN, '--name=First'),
          ('--workdir=/runs/first',),
          '--name=First: expected a-z',
      ),
      (
          ('--kind=jobset', *_GIVEN),
          ('--workdir=/runs/a', '--batch=7'),
          "flag 'batch'",
      ),
      (
          ('--kind=jobset', *_GIVEN, '--mount_path=runs'),
          ('--workdir=runs/a',),
          '--mount_path=runs: expected a path from / on',
      ),
      (
          ('--kind=jobset', *_GIVEN, '--image=a b'),
          ('--workdir=/runs/a',),
          '--image=a b: expected the name',
      ),
      (('--kind=job',), (), 'kind'),
      (
          ('--kind=jobset', *_GIVEN),
          ('--workdir=/runs/a', '--name=b'),
          "flag 'name'",
      ),
  )
  def test_a_mistake_costs_one_line(self, own, flags, message):
    ended = _render(*own, flags=flags)
    self.assertEqual((ended.code, ended.out), (2, ''), ended)
    self.assertLen(ended.err.splitlines(), 1)
    self.assertIn(message, ended.err)


if __name__ == '__main__':
  absltest.main()
