"""Tests of launch.cluster.manifests."""

from __future__ import annotations

import copy
import os
import pathlib
import re
import subprocess

from absl.testing import absltest, parameterized

from launch.cluster import manifests, members
from tests.launch import runs

try:
  import kubernetes_validate
except ImportError:
  kubernetes_validate = None

_ARGUMENTS = (
    '--workdir=/runs/a b',
    "--dataset=csv:t?label=it's",
    '--metrics=$(HOME),"x"',
    '--hook_arg=h.pattern=^$$',
    '--model_arg=name=`true`',
)
# In the place of Python: what it is called with, and who it would be.
_PYTHON = """#!/bin/sh
printf '%s\\n' "$TF_CONFIG" | tr '\\n' ' '
echo
printf '%s\\n' "$@"
exit 7
"""


def _documents(kind, gpus_per_worker=0):
  """Returns the manifests of a job."""
  made = manifests.KINDS[kind](
      manifests.Job(
          name='first',
          image='registry.example/quatrain:1',
          module='launch.train',
          arguments=_ARGUMENTS,
          num_workers=3,
          gpus_per_worker=gpus_per_worker,
          max_restarts=4,
          claim='runs',
          mount_path='/runs',
      )
  )
  return made['items'] if made['kind'] == 'List' else [made]


def _indexed_job(documents):
  """Returns the spec of the Indexed Job in manifests, and its container."""
  last = copy.deepcopy(documents[-1])
  if last['kind'] == 'Job':
    spec = last['spec']
    return spec, spec['template']['spec']['containers'][0]
  of_set = last['spec']
  if last['kind'] == 'TrainJob':
    of_set = documents[0]['spec']['template']['spec']
  spec = of_set['replicatedJobs'][0]['template']['spec']
  container = copy.deepcopy(spec['template']['spec']['containers'][0])
  if last['kind'] == 'TrainJob':  # As Trainer does.
    trainer = dict(last['spec']['trainer'])
    resources = trainer.pop('resourcesPerNode', {})
    assert trainer.pop('numNodes') == spec['completions']
    container |= {**trainer, 'resources': resources}
  return spec, container


def _expanded(text, environment):
  """Expands a command or an argument as Kubernetes does."""

  def value(match):
    if match[0] == '$$':
      return '$'
    return environment.get(match[1], match[0])

  return re.sub(r'\$\$|\$\(([^)]*)\)', value, text)


class ManifestsTest(parameterized.TestCase):

  @parameterized.product(kind=list(manifests.KINDS), gpus=[0, 2])
  def test_gpus(self, kind, gpus):
    _, container = _indexed_job(_documents(kind, gpus_per_worker=gpus))
    limits = container.get('resources', {}).get('limits', {})
    self.assertEqual(limits, {'nvidia.com/gpu': 2} if gpus else {})

  @parameterized.product(kind=list(manifests.KINDS), index=[0, 2])
  def test_its_shell_tells_each_worker_who_it_is(self, kind, index):
    spec, container = _indexed_job(_documents(kind))
    self.assertEqual(spec['completions'], spec['parallelism'])
    folder = pathlib.Path(runs.scratch(self))
    (folder / 'python').write_text(_PYTHON)
    (folder / 'python').chmod(0o755)
    environment = {each['name']: each['value'] for each in container['env']} | {
        'JOB_COMPLETION_INDEX': str(index)
    }
    ended = subprocess.run(
        [
            _expanded(each, environment)
            for each in (*container['command'], *container['args'])
        ],
        env={**environment, 'PATH': f'{folder}:{os.environ["PATH"]}'},
        capture_output=True,
        text=True,
    )
    # Its exit code is that of the program.
    self.assertEqual((ended.returncode, ended.stderr), (7, ''))
    cluster, *called = ended.stdout.splitlines()
    self.assertEqual(called, ['-m', 'launch.train', *_ARGUMENTS])
    found = members.of_tf_config(cluster)
    host = {
        'jobset': 'first-worker-0',
        'trainjob': 'first-node-0',
        'indexed_job': 'first',
    }[kind]
    self.assertEqual(
        found.addresses,
        tuple(f'{host}-{each}.first:2222' for each in range(3)),
    )
    self.assertEqual(found.index, index)

  @parameterized.parameters(*manifests.KINDS)
  def test_a_mistake_ends_it_and_anything_else_starts_it_again(self, kind):
    documents = _documents(kind)
    spec, container = _indexed_job(documents)
    self.assertEqual(spec['template']['spec']['restartPolicy'], 'Never')
    rule = spec['podFailurePolicy']['rules'][0]
    self.assertEqual(rule['action'], 'FailJob')
    self.assertEqual(
        rule['onExitCodes'],
        {
            'containerName': container['name'],
            'operator': 'In',
            'values': [2],
        },
    )
    if kind == 'indexed_job':
      self.assertEqual(spec['backoffLimit'], 4 * 3)
      service, job = documents
      self.assertEqual(
          service['metadata']['name'],
          job['spec']['template']['spec']['subdomain'],
      )
      return
    self.assertEqual(spec['backoffLimit'], 0)
    of_set = documents[0]['spec']
    of_set = of_set.get('template', {}).get('spec', of_set)
    policy = of_set['failurePolicy']
    self.assertEqual(policy['maxRestarts'], 4)
    [rule] = policy['rules']
    self.assertEqual(rule['action'], 'FailJobSet')
    self.assertEqual(rule['onJobFailureReasons'], ['PodFailurePolicy'])

  @parameterized.product(kind=list(manifests.KINDS), gpus=[0, 2])
  @absltest.skipIf(
      kubernetes_validate is None, 'kubernetes-validate is not installed'
  )
  def test_kubernetes_knows_every_field(self, kind, gpus):
    documents = _documents(kind, gpus_per_worker=gpus)
    spec, _ = _indexed_job(documents)
    for document in [
        each for each in documents if each['apiVersion'] in ('v1', 'batch/v1')
    ] + [{
        'apiVersion': 'batch/v1',
        'kind': 'Job',
        'metadata': {'name': 'a'},
        'spec': spec,
    }]:
      kubernetes_validate.validate(document, '1.31', strict=True)


if __name__ == '__main__':
  absltest.main()
