"""What Kubernetes is told to run workers: as a JobSet, a TrainJob, or a Job.

All three run an Indexed Job, whose pods find each other by a headless service.
A lost worker ends the others, so that all have to start again: a JobSet, which
a TrainJob becomes, recreates all of them; a Job alone replaces pod after pod.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from .. import programs

Manifest = dict[str, Any]

PORT = 2222
# How long a worker may take to finish its step and save it.
_GRACE_SECS = 120
# Of the variables only the number of this pod is Kubernetes' own.
_SCRIPT = """\
export TF_CONFIG="{\\"cluster\\": {\\"worker\\": [$WORKERS]},
  \\"task\\": {\\"type\\": \\"worker\\", \\"index\\": $JOB_COMPLETION_INDEX}}"
exec python -m "$0" "$@"
"""


@dataclasses.dataclass(frozen=True)
class Job:
  """What is to be run.

  Attributes:
    name: The name of the job.
    image: The image of the containers.
    module: The module of the program.
    arguments: Its flags.
    num_workers: How many workers, a pod each.
    gpus_per_worker: How many GPUs each of them gets.
    max_restarts: How often all are started again after a loss.
    claim: The claim of the volume that all of them share.
    mount_path: Where they find it.
  """

  name: str
  image: str
  module: str
  arguments: Sequence[str]
  num_workers: int
  gpus_per_worker: int
  max_restarts: int
  claim: str
  mount_path: str


def jobset(job: Job) -> Manifest:
  """Returns a JobSet: all workers are recreated after a loss."""
  return {
      'apiVersion': 'jobset.x-k8s.io/v1alpha2',
      'kind': 'JobSet',
      'metadata': {'name': job.name},
      'spec': _set(
          job, 'worker', _container(job, 'worker', f'{job.name}-worker-0')
      ),
  }


def trainjob(job: Job) -> Manifest:
  """Returns a TrainJob of Kubeflow Trainer 2, and its plain runtime."""
  host = f'{job.name}-node'
  full = _container(job, 'node', f'{host}-0')
  own = ('image', 'command', 'args', 'env')
  trainer = {name: full[name] for name in own}
  if 'resources' in full:
    trainer['resourcesPerNode'] = full['resources']
  container = {'name': 'node', 'image': job.image} | {
      name: full[name] for name in ('ports', 'volumeMounts')
  }
  runtime = {
      'apiVersion': 'trainer.kubeflow.org/v1alpha1',
      'kind': 'TrainingRuntime',
      'metadata': {
          'name': host,
          'labels': {'trainer.kubeflow.org/framework': 'quatrain'},
      },
      'spec': {
          'mlPolicy': {'numNodes': job.num_workers},
          'template': {'spec': _set(job, 'node', container)},
      },
  }
  return _list(
      runtime,
      {
          'apiVersion': 'trainer.kubeflow.org/v1alpha1',
          'kind': 'TrainJob',
          'metadata': {'name': job.name},
          'spec': {
              'runtimeRef': {
                  'apiGroup': 'trainer.kubeflow.org',
                  'kind': 'TrainingRuntime',
                  'name': host,
              },
              'trainer': {'numNodes': job.num_workers, **trainer},
          },
      },
  )


def indexed_job(job: Job) -> Manifest:
  """Returns a Job of Kubernetes itself, and the service of its pods."""
  labels = {'job-name': job.name}
  # All leave after a loss, and each of them counts.
  spec = _job(
      job,
      'worker',
      _container(job, 'worker', job.name),
      backoff_limit=job.max_restarts * job.num_workers,
  )
  spec['podFailurePolicy']['rules'].append({
      'action': 'Ignore',  # Evicted, preempted: no fault of the run.
      'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}],
  })
  spec['template']['spec']['subdomain'] = job.name
  return _list(
      {
          'apiVersion': 'v1',
          'kind': 'Service',
          'metadata': {'name': job.name},
          'spec': {
              'clusterIP': 'None',
              'publishNotReadyAddresses': True,
              'selector': labels,
              'ports': [{'name': 'workers', 'port': PORT}],
          },
      },
      {
          'apiVersion': 'batch/v1',
          'kind': 'Job',
          'metadata': {'name': job.name},
          'spec': spec,
      },
  )


KINDS = {'jobset': jobset, 'trainjob': trainjob, 'indexed_job': indexed_job}


def _list(*manifests: Manifest) -> Manifest:
  """Returns several manifests as one."""
  return {'apiVersion': 'v1', 'kind': 'List', 'items': list(manifests)}


def _set(job: Job, name: str, container: Manifest) -> Manifest:
  """Returns the spec of a JobSet."""
  template: Manifest = {
      'spec': _job(job, name, container, backoff_limit=0),
  }
  if name == 'node':  # By which Trainer knows whose pods are workers.
    step = {'trainer.kubeflow.org/trainjob-ancestor-step': 'trainer'}
    template = {'metadata': {'labels': step}, **template}
  return {
      'failurePolicy': {
          'maxRestarts': job.max_restarts,
          # The lock on the work directory goes with the last of them.
          'restartStrategy': 'BlockingRecreate',
          'rules': [{
              'name': 'mistakes',
              'action': 'FailJobSet',
              'onJobFailureReasons': ['PodFailurePolicy'],
          }],
      },
      'network': {
          'enableDNSHostnames': True,
          'publishNotReadyAddresses': True,
      },
      'replicatedJobs': [{'name': name, 'replicas': 1, 'template': template}],
  }


def _job(
    job: Job, name: str, container: Manifest, *, backoff_limit: int
) -> Manifest:
  """Returns the spec of an Indexed Job."""
  volumes: list[Manifest] = [{
      'name': 'runs',
      'persistentVolumeClaim': {'claimName': job.claim},
  }]
  if job.gpus_per_worker:  # NCCL's, for which 64 MB are too few.
    volumes.append({'name': 'memory', 'emptyDir': {'medium': 'Memory'}})
  return {
      'completionMode': 'Indexed',
      'completions': job.num_workers,
      'parallelism': job.num_workers,
      'backoffLimit': backoff_limit,
      'podFailurePolicy': {
          'rules': [{
              'action': 'FailJob',
              'onExitCodes': {
                  'containerName': name,
                  'operator': 'In',
                  'values': [programs.UserError.exit_code],
              },
          }],
      },
      'template': {
          'spec': {
              'restartPolicy': 'Never',
              'terminationGracePeriodSeconds': _GRACE_SECS,
              'containers': [container],
              'volumes': volumes,
          },
      },
  }


def _container(job: Job, name: str, host: str) -> Manifest:
  """Returns the container of a worker, which tells it who the others are.

  Args:
    job: The job.
    name: The name of the container.
    host: What the pods are called, before the number of each.
  """
  workers = ', '.join(
      json.dumps(f'{host}-{index}.{job.name}:{PORT}')
      for index in range(job.num_workers)
  )
  mounts = [{'name': 'runs', 'mountPath': job.mount_path}]
  container: Manifest = {
      'name': name,
      'image': job.image,
      'command': ['/bin/sh', '-euc', _SCRIPT, job.module],
      # Kubernetes reads $(NAME), and $$ for a dollar sign.
      'args': [each.replace('$', '$$') for each in job.arguments],
      'env': [{'name': 'WORKERS', 'value': workers}],
      'ports': [{'name': 'workers', 'containerPort': PORT}],
  }
  if job.gpus_per_worker:
    mounts.append({'name': 'memory', 'mountPath': '/dev/shm'})
    container['resources'] = {'limits': {'nvidia.com/gpu': job.gpus_per_worker}}
  return container | {'volumeMounts': mounts}
